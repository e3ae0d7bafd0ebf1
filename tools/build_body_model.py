"""Build the free stand-in body, or write it in the files that smplx and mmhuman3d read.

python tools/build_body_model.py                          # rebuild the shipped file (needs the extra "body")
python tools/build_body_model.py --export-dir data/body   # SMPL_*.pkl and regressors from the shipped file
python tools/build_body_model.py --preview outputs        # pictures of the shipped file
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, run_command

from mion_plugin.constants import STAND_IN_GENDERS, STAND_IN_PATH


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line, see ``--help``."""
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, help=f"the .npz file to build (default: {STAND_IN_PATH})")
    parser.add_argument("--seed", type=int, default=0, help="of the sampled shapes and poses (default: 0)")
    parser.add_argument(
        "--export-dir",
        type=Path,
        help="write SMPL_*.pkl and J_regressor_*.npy here from the shipped file; builds nothing",
    )
    parser.add_argument(
        "--preview", type=Path, metavar="DIR", help="write pictures of the shipped file here; builds nothing"
    )
    parser.add_argument(
        "--gender", choices=[*STAND_IN_GENDERS, "all"], default="all", help="what to export or preview (default: all)"
    )
    options = parser.parse_args(arguments)
    if options.out is not None and (options.export_dir or options.preview):
        parser.error("--out builds; --export-dir and --preview read the shipped file: give one or the other")
    if options.out is not None and options.out.suffix != ".npz":
        parser.error(f"--out {options.out} must end in .npz")
    if options.seed < 0:
        parser.error(f"--seed {options.seed} must not be negative")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code, 2 for bad input."""
    return run_command("build_body_model", parse_arguments(arguments))


if __name__ == "__main__":
    sys.exit(main())
