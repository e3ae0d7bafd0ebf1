"""Build a candidate pool from motion capture.

    python tools/build_candidate_pool.py --source AMASS/ --out pool.npz --num-poses 10000 --num-orientations 30

Sources are folders and files, mixed at will: AMASS .npz, SMPL pose arrays .npy/.npz, BVH, ASF/AMC. What cannot be read
is listed and skipped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--source", nargs="+", type=Path, required=True, help="folders and files of motion capture")
    parser.add_argument("--out", type=Path, required=True, help="pool file to write, .npz")
    parser.add_argument("--num-poses", type=int, default=10000, help="body poses at most, mirror images included")
    parser.add_argument("--num-orientations", type=int, default=30, help="global orientations")
    parser.add_argument(
        "--orientations", type=Path, help="array file of global orientations in the camera frame to cluster"
    )
    parser.add_argument("--body-model", type=Path, help="SMPL file or folder; the free stand-in when left out")
    parser.add_argument("--seed", type=int, default=0, help="seed of the clusterings")
    parser.add_argument("--no-mirror", action="store_true", help="leave out left-right mirror images")
    parser.add_argument("--fps", type=float, default=10.0, help="thin recordings to about this many frames a second")
    parser.add_argument("--note", help="text to keep in the pool, such as an acknowledgement of the data")
    return parser.parse_args(arguments)


@report_errors("build_candidate_pool")
def main(arguments: list[str] | None = None) -> int:
    """Build, write and report; returns the exit code."""
    return run_command("build_candidate_pool", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
