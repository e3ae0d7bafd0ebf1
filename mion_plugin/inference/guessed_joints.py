"""Which joints of a body no keypoint in the photograph tells of: the network filled them in."""

from __future__ import annotations

import numpy as np

from mion_plugin.geometry.boxes import inside_image, seen_keypoints
from mion_plugin.geometry.keypoints import keypoint_names

JOINT_NAMES = keypoint_names("smpl")
# The keypoints that tell where a joint is: its own, or those that it is between or next to. One of them is enough.
_HIPS, _SHOULDERS = ("left_hip_extra", "right_hip_extra"), ("left_shoulder", "right_shoulder")
_HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_LIMBS = {
    **dict(hip="hip_extra", knee="knee", ankle="ankle", foot="ankle"),
    **dict(collar="shoulder", shoulder="shoulder", elbow="elbow", wrist="wrist", hand="wrist"),
}
_TOLD_BY = {
    **dict(pelvis=_HIPS, spine_1=_HIPS, spine_2=_HIPS + _SHOULDERS, spine_3=_SHOULDERS, neck=_SHOULDERS, head=_HEAD),
    **{f"left_{joint}": (f"left_{keypoint}",) for joint, keypoint in _LIMBS.items()},
    **{f"right_{joint}": (f"right_{keypoint}",) for joint, keypoint in _LIMBS.items()},
}
# A limb's surface hangs on the joint that it turns about, and is where the joint at its other end says.
_FAR_END = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist", "wrist": "hand"}


def guessed_joints(keypoints2d: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Which (24,) of SMPL's joints are guessed.

    A keypoint tells of joints if it was seen, with a confidence of ``LEAST_SCORE``, and lies in the photograph.

    Args:
        keypoints2d: (17, 3) COCO, pixels of the photograph and confidence.
        size: Of the photograph: width, height in pixels.
    """
    told = seen_keypoints(keypoints2d) & inside_image(keypoints2d, size)
    known = {name for name, seen in zip(keypoint_names("coco"), told, strict=True) if seen}
    return np.array([known.isdisjoint(_TOLD_BY[name]) for name in JOINT_NAMES])


def guessed_vertices(guessed: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Which (V,) vertices belong to parts of the body whose place is guessed.

    Args:
        guessed: (24,) of ``guessed_joints``.
        weights: (V, 24) skinning weights.
    """
    position = {name: index for index, name in enumerate(JOINT_NAMES)}
    ends = []
    for name in JOINT_NAMES:
        side, _, joint = name.rpartition("_")
        ends.append(position[f"{side}_{_FAR_END[joint]}" if joint in _FAR_END else name])
    return guessed[np.array(ends)][weights.argmax(axis=1)]
