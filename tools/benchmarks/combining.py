"""How much the 2D error counts best beside the score of CEN: the gap that each weight closes on training poses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from benchmarks.markdown import table
from benchmarks.measuring import load_test_images
from mmengine.config import Config

from mion_plugin.evaluation import MeshMetric
from mion_plugin.evaluation.choice.quality import selection_statistics
from mion_plugin.evaluation.metrics import CHOOSERS
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS

ERROR = "MPJPE"
SCORES = ("cen", "cen+reprojection")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--config", default="configs/mion/mion_tiny_synthetic.py", help="config of a mion.MION")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.5, 1, 2, 3, 5, 8], help="of the 2D error")
    parser.add_argument("--seed", type=int, default=9, help="of the images")
    parser.add_argument("--num-samples", type=int, default=1024, help="images")


def run(args: argparse.Namespace) -> None:
    """Print the gap closed by the network, by the 2D error, and by their sum with each weight."""
    cfg = Config.fromfile(args.config)
    # of the bodies as refined; with weight 1 the two can be taken apart
    cfg.model.update(fit=None, selection="cen", reprojection_weight=1.0)
    model: MultiInitializationOptimizationNetwork = MODELS.build(cfg.model).eval()
    errors, scores, reprojection = measure(model, cfg, args.seed, args.num_samples)
    print(table(["choice", "gap closed", "Spearman"], rows(errors, scores, reprojection, args.weights)))


@torch.no_grad()
def measure(
    model: MultiInitializationOptimizationNetwork, cfg: Config, seed: int, num_samples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors, scores and 2D errors (S, N) of the paths of S images, whose poses are those of the training."""
    metric = MeshMetric((ERROR,), ("mean",), choosers=SCORES)
    for batch in load_test_images(cfg, seed, num_samples, split="train"):
        metric.process(batch, [sample.to_dict() for sample in model.test_step(batch)])
    paths = [result["pred_bodies"] for result in metric.results]
    scores, combined = (np.stack([path[CHOOSERS][name] for path in paths]) for name in SCORES)
    return np.stack([path[ERROR] for path in paths]), scores, combined - scores


def rows(errors: np.ndarray, scores: np.ndarray, reprojection: np.ndarray, weights: Sequence[float]) -> list[list[str]]:
    """Rows of the table: each way to choose, what it closes of the random-to-best gap, and its rank correlation."""
    ways = {"cen": scores, "reprojection": reprojection}
    ways |= {f"cen + {weight:g} x reprojection": scores + weight * reprojection for weight in weights}
    found = {name: selection_statistics(errors, values, num_resamples=0) for name, values in ways.items()}
    return [[name, f"{100 * one['gap_closed']:.1f} %", f"{one['spearman']:.2f}"] for name, one in found.items()]
