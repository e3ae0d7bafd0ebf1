"""Write a cache of crops: a picture around every person of a data set, and its annotation file for those pictures.

    python tools/cache_crops.py h36m_mosh_train.npz --dataset h36m --out data/crops
    python tools/cache_crops.py train.npz --data-root data/synthetic --out data/synthetic_crops

Trainings then read data/crops (data_prefix or data_root of mion.HumanDataset) and get the same samples several times as
fast. A picture holds all that the configs' augmentation can show, in no more pixels than the crop has. A run that was
killed goes on when started again. See docs/loader.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command

from mion_plugin.constants import IMAGE_SIZE


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("ann_file", help="HumanData file: ann_file of mion.HumanDataset")
    parser.add_argument("--dataset", metavar="NAME", help="dataset_name, for mmhuman3d's layout below --data-root")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="data_prefix with --dataset, or data_root")
    parser.add_argument("--img-prefix", metavar="DIR", help="without --dataset: folder of the images in --data-root")
    parser.add_argument("--out", type=Path, required=True, help="the same layout there; not --data-root itself")
    parser.add_argument("--format", choices=["jpg", "png"], default="jpg", help="png loses nothing; default: jpg")
    parser.add_argument("--quality", type=int, default=95, help="of JPEG, 1 to 100; default: 95")
    parser.add_argument("--crop-size", type=int, default=IMAGE_SIZE, metavar="PX", help="side of the largest crop")
    parser.add_argument("--scale-factor", type=float, default=0.25, help="of GetRandomScaleRotation, at most")
    parser.add_argument("--rot-factor", type=float, default=30.0, metavar="DEG", help="of GetRandomScaleRotation")
    parser.add_argument("--all-pixels", action="store_true", help="keep the photographs' pixels: larger files")
    parser.add_argument("--allow-lost", action="store_true", help="go on where images are missing or broken")
    parser.add_argument("--workers", type=int, default=2, help="processes; 0 for this one")
    return parser.parse_args(arguments)


@report_errors("cache_crops")
def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    return run_command("cache_crops", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
