"""Boxes x, y of the top left corner, width, height."""

from __future__ import annotations

import numpy as np


def scale_boxes(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (..., 4) in pixels, made ``factor`` times as large about their middles."""
    corner, size = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([corner - (factor - 1) / 2 * size, factor * size], axis=-1)
