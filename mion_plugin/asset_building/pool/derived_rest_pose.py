"""A rest pose for skeletons whose files hold none, from how their bones move."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mion_plugin.asset_building.pool.motion import Motion, joint_positions
from mion_plugin.asset_building.pool.rest_pose import RestPose, ankle_centre, nearest_axis
from mion_plugin.asset_building.pool.rotations import aligning_rotation, frame_from_axes, mean_rotation, unit
from mion_plugin.asset_building.pool.skeletons import BodyMap, ancestors, map_body
from mion_plugin.asset_building.pool.smpl_skeleton import bone_direction

_LEFT, _UP, _FORWARD = np.eye(3)
# With palms down in a T-pose an elbow bends forward and up: about 30 degrees in CMU's skeletons, MakeHuman's and real
# SMPL-X poses alike
_ELBOW_BEND = np.cos(np.radians(30)) * _FORWARD + np.sin(np.radians(30)) * _UP
# mean sine of a joint's bend below which its hinge axis cannot be told from noise
_MIN_BEND = 0.05


def derive_rest_pose(motions: Sequence[Motion], smpl_joints: np.ndarray) -> RestPose:
    """SMPL's T-pose for a skeleton, told by what bones and hinges do in motion.

    In the frame of a thigh, shin, upper arm or forearm two directions stand still: the bone, and the axis about
    which knee or elbow bends, one way only. Averaged over all frames they fix the joint's frame, twist about the bone
    included. A foot is fixed by its bone and the knee's axis, the pelvis by the hips and the mean vertical. Every
    other joint (spine, neck, head, collars, wrists) rests at its mean rotation relative to its parent: people stand
    and look straight on average. A limb that hardly ever bends is taken to bend straight ahead (elbow) or back (knee).

    Args:
        motions: Motions of one and the same skeleton; the more varied, the better.
        smpl_joints: (24, 3) SMPL's rest joints.
    """
    skeleton = motions[0]
    parents, body = skeleton.parents, map_body(skeleton.joint_names, skeleton.parents)
    rotations = np.concatenate([motion.rotations for motion in motions])
    positions = np.concatenate([motion.positions() for motion in motions])
    up = unit(positions[:, body.head] - ankle_centre(positions, body)).mean(0)
    world = aligning_rotation(nearest_axis(up), _UP)
    rotations, positions = world @ rotations, positions @ world.T

    known = {body.pelvis: _pelvis_frame(rotations, positions, body)}
    forward = rotations[:, body.pelvis] @ (known[body.pelvis].T @ _FORWARD)
    for side, limb in (("left", body.left), ("right", body.right)):
        outward = _LEFT if side == "left" else -_LEFT
        # thigh x shin points left on both sides, upper arm x forearm down on the left and up on the right
        for joints, ahead, axis in (
            (("hip", "knee", "ankle"), -forward, _LEFT),
            (("shoulder", "elbow", "wrist"), forward, np.cross(outward, _ELBOW_BEND)),
        ):
            bones = [bone_direction(smpl_joints, side, joint) for joint in joints[:2]]
            known |= _limb_frames(rotations, positions, [limb[joint] for joint in joints], ahead, bones, axis)
        if "toe" in limb:
            foot = positions[:, limb["toe"]] - positions[:, limb["ankle"]]
            knee_axis = rotations[:, limb["knee"]] @ (known[limb["knee"]].T @ _LEFT)
            target = bone_direction(smpl_joints, side, "ankle")
            known[limb["ankle"]] = _fitted_frame(rotations[:, limb["ankle"]], foot, knee_axis, target, _LEFT)
    rest = _fill_in(rotations, parents, body, known)
    return RestPose(rest, joint_positions(parents, skeleton.offsets, rest), world=world, derived=True)


def _pelvis_frame(rotations: np.ndarray, positions: np.ndarray, body: BodyMap) -> np.ndarray:
    """Rest rotation of the pelvis: left along the hips, up along the mean vertical."""
    left = positions[:, body.left["hip"]] - positions[:, body.right["hip"]]
    up = np.broadcast_to(_UP, left.shape)
    return _fitted_frame(rotations[:, body.pelvis], left, up, _LEFT, _UP)


def _limb_frames(
    rotations: np.ndarray,
    positions: np.ndarray,
    joints: list[int],
    ahead: np.ndarray,
    bones: list[np.ndarray],
    axis: np.ndarray,
) -> dict[int, np.ndarray]:
    """Rest rotations of the upper two of a limb's three joints.

    Args:
        rotations: (N, J, 3, 3).
        positions: (N, J, 3).
        joints: Hip, knee and ankle, or shoulder, elbow and wrist.
        ahead: (N, 3) where the lower bone goes when the limb bends, for limbs that do not.
        bones: SMPL's directions of the two bones in rest pose.
        axis: (3,) SMPL's direction of upper bone x lower bone when the limb bends.
    """
    upper, lower = (unit(positions[:, b] - positions[:, a]) for a, b in pairwise(joints))
    hinge = np.cross(upper, lower)
    if np.linalg.norm(hinge, axis=-1).mean() < _MIN_BEND:
        hinge = np.cross(upper, ahead)
    return {
        joint: _fitted_frame(rotations[:, joint], bone, hinge, target, axis)
        for joint, bone, target in zip(joints[:2], (upper, lower), bones, strict=True)
    }


def _fitted_frame(
    rotation: np.ndarray,
    primary: np.ndarray,
    secondary: np.ndarray,
    rest_primary: np.ndarray,
    rest_secondary: np.ndarray,
) -> np.ndarray:
    """Rest rotation (3, 3) of a joint in whose frame two world directions (N, 3) stand still on average."""
    primary, secondary = ((rotation.swapaxes(-1, -2) @ d[..., None]).mean(0)[:, 0] for d in (primary, secondary))
    return frame_from_axes(rest_primary, rest_secondary) @ frame_from_axes(primary, secondary).T


def _fill_in(rotations: np.ndarray, parents: np.ndarray, body: BodyMap, known: dict[int, np.ndarray]) -> np.ndarray:
    """Rest rotations (J, 3, 3) of all joints: those known, and the mean relative to the parent or pelvis for others."""
    above = ancestors(parents, body.pelvis)
    rest = np.empty((len(parents), 3, 3))
    for joint, parent in enumerate(parents):
        reference = body.pelvis if joint in above else parent
        if joint in known:
            rest[joint] = known[joint]
        else:
            base = known[reference] if joint in above else rest[reference]
            relative = rotations[:, reference].swapaxes(-1, -2) @ rotations[:, joint]
            rest[joint] = base @ mean_rotation(relative)
    return rest
