"""Which detector finds the people where a user gives no keypoints."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.keypoint_estimator import KeypointEstimator, people_in_boxes, whole_image_detector
from mion_plugin.detection.mediapipe_detector import REMEDY, MediaPipeDetector
from mion_plugin.detection.mmpose_estimator import load_mmpose_estimator
from mion_plugin.detection.people import PersonDetector
from mion_plugin.detection.rtmpose import (
    RTMPoseEstimator,
    YOLOXPeople,
    fetch_person_network,
    fetch_pose_network,
    is_rtmpose,
    rtmpose_detector,
)
from mion_plugin.geometry.boxes import scale_boxes

_BOX_SCALE = 1.25  # from the box around keypoints to one around the person, as mmpose's networks were trained with


def choose_detector(
    pose_config: str | None = None,
    pose_checkpoint: str | None = None,
    device: str = "cpu",
    person_checkpoint: str | None = None,
) -> PersonDetector:
    """RTMPose or mmpose where they are asked for, else the light detector.

    mmpose's top-down networks want a box around each person. The light detector gives it where it is installed;
    otherwise the box is the image, and one person is found in it. RTMPose comes with a person detector of its own.

    Args:
        pose_config: RTMPose in ONNX: ``rtmpose``, or another name of ``mion_plugin.detection.rtmpose.NETWORKS``.
            mmpose: config of a top-down network, or the name of one that comes with mmpose.
        pose_checkpoint: Its weights, path or URL. RTMPose's are an ``.onnx``, which says enough without
            ``pose_config``; where it is left out, they are downloaded on first use.
        device: Where to run it.
        person_checkpoint: RTMPose: the ``.onnx`` of a YOLOX that finds people, path or URL; likewise.

    Raises:
        ImportError: What is asked for is not installed; or nothing is asked for and the light detector is not
            installed. The message says what to do.
        FileNotFoundError, ValueError: See ``local_weights``, ``load_mmpose_estimator``, ``RTMPoseEstimator``.
    """
    if is_rtmpose(pose_config, pose_checkpoint):
        pose, person = local_weights(pose_config, pose_checkpoint, person_checkpoint)
        return rtmpose_detector(RTMPoseEstimator(pose, device), YOLOXPeople(person, device))
    _refuse_person_checkpoint(person_checkpoint)
    light = importlib.util.find_spec("mediapipe") is not None
    if pose_config is not None or pose_checkpoint is not None:
        estimator = load_mmpose_estimator(pose_config, pose_checkpoint, device)
        return top_down_detector(estimator, MediaPipeDetector()) if light else whole_image_detector(estimator)
    if not light:
        raise ImportError(
            "nothing here finds people in photographs: give --keypoints COCO_JSON; or install the light detector, "
            f"{REMEDY}; or give --pose-config rtmpose, with the extra mion-plugin[rtmpose]; or give --pose-config and "
            "--pose-checkpoint of an mmpose network"
        )
    return MediaPipeDetector()


def local_weights(
    pose_config: str | None, pose_checkpoint: str | None, person_checkpoint: str | None
) -> tuple[Path, Path]:
    """Where RTMPose and its YOLOX are on this machine, after a download if they have to be; as ``choose_detector``.

    A process that starts others does this before: two at once would download into the same file.

    Raises:
        ImportError: rtmlib is not installed.
        FileNotFoundError: No such file, or a URL cannot be reached; the message says what to do.
        ValueError: What was downloaded is broken.
    """
    # a path that is wrong is told before anything is downloaded
    pose = fetch_pose_network(pose_config, pose_checkpoint) if pose_checkpoint else None
    person = fetch_person_network(pose_config, person_checkpoint) if person_checkpoint else None
    return pose or fetch_pose_network(pose_config), person or fetch_person_network(pose_config)


def top_down_detector(estimator: KeypointEstimator, find_boxes: PersonDetector) -> PersonDetector:
    """A detector whose people are those of ``find_boxes`` with the keypoints of ``estimator`` inside the image."""

    def detect(image: np.ndarray) -> list[CocoPerson]:
        boxes = [scale_boxes(person.bbox, _BOX_SCALE) for person in find_boxes(image)]
        if not boxes:
            return []
        return people_in_boxes(estimator, image, np.stack(boxes))

    return detect


def _refuse_person_checkpoint(person_checkpoint: str | None) -> None:
    if person_checkpoint is not None:
        raise ValueError(
            f"person checkpoint {person_checkpoint} does nothing without RTMPose: give --pose-config rtmpose, or "
            "--pose-checkpoint NAME.onnx"
        )
