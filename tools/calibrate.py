"""Calibrate the scores of a mion.DepthConsistency: how large is a body's error, given its measure?

    python tools/calibrate.py CONFIG CHECKPOINT OUT.pth [--half] [--cfg-options KEY=VALUE ...]

CONFIG is a mion.MION with such a third stage, CHECKPOINT holds that stage's weights. The refined bodies of the config's
val_dataloader are measured and compared with the truth; OUT.pth gets the weights with the calibration.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, add_common_arguments, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("config", help="config file of a mion.MION")
    parser.add_argument("checkpoint", type=Path, help="weights of its third stage")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write, ending in .pth")
    parser.add_argument("--half", action="store_true", help="16 bits per number: half the size")
    add_common_arguments(parser)
    return parser.parse_args(arguments)


@report_errors("calibrate.py")
def main(arguments: list[str] | None = None) -> int:
    """Calibrate; 2 on bad input."""
    return run_command("calibrate", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
