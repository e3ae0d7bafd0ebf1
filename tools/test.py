"""Evaluate a checkpoint.

    python tools/test.py CONFIG CHECKPOINT [--out FILE.json] [--show-dir DIR] [--cfg-options KEY=VALUE ...]

Several GPUs: tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cli import OneLineParser, add_common_arguments, add_hook, load_config, report_errors, start_launcher
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mion_plugin.engine.checkpoints import prepare_checkpoints
from mion_plugin.files import atomic_path


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--work-dir", help="folder for logs; default: work_dirs/CONFIG")
    parser.add_argument("--out", type=Path, help="write the metrics as JSON")
    parser.add_argument("--show-dir", help="write pictures of results to this folder")
    add_common_arguments(parser)
    return parser.parse_args(arguments)


def make_config(args: argparse.Namespace) -> Config:
    """The config with the command line's changes."""
    cfg = load_config(args)
    if not Path(args.checkpoint).is_file():
        raise FileNotFoundError(f"checkpoint {args.checkpoint} does not exist")
    if args.out is not None and args.out.suffix != ".json":
        raise ValueError(f"--out {args.out}: expected a name that ends in .json")
    cfg.load_from = args.checkpoint
    add_hook(cfg, "mion.FittingCheckpointHook", source=args.checkpoint)
    if args.show_dir is not None:
        add_hook(cfg, "mion.ResultPicturesHook", out_dir=args.show_dir)
    return cfg


@report_errors("test.py")
def main(arguments: list[str] | None = None) -> int:
    """Evaluate; 2 on bad input."""
    args = parse_args(arguments)
    prepare_checkpoints()
    start_launcher(args)
    metrics = Runner.from_cfg(make_config(args)).test()
    if args.out is not None and is_main_process():
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(metrics, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
