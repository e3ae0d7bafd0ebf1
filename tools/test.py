"""Evaluate a checkpoint.

    python tools/test.py CONFIG [CHECKPOINT] [--out FILE.json] [--show-dir DIR] [--bf16] [--tf32]
        [--compile [BACKEND]] [--cfg-options KEY=VALUE ...]

A mion.MION whose config names the weights of its parts needs no checkpoint.
Several GPUs: tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, add_common_arguments, add_speed_arguments, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file")
    parser.add_argument("--work-dir", help="folder for logs; default: work_dirs/CONFIG")
    parser.add_argument("--out", type=Path, help="write the metrics as JSON")
    parser.add_argument("--show-dir", help="write pictures of results to this folder")
    parser.add_argument("--bf16", action="store_true", help="run the networks in bfloat16")
    add_speed_arguments(parser)
    add_common_arguments(parser)
    return parser.parse_args(arguments)


@report_errors("test.py")
def main(arguments: list[str] | None = None) -> int:
    """Evaluate; 2 on bad input."""
    return run_command("test", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
