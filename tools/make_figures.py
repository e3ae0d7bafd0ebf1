"""Make the pictures of README and docs, and docs/figures.json, the numbers that are printed in them.

    python tools/make_figures.py            # all, about two minutes
    python tools/make_figures.py --only demo.jpg images/stage3_scores.jpg

The picture of the web page needs a Chromium (make browser) and is left out without. docs/growth.svg is a measurement:
tools/benchmark.py growth.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder (default: docs)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of the pictures, such as demo.jpg")
    return parser.parse_args(arguments)


@report_errors("make_figures.py")
def main(arguments: list[str] | None = None) -> int:
    """Write the pictures; 2 on bad input."""
    return run_command("make_figures", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
