"""Make the pictures of docs/concepts.md: what each stage does with the photograph that comes with the package.

python tools/make_figures.py            # writes docs/images/*.jpg, about half a minute
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder (default: docs/images)")
    return parser.parse_args(arguments)


@report_errors("make_figures.py")
def main(arguments: list[str] | None = None) -> int:
    """Write the pictures; 2 on bad input."""
    return run_command("make_figures", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
