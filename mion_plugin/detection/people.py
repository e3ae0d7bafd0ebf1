"""What detectors of people are: plain callables from an image to the people in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from mion_plugin.datasets.coco import CocoPerson

PersonDetector: TypeAlias = Callable[[np.ndarray], list[CocoPerson]]
"""From an image (H, W, 3) uint8 RGB to its people: ``keypoints2d`` (17, 3) in COCO order, x and y in pixels of the
image with pixel centres at integer + 0.5 and the confidence in 0..1, 0 for a joint that was not found; ``bbox`` (4,)
x, y of the top left corner, width, height in pixels. ``mion.MIONInferencer`` takes such lists as ``keypoints2d``."""

__all__ = ["CocoPerson", "PersonDetector", "check_image"]


def check_image(image: np.ndarray) -> None:
    """Raise ValueError for what a ``PersonDetector`` does not take."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        told = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"image is {told}, expected RGB (H, W, 3) of uint8")
