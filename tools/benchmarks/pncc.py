"""How much stage 2 uses PNCC: errors with each path's own PNCC image, a sibling's, a blank one, another person's.

Beside it, the same for the image itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from cli import add_config_options
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mion_plugin.evaluation import MeshMetric
from mion_plugin.refinement import MeshRefinementTransformer
from mion_plugin.registry import MODELS
from mion_plugin.samples import add_results, input_keypoints, pack_bodies
from mion_plugin.weights import check_weights, load_weights

# What the network gets in place of the images (B, 3, H, W) and their PNCC images (B, N, 3, h, w).
SWAPS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "own": lambda image, pncc: (image, pncc),
    "a sibling's PNCC": lambda image, pncc: (image, pncc.roll(1, dims=1)),
    "blank PNCC": lambda image, pncc: (image, torch.zeros_like(pncc)),
    "another person's PNCC": lambda image, pncc: (image, pncc.roll(1, dims=0)),
    "another person's image": lambda image, pncc: (image.roll(1, dims=0), pncc),
}
_STATISTICS = ("chosen", "mean", "oracle")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("config", help="config of a mion.MRT")
    parser.add_argument("checkpoint", help="its weights")
    parser.add_argument("--num-samples", type=int, default=1024, help="test samples")
    add_config_options(parser)


def run(args: argparse.Namespace) -> None:
    """Print one row per kind of input: errors, and how far the paths' joints move from those with their own images."""
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    model = load_model(cfg.model, args.checkpoint)
    cfg.test_dataloader.dataset.num_samples = args.num_samples
    reports = measure(model, Runner.build_dataloader(cfg.test_dataloader, seed=0))
    table = Table(title=f"{Path(args.config).stem}: MPJPE / PA-MPJPE in mm, {args.num_samples} samples")
    for heading in ("input", "first path", "mean of paths", "best path", "joints moved, mm"):
        table.add_column(heading, justify="left" if heading == "input" else "right")
    for name, report in reports.items():
        errors = [f"{report[f'body/MPJPE/{s}']:.1f} / {report[f'body/PA-MPJPE/{s}']:.1f}" for s in _STATISTICS]
        table.add_row(name, *errors, f"{report['moved']:.1f}")
    Console().print(table)


def load_model(config: Any, checkpoint: str) -> MeshRefinementTransformer:
    """The config's model with the checkpoint's weights.

    Raises:
        ValueError: Not a ``mion.MRT`` that reads PNCC, fewer than two candidates, or weights of another model.
    """
    model = MODELS.build(config)
    if not isinstance(model, MeshRefinementTransformer) or not model.network.uses_pncc:
        raise ValueError(f"the config's model is {config.type}, expected a mion.MRT with mion.PNCCEncoding")
    weights = load_weights(checkpoint)
    check_weights(model, weights, checkpoint)
    model.load_state_dict(weights)
    return model.eval()


@torch.no_grad()
def measure(model: MeshRefinementTransformer, loader: Any) -> dict[str, dict[str, float]]:
    """Kind of input -> what ``MeshMetric`` reports, and ``moved``: mean distance of root-aligned joints, mm."""
    evaluators = {name: Evaluator([MeshMetric(("MPJPE", "PA-MPJPE"), _STATISTICS)]) for name in SWAPS}
    moved: dict[str, list[Tensor]] = {name: [] for name in SWAPS}
    total = 0
    for batch in loader:
        own = None
        for name, results in refine_swapped(model, batch):
            evaluators[name].process(data_samples=results)
            joints = torch.stack([result.pred_bodies.keypoints3d for result in results])
            own = joints if own is None else own
            moved[name].append((_from_pelvis(joints) - _from_pelvis(own)).norm(dim=-1).flatten())
        total += len(batch["data_samples"])
    return {
        name: {**evaluator.evaluate(total), "moved": 1000.0 * torch.cat(moved[name]).mean().item()}
        for name, evaluator in evaluators.items()
    }


def refine_swapped(model: MeshRefinementTransformer, batch: dict[str, Any]) -> list[tuple[str, list[BaseDataElement]]]:
    """For each kind of input, its name and the data samples with predictions."""
    image, samples = torch.stack(batch["inputs"]), batch["data_samples"]
    keypoints2d = input_keypoints(samples, model.keypoints2d_convention, image.device)
    candidates = model.selector(keypoints2d)
    pncc = model.network.render_pncc(candidates)
    results = []
    for name, swap in SWAPS.items():
        given_image, given_pncc = swap(image, pncc)
        bodies = model.network(given_image, replace(candidates, pncc=given_pncc), keypoints2d)
        results.append((name, add_results(samples, pred_bodies=pack_bodies(bodies, model.body))))
    return results


def _from_pelvis(joints: Tensor) -> Tensor:
    return joints - joints[..., :1, :]
