"""How a skeleton's joint frames lie when its person stands like SMPL's rest pose.

A joint's frame is whatever the maker of the file chose, so a rotation means nothing until the frames in some known
posture of the body are known. Most files have such a posture: the pose of zero angles, or a T-pose stored beside
the motion. Where none of them stands (bones all along one axis, say), ``derive_rest_pose`` puts one together from
the motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mion_plugin.asset_building.pool.motion import Motion, joint_positions
from mion_plugin.asset_building.pool.rotations import aligning_rotation, unit
from mion_plugin.asset_building.pool.skeletons import BodyMap

_UP = np.array([0.0, 1.0, 0.0])
# What still counts as standing: CMU's zero pose has the legs 20 degrees apart, MakeHuman's relaxed A-pose 43 degrees of
# bend at the elbows and 22 degrees of the upper arms to the front.
_MAX_LEG_ANGLE = np.radians(35)
_MAX_ELBOW_BEND = np.radians(60)
_MAX_ARM_RAISE = 0.35  # sine above the horizontal
_MAX_ARM_AHEAD = 0.5  # sine to the front or back
_MAX_SKEW = np.radians(5)  # of hips against the axis that they lie along: people's, not the file's
_MAX_HEAD_TILT = np.radians(30)


@dataclass(frozen=True)
class RestPose:
    """A stance of a skeleton in SMPL's axes: x to the body's left, y up, z forward.

    Attributes:
        rotations: (J, 3, 3) rotation of each joint's frame into SMPL's axes, in the stance.
        positions: (J, 3) joints in the stance, relative to the root, in the file's unit.
        world: (3, 3) rotation from the file's world frame to one with y up.
        derived: True when put together from the motion, False when found in the file.
    """

    rotations: np.ndarray
    positions: np.ndarray
    world: np.ndarray
    derived: bool = False


def find_rest_pose(motion: Motion, body: BodyMap) -> RestPose | None:
    """The first of the motion's possible rest poses that is a stance, or None.

    A stance is upright on straight legs, toes ahead, arms held out or hanging on their own sides and not much bent: a
    T-pose, an A-pose, hanging arms.
    """
    for rotations in motion.rest_rotations:
        positions = joint_positions(motion.parents, motion.offsets, rotations)
        to_smpl = _body_axes(positions, body)
        if to_smpl is not None and _is_stance(positions @ to_smpl.T, body):
            positions = positions @ to_smpl.T
            return RestPose(_level_head(to_smpl @ rotations, positions, motion, body), positions, world=to_smpl)
    return None


def _level_head(rotations: np.ndarray, positions: np.ndarray, motion: Motion, body: BodyMap) -> np.ndarray:
    """The rotations (J, 3, 3) with the head upright, where the skeleton has a tip at the head's top.

    Some T-poses bow the head (CMU's by 15 degrees in IsaacGym's files). A tip that is not above is no top, and stays.
    """
    tips = [joint for joint, parent in enumerate(motion.parents) if parent == body.head]
    if len(tips) == 1 and motion.joint_names[tips[0]].lower().endswith("_end"):
        crown = unit(positions[tips[0]] - positions[body.head])
        if crown @ _UP > np.cos(_MAX_HEAD_TILT):
            rotations = rotations.copy()
            rotations[body.head] = aligning_rotation(crown, _UP) @ rotations[body.head]
    return rotations


def ankle_centre(positions: np.ndarray, body: BodyMap) -> np.ndarray:
    """The middle (..., 3) between the ankles of positions (..., J, 3)."""
    return (positions[..., body.left["ankle"], :] + positions[..., body.right["ankle"], :]) / 2


def nearest_axis(direction: np.ndarray) -> np.ndarray:
    """The positive or negative coordinate axis (3,) nearest to a direction (3,)."""
    axis = np.zeros(3)
    largest = np.abs(direction).argmax()
    axis[largest] = np.sign(direction[largest])
    return axis


def _body_axes(positions: np.ndarray, body: BodyMap) -> np.ndarray | None:
    """Rotation (3, 3) from the file's axes to SMPL's, by where head and left hip lie; None when that is not told."""
    up = nearest_axis(positions[body.head] - ankle_centre(positions, body))
    across = positions[body.left["hip"]] - positions[body.right["hip"]]
    left = nearest_axis(across)
    if not up.any() or not left.any() or up @ left != 0:
        return None
    level = unit(across - (across @ up) * up)
    if level @ left < np.cos(_MAX_SKEW):  # the whole figure is turned
        left = level
    return np.stack([left, up, np.cross(left, up)])


def _is_stance(positions: np.ndarray, body: BodyMap) -> bool:
    """Whether positions (J, 3) in SMPL's axes are a stance; see ``find_rest_pose``."""
    for limb, outward in ((body.left, 1.0), (body.right, -1.0)):
        place = {joint: positions[index] for joint, index in limb.items()}
        thigh, shin = unit(place["knee"] - place["hip"]), unit(place["ankle"] - place["knee"])
        upper_arm, forearm = unit(place["elbow"] - place["shoulder"]), unit(place["wrist"] - place["elbow"])
        on_straight_legs = min(thigh @ -_UP, shin @ -_UP) > np.cos(_MAX_LEG_ANGLE)
        arm_straight = upper_arm @ forearm > np.cos(_MAX_ELBOW_BEND)
        arm_beside = upper_arm[1] < _MAX_ARM_RAISE and abs(upper_arm[2]) < _MAX_ARM_AHEAD
        on_its_side = (place["wrist"][0] - positions[body.pelvis][0]) * outward > 0
        toes_ahead = "toe" not in place or place["toe"][2] > place["ankle"][2]
        if not (on_straight_legs and arm_straight and arm_beside and on_its_side and toes_ahead):
            return False
    return True
