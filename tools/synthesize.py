"""Write a synthetic data set: pictures of dressed bodies in SURREAL's manner, and a HumanData file.

    python tools/synthesize.py --out data/synthetic --num-images 20000 --split train
    python tools/synthesize.py --out data/synthetic --num-images 1000 --split test --seed 1

Training pictures have the package's photographs behind people, skins, occluders and the faults of cheap cameras; others
are plain unless --looks says so. Train and test poses come from different recordings. A run that was killed goes on
when started again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command

from mion_plugin.constants import IMAGE_SIZE, LOOKS, TEST_FRACTION


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
    parser.add_argument("--looks", choices=LOOKS, help="recipe; default: training for --split train, else plain")
    parser.add_argument("--backgrounds", help="photographs, procedural, or a folder of images; default: the recipe's")
    parser.add_argument("--skins", help="makehuman, plain, or a folder of MakeHuman textures; default: the recipe's")
    parser.add_argument("--body-model", help="SMPL file or folder; default: the free stand-in")
    parser.add_argument(
        "--augment", action="store_true", help="mild blur, noise, JPEG and blocks for the recipe's faults"
    )
    parser.add_argument("--pitch-std", type=float, metavar="DEG", help="of the camera; default: the recipe's")
    parser.add_argument("--roll-std", type=float, metavar="DEG", help="of the camera; default: the recipe's")
    parser.add_argument(
        "--wide-prob", type=float, metavar="P", help="share of cameras held freely; default: the recipe's"
    )
    parser.add_argument("--exchange-prob", type=float, metavar="P", help="of limbs taken from another pose; default: 0")
    parser.add_argument("--detected-noise", type=float, metavar="PX", help="also write detected keypoints so blurred")
    parser.add_argument("--contact-sheet", type=Path, metavar="FILE", help="also write the first 64 images on one")
    parser.add_argument("--workers", type=int, default=2, help="processes; 0 for this one")
    return parser.parse_args(arguments)


@report_errors("synthesize")
def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    return run_command("synthesize", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
