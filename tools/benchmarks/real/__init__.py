"""Every way to an answer on a calibrated real clip with 3D truth, with its picture and without, into docs/real.md."""

from __future__ import annotations

import argparse
from pathlib import Path

EVERY, BLOCK = 2, 10  # frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--wheel", type=Path, metavar="FILE", help="a wheel of the clip's package that is there")
    source.add_argument("--clip", type=Path, metavar="FOLDER", help="the unpacked clip: calibration/ and videos/")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/real"), help="clip, results to go on from")
    parser.add_argument("--model", help="model, config or its path, as for MIONInferencer; default: the package's")
    parser.add_argument("--device", default="cpu", help="where the model runs")
    parser.add_argument("--every", type=int, default=EVERY, help="one frame of this many is measured")
    parser.add_argument("--block", type=int, default=BLOCK, help="consecutive frames of a block of the bootstrap")
    parser.add_argument("--out", type=Path, default=Path("docs/real.md"), help="Markdown file to write")


def run(args: argparse.Namespace) -> None:
    """Measure and write the page; see ``command.run``."""
    from benchmarks.real import command  # at first use: it needs OpenCV, which the other benchmarks do not

    command.run(args)


__all__ = ["BLOCK", "EVERY", "add_arguments", "run"]
