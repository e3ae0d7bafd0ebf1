"""Options that the demo and the web page share: where people come from, and the model."""

from __future__ import annotations

import argparse
from pathlib import Path

from mion_plugin.constants import STAND_IN_GENDERS


def add_people_arguments(group: argparse._ArgumentGroup) -> None:
    """Where people and their 2D keypoints come from."""
    group.add_argument(
        "--keypoints",
        type=Path,
        help="COCO keypoint annotations that name the images, or a folder of OpenPose's --write_json",
    )
    add_detector_arguments(group)
    group.add_argument(
        "--no-depths",
        action="store_true",
        help="go by 2D keypoints alone; default: also by the depths that the light detector gives",
    )
    group.add_argument(
        "--no-correction",
        action="store_true",
        help="take the keypoints as they are given, for exact ones; default: moved to where the picture shows them",
    )


def add_detector_arguments(group: argparse._ArgumentGroup) -> None:
    """Another detector than the light one."""
    group.add_argument(
        "--pose-config",
        help="mmpose: config of a top-down network, or its name there; or rtmpose, rtmpose-s, -m, -x: RTMPose in ONNX",
    )
    group.add_argument(
        "--pose-checkpoint",
        help="its weights, path or URL; a NAME.onnx is RTMPose's; default of rtmpose: downloaded on first use",
    )
    group.add_argument(
        "--person-checkpoint", help="RTMPose: .onnx of the YOLOX that finds people, path or URL; default: likewise"
    )


def add_model_arguments(group: argparse._ArgumentGroup) -> None:
    """Which model, and how it runs."""
    group.add_argument("--config", type=Path, help="config of a mion.MION; default: the small model of the package")
    group.add_argument("--checkpoint", type=Path, help="weights of the config's whole model")
    group.add_argument("--num-candidates", type=int, help="how many bodies; default: 5, or the config's")
    group.add_argument("--body-model", type=Path, help="SMPL file or folder; default: the free stand-in")
    group.add_argument("--pool", type=Path, help="candidate pool; default: the one that comes with the package")
    group.add_argument("--device", help="cpu, cuda, cuda:1; default: a GPU where there is one")
    group.add_argument("--amp", action="store_true", help="run the networks in mixed precision")


def add_gender_argument(group: argparse._ArgumentGroup) -> None:
    """Of which sex the bodies are shown."""
    group.add_argument(
        "--gender",
        choices=STAND_IN_GENDERS,
        help="put the bodies on the male or female body, and fit them to the keypoints anew (default: neutral)",
    )
