"""What top-down networks are: plain callables from images and boxes to the keypoints of the person in each box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.people import PersonDetector
from mion_plugin.geometry.boxes import inside_image

KeypointEstimator: TypeAlias = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]
"""From S images (H, W, 3) uint8 RGB and S boxes (S, 4), x, y of the top left corner, width, height in pixels, to
keypoints (S, 17, 3) in COCO order of the person in each box: x, y in pixels of the image (pixel centres at integer +
0.5) and confidence in 0..1, all 0 where there is none. An image may come several times, with other boxes."""


def from_peaks(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints of a ``KeypointEstimator`` from OpenMMLab's, where heatmaps are highest.

    A network's heatmap may rise a little above 1, which counts as 1; one that is nowhere positive shows no joint.

    Args:
        keypoints: (S, 17, 3) x, y in pixels of the image, whose centres are integers there, and the heatmap's highest
            value.
    """
    keypoints = np.asarray(keypoints, dtype=np.float64) + np.array([0.5, 0.5, 0.0])
    confidence = keypoints[..., 2:]
    return np.where(confidence > 0, np.concatenate([keypoints[..., :2], np.minimum(confidence, 1.0)], axis=-1), 0.0)


def estimate_inside(estimator: KeypointEstimator, images: Sequence[np.ndarray], boxes: np.ndarray) -> np.ndarray:
    """A ``KeypointEstimator``'s keypoints, of which those outside the image are absent, whatever it says of them.

    The part of a box beyond the border is filled up, and a network that looks there has seen nothing.
    """
    keypoints2d = np.array(estimator(images, boxes), dtype=np.float64)
    for person, image in zip(keypoints2d, images, strict=True):
        person[~inside_image(person, (image.shape[1], image.shape[0]))] = 0.0
    return keypoints2d


def people_in_boxes(estimator: KeypointEstimator, image: np.ndarray, boxes: np.ndarray) -> list[CocoPerson]:
    """Who is in the boxes (S, 4) of an image; whoever has no keypoint inside it is nobody."""
    keypoints2d = estimate_inside(estimator, [image] * len(boxes), boxes)
    return [CocoPerson(person, box) for person, box in zip(keypoints2d, boxes, strict=True) if person[:, 2].any()]


def whole_image_detector(estimator: KeypointEstimator) -> PersonDetector:
    """A detector for pictures of one person: the box is the image."""

    def detect(image: np.ndarray) -> list[CocoPerson]:
        box = np.array([0.0, 0.0, image.shape[1], image.shape[0]])
        return people_in_boxes(estimator, image, box[None])

    return detect
