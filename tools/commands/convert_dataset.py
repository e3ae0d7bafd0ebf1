"""Converting an official archive, and what is said about it."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from mion_plugin.conversion import OFFICIAL_SETS
from mion_plugin.conversion.official_sets import convert_official_set
from mion_plugin.progress import ProgressLine


def run(args: argparse.Namespace) -> int:
    """Convert and report; returns the exit code."""
    images = args.data_root / "datasets" / args.dataset
    archive = args.archive or images
    out = args.data_root / "preprocessed_datasets"
    if not archive.is_dir():
        raise FileNotFoundError(f"{archive} is no folder. The archive: {OFFICIAL_SETS[args.dataset].source}")
    existing = out / f"{args.dataset}_{args.split}.npz"
    if existing.exists() and not args.overwrite:
        print(f"{existing} is there already; --overwrite converts again")
        return 0
    with ProgressLine() as progress:
        outcome = convert_official_set(args.dataset, args.split, archive, out, progress, **_options(args))
    for reason, count in outcome.left_out.items():
        print(f"left out {count} {reason}", file=sys.stderr)
    print(f"wrote {outcome.path}: {outcome.num_people} people")
    if not (images.exists() and archive.samefile(images)):
        print(f"the configs look for the images in {images}: ln -s {os.path.abspath(archive)} {images}")
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked for beyond the defaults."""
    given = {
        "extract": args.extract_frames or None,
        "turn": args.turn_images or None,
        "frame_step": args.frame_step,
        "mosh": args.mosh,
    }
    return {name: value for name, value in given.items() if value is not None}
