"""The frames as they are, a grey picture in their place, and the man alone on grey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from benchmarks.real.clip import read_frames
from benchmarks.real.detection import MASK_SIZE, Detections
from benchmarks.real.views import Views

from mion_plugin.datasets.transforms.formatting import IMAGENET_MEAN
from mion_plugin.inference.cropping import CropPlace

REAL, GREY, NO_BACKGROUND = "image", "grey image", "background removed"
PICTURES = (REAL, GREY, NO_BACKGROUND)
_MEAN_COLOUR = np.round(IMAGENET_MEAN).astype(np.uint8)  # nothing is left of it after normalisation
_MARGIN = 5  # pixels of the silhouette: it is to lose no finger


def show(kind: str, views: Views, clip: Path, detections: Sequence[Detections]) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3) uint8 RGB of the views, in their order."""
    for view in np.unique(views.cameras):
        wanted = set(views.frames[views.cameras == view].tolist())
        for number, frame in enumerate(read_frames(clip, int(view))):
            if number in wanted:
                yield _change(kind, frame, detections[view], number)


def _change(kind: str, frame: np.ndarray, found: Detections, number: int) -> np.ndarray:
    if kind == REAL:
        return frame
    grey = np.broadcast_to(_MEAN_COLOUR, frame.shape)
    if kind == GREY:
        return grey.copy()
    inside = silhouette(found.masks[number], found.crops[number], *frame.shape[:2])
    return np.where(inside[..., None], frame, grey)


def silhouette(mask: np.ndarray, crop: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) bool of an image from the mask of its crop (middle x, y and side), a little wider."""
    wider = cv2.dilate(mask.astype(np.uint8), np.ones((_MARGIN, _MARGIN), np.uint8))
    centre = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])  # OpenCV's pixel centres are integers
    to_mask = np.linalg.inv(centre) @ CropPlace(crop[:2], float(crop[2])).matrix(MASK_SIZE) @ centre
    return cv2.warpAffine(wider, to_mask[:2], (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP) > 0
