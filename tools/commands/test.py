"""Testing on mmengine's runner."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from launching import add_hook, check_logs, launched, load_config
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from speed import compile_networks, evaluate_in_bfloat16, set_products

from mion_plugin.engine.checkpoints import prepare_checkpoints
from mion_plugin.engine.unwrapping import unwrapped_model
from mion_plugin.files import atomic_path
from mion_plugin.files.presence import require_file


def run(args: argparse.Namespace) -> int:
    """Evaluate; returns the exit code."""
    prepare_checkpoints()
    with launched(args):
        cfg = make_config(args)
        set_products(args)
        metrics = _test(cfg, args.compile)
        if args.out is not None and is_main_process():
            with atomic_path(args.out) as temporary:
                temporary.write_text(json.dumps(metrics, indent=1))
    return 0


def _test(cfg: Config, backend: str | None) -> dict[str, float]:
    """The metrics; a function of its own, since a runner that is still there keeps the processes' connection alive."""
    runner = Runner.from_cfg(cfg)
    if backend is not None:
        compile_networks(unwrapped_model(runner), backend)
    return runner.test()


def make_config(args: argparse.Namespace) -> Config:
    """The config with the command line's changes."""
    cfg = load_config(args)
    check_logs(cfg)
    if args.checkpoint is None and not _names_its_weights(cfg.get("model", {})):
        raise ValueError(
            f"CHECKPOINT is missing, and the model of {args.config} does not name the weights of its parts"
        )
    if args.checkpoint is not None:
        require_file(Path(args.checkpoint), "checkpoint")
    if args.out is not None and args.out.suffix != ".json":
        raise ValueError(f"--out {args.out}: expected a name that ends in .json")
    if args.checkpoint is not None:
        cfg.load_from = args.checkpoint
        add_hook(cfg, "mion.FittingCheckpointHook", source=args.checkpoint)
    if args.bf16:
        evaluate_in_bfloat16(cfg)
    if args.show_dir is not None:
        add_hook(cfg, "mion.ResultPicturesHook", out_dir=args.show_dir)
    return cfg


def _names_its_weights(model: dict[str, Any]) -> bool:
    """Whether a model is whole without a checkpoint."""
    parts = [part for part in ("refiner", "cen") if model.get(part)]
    return model.get("type") == "mion.MION" and all(model.get(f"{part}_checkpoint") for part in parts)
