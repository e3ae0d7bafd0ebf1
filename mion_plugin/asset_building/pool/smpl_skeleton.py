"""SMPL's skeleton: the joints' names, the tree, and left-right mirroring."""

from __future__ import annotations

import numpy as np

from mion_plugin.body.arrays import SMPL_PARENTS, BodyArrays
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names

SMPL_JOINTS = keypoint_names("smpl")
INDEX = {name: index for index, name in enumerate(SMPL_JOINTS)}
# The limb bones: the joint that turns a bone -> the joint at its end
BONE_END = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist"}


def smpl_rest_joints(body: BodyArrays) -> np.ndarray:
    """Joints (24, 3) of the mean shape in rest pose, metres, SMPL's axes (x to the body's left, y up, z forward)."""
    joints = body.J_regressor.astype(np.float64) @ body.v_template
    return joints - joints[0]


def smpl_offsets(rest_joints: np.ndarray) -> np.ndarray:
    """Position (24, 3) of each joint relative to its parent, in rest pose; root zero."""
    offsets = rest_joints - rest_joints[list(SMPL_PARENTS)]
    offsets[0] = 0
    return offsets


def bone_direction(rest_joints: np.ndarray, side: str, joint: str) -> np.ndarray:
    """Direction (3,), not normalised, of the bone that ``joint`` of the ``left`` or ``right`` limb turns."""
    return rest_joints[INDEX[f"{side}_{BONE_END[joint]}"]] - rest_joints[INDEX[f"{side}_{joint}"]]


def mirror_poses(poses: np.ndarray) -> np.ndarray:
    """Poses of the mirror image (x -> -x) of a body: left and right joints swapped, y and z components negated.

    Args:
        poses: (..., 24, 3) axis-angle, or (..., 23, 3) without the global orientation.

    Returns:
        The same shape. Mirroring twice gives the input.

    Raises:
        ValueError: Another shape.
    """
    if poses.ndim < 2 or poses.shape[-2:] not in ((24, 3), (23, 3)):
        raise ValueError(f"poses have shape {poses.shape}, expected (..., 24, 3) or (..., 23, 3)")
    swap = np.array(flip_permutation("smpl"))
    swap = swap if poses.shape[-2] == len(swap) else swap[1:] - 1
    return mirror_orientations(poses[..., swap, :])


def mirror_orientations(orientations: np.ndarray) -> np.ndarray:
    """Axis-angle (..., 3) of rotations seen in a mirror across x = 0: M R M with M = diag(-1, 1, 1)."""
    return orientations * np.array([1, -1, -1], dtype=orientations.dtype)
