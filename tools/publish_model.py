"""Make a training's checkpoint fit to be shipped: weights alone, in half precision on request.

    python tools/publish_model.py IN.pth OUT.pth [--half] [--part cen] [--body-model PATH]

Optimiser, logs and the config's text, which names folders of the machine, are left out. The fingerprint of the body
model stays, which the network was trained with: networks with another body refuse the file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command

from mion_plugin.constants import STAND_IN


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path, metavar="IN", help="checkpoint of a training")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write, ending in .pth")
    parser.add_argument("--half", action="store_true", help="16 bits per number: half the size")
    parser.add_argument("--part", help="keep the weights of one part of the model, such as cen, named as its own")
    parser.add_argument(
        "--body-model",
        metavar="PATH",
        help=f"what it was trained with, where IN does not tell: a SMPL file or folder, or {STAND_IN!r}",
    )
    return parser.parse_args(arguments)


@report_errors("publish_model.py")
def main(arguments: list[str] | None = None) -> int:
    """Publish; 2 on bad input."""
    return run_command("publish_model", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
