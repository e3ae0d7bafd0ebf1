"""How alike two sets of keypoints are: COCO's object keypoint similarity, to tell whether they are one person's."""

from __future__ import annotations

import numpy as np

from mion_plugin.geometry.boxes import seen_keypoints

# COCO's standard deviations of annotations, per keypoint, as shares of the square root of a person's area.
_SIGMAS = np.array(
    [0.026]  # nose
    + 2 * [0.025]  # eyes
    + 2 * [0.035]  # ears
    + 2 * [0.079]  # shoulders
    + 2 * [0.072]  # elbows
    + 2 * [0.062]  # wrists
    + 2 * [0.107]  # hips
    + 2 * [0.087]  # knees
    + 2 * [0.089]  # ankles
)
_BODY_SHARE = 0.53  # of a box that its person covers, on average: what COCO's tools take without a segmentation


def body_area(keypoints2d: np.ndarray) -> float:
    """Square pixels that a person of keypoints (17, 3) about covers: 0.53 of the box around those that are seen."""
    return _BODY_SHARE * float(np.ptp(keypoints2d[seen_keypoints(keypoints2d), :2], axis=0).clip(min=1.0).prod())


def object_keypoint_similarity(keypoints2d: np.ndarray, reference: np.ndarray, area: float | None = None) -> float:
    """Mean over the reference's keypoints of exp(-d^2 / (2 area (2 sigma)^2)), in 0..1 (COCO's keypoint evaluation).

    Args:
        keypoints2d: (17, 3) x, y in pixels and confidence, COCO order. One that is absent (confidence 0) counts as 0.
        reference: (17, 3) likewise; those absent here are left out.
        area: Of the reference's person in square pixels; None for 0.53 of the box around its keypoints
            (``seen_keypoints``), whose sides count as a pixel at least.

    Raises:
        ValueError: Another shape, a reference without keypoints, or an area that is not positive.
    """
    if keypoints2d.shape != (17, 3) or reference.shape != (17, 3):
        raise ValueError(f"keypoints have shapes {keypoints2d.shape} and {reference.shape}, expected (17, 3) twice")
    known = reference[:, 2] > 0
    if not known.any():
        raise ValueError("the reference has no keypoints, expected one at least whose confidence is above 0")
    if area is None:
        area = body_area(reference)
    if not area > 0:
        raise ValueError(f"area is {area}, expected a positive number of square pixels")
    squared = ((keypoints2d[:, :2] - reference[:, :2]) ** 2).sum(axis=1)
    alike = np.exp(-squared / (2.0 * area * (2.0 * _SIGMAS) ** 2)) * (keypoints2d[:, 2] > 0)
    return float(alike[known].mean())
