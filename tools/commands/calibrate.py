"""Calibration of a third stage that compares bodies with the depths it reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from launching import load_config
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

import mion_plugin.components  # noqa: F401  registers them
from mion_plugin.consistency.reading.consistency import MEASURES, DepthConsistency
from mion_plugin.evaluation.choice.quality import selection_statistics
from mion_plugin.evaluation.choice.rules import true_errors
from mion_plugin.files.presence import require_file
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS
from mion_plugin.weights import save_weights

_SUFFIX = ".pth"


def run(args: argparse.Namespace) -> int:
    """Calibrate, write the weights, print a row for each measure; returns the exit code."""
    if args.out.suffix != _SUFFIX:
        raise ValueError(f"{args.out}: expected a name that ends in {_SUFFIX}")
    require_file(args.checkpoint, "checkpoint")
    args.work_dir = None
    cfg = load_config(args)
    model = build_model(cfg, str(args.checkpoint))
    measures, errors = collect(model, Runner.build_dataloader(cfg.val_dataloader, seed=0))
    model.cen.calibrate(measures.flatten(0, 1), errors.flatten())
    save_weights(model.cen.state_dict(), args.out, half=args.half, body=model.body.fingerprint)
    print(f"{errors.numel()} bodies of {len(errors)} people, MPJPE {errors.mean():.1f} mm")
    print("| measure | slope | offset, m | gap closed | rank correlation |")
    print("| --- | --- | --- | --- | --- |")
    for index, measure in enumerate(MEASURES):
        found = selection_statistics(errors.numpy(), measures[..., index].numpy(), num_resamples=0)
        line = [f"{float(value[index]):.3f}" for value in (model.cen.calibration_slope, model.cen.calibration_offset)]
        if not model.cen.is_calibrated(measure):
            line = ["does not grow with the error: not calibrated", ""]
        chosen = " | ".join(f"{found.get(name, float('nan')):.2f}" for name in ("gap_closed", "spearman"))
        print(f"| {measure} | {' | '.join(line)} | {chosen} |")
    print(f"written: {args.out}")
    return 0


def build_model(cfg: Config, checkpoint: str) -> Any:
    """The config's model with other weights in its third stage.

    Raises:
        ValueError: Another model, another third stage, or no val_dataloader.
    """
    options: dict[str, Any] = {**cfg.model, "cen_checkpoint": checkpoint}
    if options.get("type") != "mion.MION" or not cfg.get("val_dataloader"):
        raise ValueError(f"config {cfg.filename}: expected a mion.MION and a val_dataloader")
    model: MultiInitializationOptimizationNetwork = MODELS.build(options)
    if not isinstance(model.cen, DepthConsistency):
        raise ValueError(f"config {cfg.filename}: cen is {type(model.cen).__name__}, expected a mion.DepthConsistency")
    return model.eval()


@torch.no_grad()
def collect(model: Any, batches: Iterable[Mapping[str, Any]]) -> tuple[Tensor, Tensor]:
    """Measures (S, N, M) and true MPJPE (S, N) in millimetres of all refined bodies of a data loader's people."""
    measures, errors = [], []
    for batch in batches:
        data = model.data_preprocessor(batch)
        bodies = model(**data).bodies
        measures.append(model.cen.measures(torch.stack(list(data["inputs"])), bodies))
        errors.append(true_errors(data["data_samples"], bodies, model.body))
    return torch.cat(measures), torch.cat(errors)
