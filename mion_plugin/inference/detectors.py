"""Which detector finds the people where a user gives no keypoints."""

from __future__ import annotations

import importlib.util

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.mediapipe_detector import REMEDY, MediaPipeDetector
from mion_plugin.detection.mmpose_estimator import KeypointEstimator, load_mmpose_estimator, whole_image_detector
from mion_plugin.detection.people import PersonDetector
from mion_plugin.geometry.boxes import scale_boxes

_BOX_SCALE = 1.25  # from the box around keypoints to one around the person, as mmpose's networks were trained with


def choose_detector(
    pose_config: str | None = None, pose_checkpoint: str | None = None, device: str = "cpu"
) -> PersonDetector:
    """mmpose with the user's weights where they are given, else the light detector.

    mmpose's top-down networks want a box around each person. The light detector gives it where it is installed;
    otherwise the box is the image, and one person is found in it.

    Args:
        pose_config: Config of a top-down network, or the name of one that comes with mmpose.
        pose_checkpoint: Its weights, path or URL.
        device: Where to run it.

    Raises:
        ImportError: mmpose is asked for and not installed; or nothing is asked for and the light detector is not
            installed. The message says what to do.
        FileNotFoundError, ValueError: See ``load_mmpose_estimator``.
    """
    light = importlib.util.find_spec("mediapipe") is not None
    if pose_config is not None or pose_checkpoint is not None:
        estimator = load_mmpose_estimator(pose_config, pose_checkpoint, device)
        return top_down_detector(estimator, MediaPipeDetector()) if light else whole_image_detector(estimator)
    if not light:
        raise ImportError(
            "nothing here finds people in photographs: give --keypoints COCO_JSON; or install the light detector, "
            f"{REMEDY}; or give --pose-config and --pose-checkpoint of an mmpose network"
        )
    return MediaPipeDetector()


def top_down_detector(estimator: KeypointEstimator, find_boxes: PersonDetector) -> PersonDetector:
    """A detector whose people are those of ``find_boxes`` with the keypoints of ``estimator``."""

    def detect(image: np.ndarray) -> list[CocoPerson]:
        boxes = [scale_boxes(person.bbox, _BOX_SCALE) for person in find_boxes(image)]
        if not boxes:
            return []
        keypoints2d = estimator([image] * len(boxes), np.stack(boxes))
        return [CocoPerson(found, box) for found, box in zip(keypoints2d, boxes, strict=True)]

    return detect
