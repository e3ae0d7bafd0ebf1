"""Detecting people's keypoints with a network of mmpose, or RTMPose in ONNX."""

from __future__ import annotations

import argparse
import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from mion_plugin.detection.detection_run import Detections, check_pace, detect_people
from mion_plugin.detection.keypoint_estimator import KeypointEstimator
from mion_plugin.detection.keypoint_files import (
    SUFFIXES,
    add_to_human_data,
    stored_settings,
    write_coco,
    write_human_data,
)
from mion_plugin.detection.mmpose_estimator import (
    build_mmpose_estimator,
    default_checkpoint,
    find_config,
)
from mion_plugin.detection.person_boxes import PersonBoxes, boxes_of_coco, boxes_of_human_data, boxes_of_images
from mion_plugin.detection.pose_checkpoint import fetch_checkpoint, load_pose_weights
from mion_plugin.detection.rtmpose import RTMPoseEstimator, fetch_pose_network, is_rtmpose
from mion_plugin.files import remove_leftovers
from mion_plugin.files.hashing import hash_file, lengths_digest
from mion_plugin.files.pieces import check_settings
from mion_plugin.progress import ProgressLine


def run(args: argparse.Namespace) -> int:
    """Detect, write and report; returns the exit code."""
    if args.out.suffix not in SUFFIXES:
        raise ValueError(f"--out {args.out}, expected a name that ends in {' or '.join(SUFFIXES)}")
    check_pace(args.batch_size, args.workers)
    people, image_root = read_people(args)
    written = detect(people, image_root, args)
    print(f"{'wrote' if written else 'already complete:'} {args.out}: {len(people)} people")
    return 0


def read_people(args: argparse.Namespace) -> tuple[PersonBoxes, Path]:
    """Whose keypoints to detect, and the folder of the images."""
    if args.images is not None:
        return boxes_of_images(args.images).scaled(args.box_scale), args.images
    read, file = (boxes_of_coco, args.coco) if args.coco is not None else (boxes_of_human_data, args.human_data)
    return read(file).scaled(args.box_scale), args.image_root or file.parent


@dataclass(frozen=True)
class Network:
    """A network whose files are here, and which is not built yet.

    Attributes:
        told: What it is, for the settings.
        weights: File.
        build: Builds it for a device.
    """

    told: dict[str, str]
    weights: Path
    build: Callable[[str], KeypointEstimator]


def choose_network(config: str | None, checkpoint: str | None) -> Network:
    """The network of a command line."""
    if is_rtmpose(config, checkpoint):
        weights = fetch_pose_network(config, checkpoint)
        estimator = functools.partial(RTMPoseEstimator, weights)
        return Network({"rtmlib": metadata.version("rtmlib")}, weights, estimator)
    path = find_config(config)
    weights = fetch_checkpoint(checkpoint or default_checkpoint(config))
    told = {"mmpose": metadata.version("mmpose"), "config": path.name}
    return Network(told, weights, functools.partial(build_mmpose, path, weights))


def build_mmpose(config: Path, weights: Path, device: str) -> KeypointEstimator:
    """A network of mmpose with its weights."""
    estimator = build_mmpose_estimator(config, device)
    load_pose_weights(estimator.model, weights)
    return estimator


def describe_run(people: PersonBoxes, network: Network, args: argparse.Namespace, **more: str) -> str:
    """What decides the result, and ``more``, as JSON."""
    told = {
        **network.told,
        "checkpoint": network.weights.name,
        "sha256": hash_file(network.weights)[:16],
        "people": people.digest(),
        **more,
    }
    return json.dumps(told | ({"min_score": args.min_score} if args.out.suffix == ".json" else {}), sort_keys=True)


def write_result(people: PersonBoxes, found: Detections, settings: str, args: argparse.Namespace) -> None:
    """Write ``--out``."""
    if args.out.suffix == ".json":
        write_coco(people, args.out, found, settings, args.min_score)
    elif args.human_data is not None:
        add_to_human_data(args.human_data, args.out, found, settings)
    else:
        write_human_data(people, args.out, found, settings)


def detect(people: PersonBoxes, image_root: Path, args: argparse.Namespace) -> bool:
    """Detect and write; False where an earlier run has done so."""
    network = choose_network(args.config, args.checkpoint)
    images = lengths_digest(image_root, people.image_paths)  # pieces tell their own: lost ones may be put right
    whole, settings = describe_run(people, network, args, images=images), describe_run(people, network, args)
    pieces = args.out.with_name(f".{args.out.name}_pieces")
    if args.out.exists():
        check_settings(whole, stored_settings(args.out), f"{args.out} is of a run")
        shutil.rmtree(pieces, ignore_errors=True)  # of a run that was killed before it could
        return False
    remove_leftovers(args.out)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    estimator = network.build(device)
    with ProgressLine() as progress:
        found = detect_people(
            people,
            image_root,
            estimator,
            pieces,
            settings,
            args.batch_size,
            args.workers,
            progress=lambda done: progress(done, len(people)),
        )
    write_result(people, found, whole, args)
    shutil.rmtree(pieces)
    return True
