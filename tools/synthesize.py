"""Write a synthetic data set: pictures of dressed bodies in SURREAL's manner, and a HumanData file.

    python tools/synthesize.py --out data/synthetic --num-images 20000 --split train
    python tools/synthesize.py --out data/synthetic --num-images 1000 --split test --seed 1

Train and test poses come from different recordings. A run that was killed goes on when started again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors
from mmengine.utils import ProgressBar

from mion_plugin.candidates.splits import TEST_FRACTION
from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.synthesis.writing import SetSettings, write_set
from mion_plugin.visualization.contact_sheet import contact_sheet
from mion_plugin.visualization.pictures import save_picture

SHEET_IMAGES = 64


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder; gets SPLIT.npz and images/SPLIT")
    parser.add_argument("--num-images", type=int, required=True, help="how many")
    parser.add_argument("--split", choices=["train", "test", "all"], default="train", help="which recordings")
    parser.add_argument("--seed", type=int, default=0, help="sample i of a seed is always the same")
    parser.add_argument("--image-size", type=int, default=IMAGE_SIZE, help="side in pixels")
    parser.add_argument("--pool", help="candidate pool to take poses from; default: the one of the package")
    parser.add_argument("--test-clips", nargs="+", metavar="NAME", help="test clips by (part of their) name")
    parser.add_argument("--test-fraction", type=float, default=TEST_FRACTION, help="share of test recordings")
    parser.add_argument("--split-seed", type=int, default=0, help="another one gives other test recordings")
    parser.add_argument("--backgrounds", help="folder of images; default: procedural")
    parser.add_argument("--skins", help="folder of MakeHuman skin textures; default: plain skin")
    parser.add_argument("--body-model", help="SMPL file or folder; default: the free stand-in")
    parser.add_argument("--augment", action="store_true", help="occluders, blur, noise and JPEG on some images")
    parser.add_argument("--detected-noise", type=float, metavar="PX", help="also write detected keypoints so blurred")
    parser.add_argument("--contact-sheet", type=Path, metavar="FILE", help="also write the first 64 images on one")
    parser.add_argument("--workers", type=int, default=2, help="processes; 0 for this one")
    return parser.parse_args(arguments)


@report_errors("synthesize")
def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    args = parse_args(arguments)
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
    )
    bar = ProgressBar(settings.num_images, file=sys.stderr)

    def progress(done: int) -> None:
        if done > bar.completed:
            bar.update(done - bar.completed)

    path = write_set(settings, args.out, args.workers, progress)
    sys.stderr.write("\n")
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


if __name__ == "__main__":
    sys.exit(main())
