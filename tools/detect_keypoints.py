"""Detect 2D keypoints of people in boxes with HRNet-W48 (another network of mmpose, 0.2x or 1.x; RTMPose in ONNX).

    python tools/detect_keypoints.py --human-data data/preprocessed_datasets/pw3d_test.npz \\
        --image-root data/datasets/pw3d --out data/preprocessed_datasets/pw3d_test_hrnet.npz --box-scale 0.8333
    python tools/detect_keypoints.py --coco person_keypoints_val2017.json --image-root val2017 --out hrnet_val2017.json
    python tools/detect_keypoints.py --images photographs --out keypoints.json

--out NAME.npz is a HumanData file whose ``keypoints2d_detected`` mion.HumanDataset reads with
keypoints2d_source='detected'; --out NAME.json a COCO annotation file. A run that was killed goes on when started again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--human-data", type=Path, metavar="NPZ", help="people and boxes (bbox_xywh) of a HumanData file"
    )
    source.add_argument("--coco", type=Path, metavar="JSON", help="people and boxes of a COCO annotation file")
    source.add_argument("--images", type=Path, metavar="FOLDER", help="photographs of one person each, in no box")
    parser.add_argument("--image-root", type=Path, help="folder that image paths start from; default: beside the file")
    parser.add_argument("--out", type=Path, required=True, help="NAME.npz (HumanData) or NAME.json (COCO)")
    parser.add_argument(
        "--config",
        help="mmpose: file, or name of one that comes with it; or rtmpose, or rtmpose-s, -m, -x: RTMPose in ONNX; "
        "default: HRNet-W48 256 x 192",
    )
    parser.add_argument(
        "--checkpoint",
        help="path or URL of the weights; a NAME.onnx is RTMPose's; default: the public ones of HRNet-W48, of RTMPose",
    )
    parser.add_argument("--device", help="where to run")
    parser.add_argument("--batch-size", type=int, default=32, help="people at once")
    parser.add_argument("--workers", type=int, default=2, help="threads that read images")
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.0,
        help="factor on the boxes; mmhuman3d's converters enlarge them by 1.2, which 0.8333 undoes",
    )
    parser.add_argument("--min-score", type=float, default=0.3, help="JSON: confidence that counts as seen")
    return parser.parse_args(arguments)


@report_errors("detect_keypoints")
def main(arguments: list[str] | None = None) -> int:
    """Run the tool; 2 on bad input."""
    return run_command("detect_keypoints", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
