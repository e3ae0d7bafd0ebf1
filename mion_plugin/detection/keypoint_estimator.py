"""What top-down networks are: plain callables from images and boxes to the keypoints of the person in each box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.people import PersonDetector

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


def whole_image_detector(estimator: KeypointEstimator) -> PersonDetector:
    """A detector for pictures of one person: the box is the image."""

    def detect(image: np.ndarray) -> list[CocoPerson]:
        box = np.array([0.0, 0.0, image.shape[1], image.shape[0]])
        return [CocoPerson(estimator([image], box[None])[0], box)]

    return detect
