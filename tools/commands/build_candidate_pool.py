"""Building a candidate pool, and what is said about it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mion_plugin.asset_building.pool import Collection, PoolRecipe, build_pool
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import CandidatePool, save_pool
from mion_plugin.files import remove_leftovers


def run(args: argparse.Namespace) -> int:
    """Build, write and report; returns the exit code."""
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
    pool, collection = build_pool(recipe, SMPLBody(args.body_model), note=args.note or "")
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
