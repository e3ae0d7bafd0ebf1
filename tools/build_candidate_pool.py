"""Build a candidate pool from motion capture.

    python tools/build_candidate_pool.py --source AMASS/ --out pool.npz --num-poses 10000 --num-orientations 30

Sources are folders and files, mixed at will: AMASS .npz, SMPL pose arrays .npy/.npz, BVH, ASF/AMC. What cannot be read
is listed and skipped.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cli import OneLineParser, report_errors

from mion_plugin.asset_building.pool import Collection, PoolRecipe, build_pool
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import CandidatePool, save_pool
from mion_plugin.files import remove_leftovers


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
    parser.add_argument("--note", default="", help="text to keep in the pool, such as an acknowledgement of the data")
    return parser.parse_args(arguments)


@report_errors("build_candidate_pool")
def main(arguments: list[str] | None = None) -> int:
    """Build, write and report; returns the exit code."""
    args = parse_args(arguments)
    check_out(args.out)
    remove_leftovers(args.out)
    recipe = PoolRecipe(
        sources=args.source,
        num_poses=args.num_poses,
        num_orientations=args.num_orientations,
        orientations=args.orientations,
        seed=args.seed,
        mirror=not args.no_mirror,
        fps=args.fps,
    )
    pool, collection = build_pool(recipe, SMPLBody(args.body_model), note=args.note)
    save_pool(pool, args.out)
    report_skipped(collection)
    report_pool(pool, collection, args)
    return 0


def check_out(path: Path) -> None:
    """Refuse, before minutes of work, a file that cannot be written.

    Raises:
        ValueError: Not the name of an ``.npz`` file.
        OSError: Its folder cannot be created or written.
    """
    if path.suffix != ".npz" or path.is_dir():
        raise ValueError(f"--out {path}: expected the name of an .npz file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OSError(f"--out {path}: cannot write in {folder}")


def report_skipped(collection: Collection) -> None:
    """List the files and frames that were left out, and why."""
    for name, reason in collection.skipped.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    if collection.implausible:
        frames, files = sum(collection.implausible.values()), len(collection.implausible)
        print(f"left out {frames} frames of {files} files: joints turned further than a body can", file=sys.stderr)
    if collection.ignored:
        others = ", ".join(f"{count} {suffix}" for suffix, count in sorted(collection.ignored.items()))
        print(f"not motion capture by name: {others}", file=sys.stderr)


def report_pool(pool: CandidatePool, collection: Collection, args: argparse.Namespace) -> None:
    """Say what came out."""
    for folder, counts in pool.metadata["sources"].items():
        print(f"{folder}: {counts['files']} files, {counts['frames']} frames")
    num_poses, num_orientations = len(pool.body_pose), len(pool.global_orient)
    print(f"{args.out}: {num_poses} poses x {num_orientations} orientations, {os.path.getsize(args.out) / 1e6:.2f} MB")
    if num_poses < args.num_poses:
        print(f"the sources hold only {num_poses} distinct poses, {args.num_poses} were asked for")
    if num_orientations < args.num_orientations:
        print(f"the file holds only {num_orientations} distinct orientations, {args.num_orientations} were asked for")


if __name__ == "__main__":
    sys.exit(main())
