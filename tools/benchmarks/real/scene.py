"""From the detections to the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.real import joints
from benchmarks.real.calibration import Camera
from benchmarks.real.detection import Detections
from benchmarks.real.synchronisation import Alignment, align
from benchmarks.real.truth import PIXEL_CENTRE, Truth, find_truth, floor, without_swaps

FRAME_RATE = 60.0  # per second, of the clip


@dataclass(frozen=True)
class Scene:
    """Where everything was in the clip.

    Attributes:
        calibrated: Truth with the cameras as calibrated, and frames of one number taken as simultaneous.
        truth: Truth with both estimated.
        floor: See ``truth.floor``.
        swapped: Share of the detections whose left and right were exchanged; neither truth uses them.
    """

    calibrated: Truth
    truth: Truth
    floor: tuple[float, float]
    swapped: float


def reconstruct(cameras: Sequence[Camera], detections: Sequence[Detections]) -> Scene:
    """The truth from the detections of all views.

    Detections with exchanged sides draw the cameras astray, and only a truth shows which they are: so it is found
    twice.
    """
    keypoints2d = np.stack([found.keypoints2d for found in detections])
    straight = without_swaps(_align_and_find(cameras, keypoints2d)[1], keypoints2d)
    there = keypoints2d[..., 2].any(axis=-1)
    trusted = np.where(straight[..., None, None], keypoints2d, 0.0)
    alignment, truth = _align_and_find(cameras, trusted)
    as_calibrated = find_truth(Alignment(list(cameras), np.zeros(len(cameras))), _to_opencv(trusted), FRAME_RATE)
    return Scene(
        as_calibrated,
        truth,
        floor(alignment, _to_opencv(trusted), FRAME_RATE),
        float((~straight & there).sum() / there.sum()),
    )


def _align_and_find(cameras: Sequence[Camera], keypoints2d: np.ndarray) -> tuple[Alignment, Truth]:
    pixels = _to_opencv(keypoints2d)
    alignment = align(cameras, pixels[:, :, joints.FIRST :])
    return alignment, find_truth(alignment, pixels, FRAME_RATE)


def _to_opencv(keypoints2d: np.ndarray) -> np.ndarray:
    """Keypoints (..., 3) whose first pixel's centre is 0 instead of 0.5."""
    return keypoints2d - np.array([PIXEL_CENTRE, PIXEL_CENTRE, 0.0])
