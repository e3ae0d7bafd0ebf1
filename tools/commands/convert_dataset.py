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
    options = _options(args)
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
        outcome = convert_official_set(args.dataset, args.split, archive, out, progress, **options)
    for reason, count in outcome.left_out.items():
        print(f"left out {count} {reason}", file=sys.stderr)
    print(f"wrote {outcome.path}: {outcome.num_people} people")
    if not (images.exists() and archive.samefile(images)):
        print(f"the configs look for the images in {images}: ln -s {os.path.abspath(archive)} {images}")
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked for beyond the defaults.

    Raises:
        ValueError: The set's converter has no such option.
    """
    given = {
        "--extract-frames": ("extract", args.extract_frames or None),
        "--turn-images": ("turn", args.turn_images or None),
        "--frame-step": ("frame_step", args.frame_step),
        "--mosh": ("mosh", args.mosh),
    }
    chosen = {flag: (name, value) for flag, (name, value) in given.items() if value is not None}
    for flag, (name, _) in chosen.items():
        if name not in OFFICIAL_SETS[args.dataset].options:
            takers = [other for other, official in OFFICIAL_SETS.items() if name in official.options]
            raise ValueError(f"{flag} is for {', '.join(takers)}; {args.dataset} has no use for it")
    return dict(chosen.values())
