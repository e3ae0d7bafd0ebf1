"""The square crop around a person, as a network wants it, and where it lies in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.transforms.geometric import crop_matrix, warp
from mion_plugin.geometry.boxes import keypoint_box, seen_keypoints

# Side of the crop over the longer side of the box. Keypoints: SPIN's preprocessing, and what the synthetic people of
# training are cut by (BodySettings); annotated boxes, which reach to fingertips and hair: mmhuman3d's demo.
BOX_SCALES = {"keypoints": 1.2, "bbox": 1.25}
_LARGEST = 1e7  # pixels; beyond, single precision no longer tells neighbouring pixels apart


@dataclass(frozen=True)
class CropPlace:
    """A square of an image.

    Attributes:
        center: (2,) x, y in pixels of the image.
        side: Pixels of the image.
    """

    center: np.ndarray
    side: float

    def matrix(self, size: int) -> np.ndarray:
        """The (3, 3) map of image pixels to pixels of the crop at ``size`` x ``size``."""
        return crop_matrix(self.center, self.side, 0.0, size)

    def cut(self, image: np.ndarray, size: int) -> np.ndarray:
        """The crop (size, size, 3) of an image (H, W, 3) uint8, black outside."""
        return warp(image, self.matrix(size), size)

    def to_crop(self, keypoints2d: np.ndarray, size: int) -> np.ndarray:
        """Keypoints (K, 3), image pixels and confidence, in pixels of the crop at ``size`` x ``size``."""
        matrix, moved = self.matrix(size), keypoints2d.copy()
        moved[:, :2] = keypoints2d[:, :2] @ matrix[:2, :2].T + matrix[:2, 2]
        return moved


def place_crop(person: CocoPerson, box: str = "keypoints", scale: float | None = None) -> CropPlace:
    """The crop around a person.

    Args:
        person: Keypoints and box.
        box: ``keypoints``: around the box of the visible ones; ``bbox``: around the person's own.
        scale: Side of the crop over the longer side of the box; None for that of ``BOX_SCALES``.

    Raises:
        ValueError: An unknown box, a scale that is not positive, keypoints without extent, or a crop that is in no
            image.
    """
    scale = check_box(box, scale)
    x, y, width, height = visible_box(person.keypoints2d) if box == "keypoints" else person.bbox
    place = CropPlace(np.array([x + width / 2, y + height / 2]), float(scale * max(width, height)))
    if not max(place.side, *np.abs(place.center)) < _LARGEST:
        raise ValueError(f"the crop's middle is {place.center.tolist()} and its side {place.side} pixels: in no image")
    return place


def check_box(box: str, scale: float | None) -> float:
    """The scale that the arguments of ``place_crop`` mean; errors as there."""
    if box not in BOX_SCALES:
        raise ValueError(f"box is {box!r}, expected one of {', '.join(BOX_SCALES)}")
    scale = BOX_SCALES[box] if scale is None else scale
    if not 0 < scale < np.inf:
        raise ValueError(f"box_scale is {scale}, expected a positive number")
    return scale


def visible_box(keypoints2d: np.ndarray) -> np.ndarray:
    """The box (4,) x, y, width, height of the visible ones of keypoints (K, 3).

    What a detector guessed, with a low score, does not widen the box; see ``seen_keypoints``.

    Raises:
        ValueError: No two of them are visible, at different places.
    """
    box = keypoint_box(keypoints2d[seen_keypoints(keypoints2d)])
    if box is None:
        visible = int((keypoints2d[:, 2] > 0).sum())
        raise ValueError(f"{visible} keypoints are visible, expected at least two, apart, to crop by")
    return box
