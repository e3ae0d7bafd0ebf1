"""Writing a cache of crops, and what is said about it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mion_plugin.conversion.crop_cache import CacheOptions, Layout, cache_crops
from mion_plugin.conversion.crop_regions import Augmentation
from mion_plugin.files.relative_paths import leads_out
from mion_plugin.progress import ProgressLine


def run(args: argparse.Namespace) -> int:
    """Write the cache and report; returns the exit code."""
    options = CacheOptions(
        Augmentation(args.crop_size, args.scale_factor, args.rot_factor),
        image_format=args.format,
        quality=args.quality,
        all_pixels=args.all_pixels,
        allow_lost=args.allow_lost,
    )
    source, out = (layout(root, args.ann_file, args.dataset, args.img_prefix) for root in (args.data_root, args.out))
    with ProgressLine() as progress:
        cached = cache_crops(source, out, options, args.workers, progress)
    if cached.num_lost:
        print(f"no picture of {cached.num_lost} people, whose images are missing or broken", file=sys.stderr)
    print(f"wrote {cached.path}: {cached.num_people} people")
    print(f"train on it: {'data_prefix' if args.dataset else 'data_root'}={str(args.out)!r} of mion.HumanDataset")
    return 0


def layout(root: Path, ann_file: str, dataset: str | None, img_prefix: str | None) -> Layout:
    """Where ``mion.HumanDataset`` looks with these options.

    Raises:
        ValueError: Both kinds of layout at once, or a path that is not below ``root``.
    """
    if dataset is not None and img_prefix is not None:
        raise ValueError("--img-prefix is for mmengine's layout, --dataset for mmhuman3d's; give one of them")
    for option, value in (("the annotation file", ann_file), ("--dataset", dataset), ("--img-prefix", img_prefix)):
        if value and leads_out(value):
            raise ValueError(f"{option} {value!r}, expected a path below {root}")
    if dataset is not None:
        return Layout(root / "preprocessed_datasets" / ann_file, root / "datasets" / dataset)
    return Layout(root / ann_file, root / (img_prefix or ""))
