"""Score the bodies of any method on photographs: by the picture, by the 2D keypoints, and by both.

    python tools/score.py photo.jpg --bodies bodies.npz --keypoints coco_keypoints.json
    python tools/score.py photos/ --bodies predictions/000000.npz --gt truth.npz
    python tools/score.py photo.jpg --bodies hmr2.npz prohmr.npz --body-model SMPL_NEUTRAL.pkl --keypoints k.json

A file of bodies holds N for each person: SMPL's parameters or vertices, in the project's own layout or that of its
results, of 4D-Humans, ScoreHypo or, once converted, SAM 3D Body (docs/reuse.md). Bodies of several files compete.

Written are scores.json and of each person N a picture of the best bodies (NAME_personN.png); with the truth (--gt) also
how much of the gap between a random and the best of the first 1 .. N bodies each rule closes: printed, and in the files
gap_closed.md and gap_closed.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command
from demos.options import add_detector_arguments


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    _add_input(parser.add_argument_group("what to score"))
    _add_model(parser.add_argument_group("the model"))
    _add_output(parser.add_argument_group("what to write"))
    return parser.parse_args(arguments)


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument("input", metavar="INPUT", help="image, folder or glob")
    group.add_argument(
        "--bodies", type=Path, nargs="+", required=True, metavar="FILE", help="bodies of a method, or of several"
    )
    group.add_argument("--keypoints", type=Path, help="COCO keypoint annotations that name the images")
    add_detector_arguments(group)
    group.add_argument("--gt", type=Path, metavar="FILE", help="true bodies, or joints, of the same people")


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--config", type=Path, help="config of a mion.MION; default: the small model of the package")
    group.add_argument("--checkpoint", type=Path, help="weights of the config's whole model")
    group.add_argument(
        "--body-model", type=Path, help="SMPL file or folder that the bodies are of; default: the model's own body"
    )
    group.add_argument("--device", help="cpu, cuda, cuda:1; default: a GPU where there is one")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the results (default: outputs)")
    group.add_argument(
        "--rule",
        choices=["cen", "reprojection", "cen+reprojection"],
        help="what ranks the bodies; default: the model's",
    )
    group.add_argument("--draw", type=int, default=5, help="how many of the best to draw; 0 for none (default: 5)")
    group.add_argument("--resamples", type=int, default=1000, help="of the people, for intervals (default: 1000)")
    group.add_argument("--seed", type=int, default=0, help="of the resampling (default: 0)")


@report_errors("score.py")
def main(arguments: list[str] | None = None) -> int:
    """Run the tool; 2 on bad input."""
    return run_command("score", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
