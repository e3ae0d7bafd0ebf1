"""Evaluate a checkpoint.

    python tools/test.py CONFIG [CHECKPOINT] [--out FILE.json] [--show-dir DIR] [--cfg-options KEY=VALUE ...]

A mion.MION whose config names the weights of its parts needs no checkpoint.
Several GPUs: tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from cli import OneLineParser, add_common_arguments, add_hook, launched, load_config, report_errors
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mion_plugin.engine.checkpoints import prepare_checkpoints
from mion_plugin.files import atomic_path


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file")
    parser.add_argument("--work-dir", help="folder for logs; default: work_dirs/CONFIG")
    parser.add_argument("--out", type=Path, help="write the metrics as JSON")
    parser.add_argument("--show-dir", help="write pictures of results to this folder")
    add_common_arguments(parser)
    return parser.parse_args(arguments)


def make_config(args: argparse.Namespace) -> Config:
    """The config with the command line's changes."""
    cfg = load_config(args)
    if args.checkpoint is None and not _names_its_weights(cfg.get("model", {})):
        raise ValueError(
            f"CHECKPOINT is missing, and the model of {args.config} does not name the weights of its parts"
        )
    if args.checkpoint is not None and not Path(args.checkpoint).is_file():
        raise FileNotFoundError(f"checkpoint {args.checkpoint} does not exist")
    if args.out is not None and args.out.suffix != ".json":
        raise ValueError(f"--out {args.out}: expected a name that ends in .json")
    if args.checkpoint is not None:
        cfg.load_from = args.checkpoint
        add_hook(cfg, "mion.FittingCheckpointHook", source=args.checkpoint)
    if args.show_dir is not None:
        add_hook(cfg, "mion.ResultPicturesHook", out_dir=args.show_dir)
    return cfg


def _names_its_weights(model: dict[str, Any]) -> bool:
    """Whether a model is whole without a checkpoint."""
    parts = [part for part in ("refiner", "cen") if model.get(part)]
    return model.get("type") == "mion.MION" and all(model.get(f"{part}_checkpoint") for part in parts)


@report_errors("test.py")
def main(arguments: list[str] | None = None) -> int:
    """Evaluate; 2 on bad input."""
    args = parse_args(arguments)
    prepare_checkpoints()
    with launched(args):
        metrics = Runner.from_cfg(make_config(args)).test()
        if args.out is not None and is_main_process():
            with atomic_path(args.out) as temporary:
                temporary.write_text(json.dumps(metrics, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
