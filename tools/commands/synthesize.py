"""Writing a synthetic data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.progress import ProgressLine
from mion_plugin.synthesis.writing import SetSettings, write_set
from mion_plugin.visualization.contact_sheet import contact_sheet
from mion_plugin.visualization.pictures import save_picture

SHEET_IMAGES = 64
BODY_OPTIONS = ("pitch_std", "roll_std", "wide_prob", "exchange_prob")  # of BodySettings


def run(args: argparse.Namespace) -> int:
    """Write the set, and the contact sheet on request; returns the exit code."""
    settings = SetSettings(
        num_images=args.num_images,
        split=args.split,
        seed=args.seed,
        image_size=args.image_size,
        pool=args.pool,
        test_clips=None if args.test_clips is None else tuple(args.test_clips),
        test_fraction=args.test_fraction,
        split_seed=args.split_seed,
        backgrounds=args.backgrounds,
        skins=args.skins,
        body_model=args.body_model,
        augment=args.augment,
        detected_noise=args.detected_noise,
        looks=args.looks or ("training" if args.split == "train" else "plain"),
        bodies=tuple((name, getattr(args, name)) for name in BODY_OPTIONS if getattr(args, name) is not None),
    )
    with ProgressLine() as progress:
        path = write_set(settings, args.out, args.workers, lambda done: progress(done, settings.num_images))
    print(f"wrote {path}")
    if args.contact_sheet is not None:
        write_contact_sheet(path, args.contact_sheet)
        print(f"wrote {args.contact_sheet}")
    return 0


def write_contact_sheet(annotations: Path, file: Path) -> None:
    """The first images of a written set on one picture."""
    names = load_human_data(annotations).require("image_path")[:SHEET_IMAGES]
    images = [read_image(annotations.parent / name) for name in names]
    save_picture(contact_sheet(images), file)
