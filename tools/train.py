"""Train a model from a config.

    python tools/train.py CONFIG [--work-dir DIR] [--resume [CHECKPOINT]] [--amp | --bf16] [--tf32]
        [--compile [BACKEND]] [--cfg-options KEY=VALUE ...]

Several GPUs: tools/dist_train.sh CONFIG NUM_GPUS.
"""

from __future__ import annotations

import argparse
import sys

from cli import OneLineParser, add_common_arguments, add_speed_arguments, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints; default: work_dirs/CONFIG")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from a checkpoint; without a name, from the latest in the work directory",
    )
    mixed = parser.add_mutually_exclusive_group()
    mixed.add_argument("--amp", action="store_true", help="automatic mixed precision in float16, with loss scaling")
    mixed.add_argument("--bf16", action="store_true", help="automatic mixed precision in bfloat16, which needs none")
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale the learning rate with the batch size")
    add_speed_arguments(parser)
    add_common_arguments(parser)
    return parser.parse_args(arguments)


@report_errors("train.py")
def main(arguments: list[str] | None = None) -> int:
    """Train; 2 on bad input."""
    return run_command("train", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
