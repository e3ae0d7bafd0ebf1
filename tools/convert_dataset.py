"""Convert the official archive of a data set to the HumanData file that the configs name.

    python tools/convert_dataset.py lsp --split train
    python tools/convert_dataset.py pw3d --split test --archive /data/3DPW
    python tools/convert_dataset.py surreal --split train_run0 --extract-frames --frame-step 10

Reads data/datasets/NAME, where the configs look for the images too, and writes data/preprocessed_datasets. What each
set needs, and where to get it: docs/data.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cli import OneLineParser, report_errors, run_command

from mion_plugin.conversion import OFFICIAL_SETS


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dataset", choices=list(OFFICIAL_SETS))
    parser.add_argument("--split", required=True, help="; ".join(f"{n}: {', '.join(s.splits)}" for n, s in _sets()))
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="the data_prefix of the configs")
    parser.add_argument("--archive", type=Path, help="the unpacked archive; default: DATA_ROOT/datasets/DATASET")
    parser.add_argument("--overwrite", action="store_true", help="convert again what is there already")
    parser.add_argument(
        "--extract-frames",
        action="store_true",
        help="h36m, mpi_inf_3dhp, surreal: write the videos' frames beside them",
    )
    parser.add_argument(
        "--turn-images", action="store_true", help="bedlam: write the images of close-up scenes upright, beside them"
    )
    parser.add_argument("--frame-step", type=int, metavar="N", help="surreal: every Nth frame of a clip; default 10")
    parser.add_argument("--mosh", type=Path, metavar="DIR", help="h36m, split mosh_train: folder of the MoSh files")
    return parser.parse_args(arguments)


def _sets() -> list[tuple[str, Any]]:
    return list(OFFICIAL_SETS.items())


@report_errors("convert_dataset")
def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    return run_command("convert_dataset", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
