"""SMPL's skeleton: the joints' names, the tree and its bones."""

from __future__ import annotations

import numpy as np

from mion_plugin.body.arrays import BodyArrays
from mion_plugin.geometry.keypoints import keypoint_names

SMPL_JOINTS = keypoint_names("smpl")
INDEX = {name: index for index, name in enumerate(SMPL_JOINTS)}
# The limb bones: the joint that turns a bone -> the joint at its end
BONE_END = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist"}


def smpl_rest_joints(body: BodyArrays) -> np.ndarray:
    """Joints (24, 3) of the mean shape in rest pose, metres, SMPL's axes (x to the body's left, y up, z forward)."""
    joints = body.J_regressor.astype(np.float64) @ body.v_template
    return joints - joints[0]


def bone_direction(rest_joints: np.ndarray, side: str, joint: str) -> np.ndarray:
    """Direction (3,), not normalised, of the bone that ``joint`` of the ``left`` or ``right`` limb turns."""
    return rest_joints[INDEX[f"{side}_{BONE_END[joint]}"]] - rest_joints[INDEX[f"{side}_{joint}"]]
