"""Boxes x, y of the top left corner, width, height."""

from __future__ import annotations

import numpy as np

LEAST_SCORE = 0.3
"""A detector's score from which on a keypoint counts as seen; mmpose's own threshold for drawing."""


def seen_keypoints(keypoints2d: np.ndarray) -> np.ndarray:
    """Which (K,) of the keypoints (K, 3) were seen: of a confidence of ``LEAST_SCORE``; if no two are, all above 0.

    A detector gives every keypoint a place, and a low score where it guessed.
    """
    seen = keypoints2d[:, 2] >= LEAST_SCORE
    return seen if keypoint_box(keypoints2d[seen]) is not None else keypoints2d[:, 2] > 0


def inside_image(keypoints2d: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Which (K,) of the keypoints (K, 2 or 3) lie in an image of ``size`` (width, height), its border included."""
    places = keypoints2d[:, :2]
    return ((places >= 0) & (places <= np.asarray(size))).all(axis=1)


def keypoint_box(keypoints2d: np.ndarray) -> np.ndarray | None:
    """Box (4,) around those of the keypoints (K, 3) whose confidence is above 0; None if no two of them are apart."""
    visible = keypoints2d[keypoints2d[:, 2] > 0, :2]
    if len(visible) == 0 or not (np.ptp(visible, axis=0) > 0).any():
        return None
    return np.concatenate([visible.min(axis=0), np.ptp(visible, axis=0)])


def scale_boxes(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (..., 4) in pixels, made ``factor`` times as large about their middles."""
    corner, size = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([corner - (factor - 1) / 2 * size, factor * size], axis=-1)
