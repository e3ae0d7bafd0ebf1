"""Stage 1's threshold: on the loss as it is weighted by confidences, and per unit of confidence."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from rich.console import Console
from rich.table import Table
from torch import Tensor

import mion_plugin.synthesis.dataset  # noqa: F401  (registers the data set)
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.evaluation.errors import evaluation_joints, mpjpe
from mion_plugin.registry import DATASETS

CONFIG = Path(__file__).parents[2] / "configs/_base_/synthetic_112.py"
SEEDS = (1, 11)  # the test seeds 2, 3 and 4 are not for choosing
CAMERA = {"image_size": 112, "focal_length": 2500.0}  # the camera of 5000 px at 224


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--num-samples", type=int, default=512, help="validation people of each seed")
    parser.add_argument(
        "--thresholds", type=float, nargs="+", default=[250.0, 375.0, 500.0, 750.0, 1000.0, 2000.0], help="px^2 at 112"
    )


def run(args: argparse.Namespace) -> None:
    """Print both kinds of threshold in one table."""
    keypoints2d, truth = load_people(args.num_samples)
    table = Table("threshold on", "px^2", "compatible", "fewer than 5", "first", "mean of 5", "best of 5")
    for kind, given in (("weighted loss", keypoints2d), ("loss per confidence", even_confidence(keypoints2d))):
        for threshold in args.thresholds:
            table.add_row(kind, f"{threshold:,.0f}", *measure(given, truth, threshold))
    Console(width=110).print(table)


def load_people(num_samples: int) -> tuple[Tensor, Tensor]:
    """Detected keypoints (n, 17, 3) and true joints (n, 14, 3) of people of the validation set."""
    options = Config.fromfile(CONFIG).val_dataloader.dataset.to_dict()
    people = []
    for seed in SEEDS:
        dataset = DATASETS.build({**options, "seed": seed, "num_samples": num_samples, "pipeline": []})
        people += [dataset.get_data_info(number) for number in range(num_samples)]
    detected, joints = (np.stack([person[name] for person in people]) for name in ("keypoints2d_input", "keypoints3d"))
    return torch.from_numpy(detected).double(), evaluation_joints(torch.from_numpy(joints[..., :3]))


def even_confidence(keypoints2d: Tensor) -> Tensor:
    """The keypoints with confidences that add up to their number: a threshold then is one per unit of confidence."""
    total = keypoints2d[..., 2:].sum(1, keepdim=True)
    return torch.cat([keypoints2d[..., :2], keypoints2d[..., 2:] * keypoints2d.shape[1] / total], dim=-1)


def measure(keypoints2d: Tensor, truth: Tensor, threshold: float) -> list[str]:
    """Median of the compatible candidates, share of people with fewer than five, and MPJPE in mm."""
    selected = CandidateSelector(max_fit_loss=threshold, pool_split="train", **CAMERA)(keypoints2d)
    joints = evaluation_joints(SMPLBody().pose_keypoints(selected.pose, convention="h36m"))
    error = mpjpe(joints, truth[:, None].expand_as(joints))
    few = (selected.num_compatible < 5).double().mean()
    errors = (error[:, 0].mean(), error.mean(), error.amin(dim=1).mean())
    return [f"{int(selected.num_compatible.median()):,}", f"{100 * few:.0f} %", *(f"{value:.1f}" for value in errors)]
