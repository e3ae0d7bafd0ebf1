"""From a motion of any skeleton to SMPL's joint rotations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mion_plugin.asset_building.pool.motion import Motion, PoseSequence, local_rotations
from mion_plugin.asset_building.pool.rest_pose import RestPose
from mion_plugin.asset_building.pool.rotations import aligning_rotation, interpolate_rotation, rotmat_to_rotvec
from mion_plugin.asset_building.pool.skeletons import BodyMap, map_body, path_between
from mion_plugin.asset_building.pool.smpl_skeleton import SMPL_JOINTS, bone_direction
from mion_plugin.body.arrays import SMPL_PARENTS


def retarget(motion: Motion, rest: RestPose, smpl_joints: np.ndarray) -> PoseSequence:
    """SMPL poses of a motion, by rest-pose alignment.

    A joint's rotation away from the rest pose, in body axes, is the same on both skeletons, up to the difference of the
    two rest poses: where the source stands in an A-pose, SMPL's arm first has to be lowered to it. Trunk, head,
    collars and feet need no such difference (both stand upright, look ahead, have flat feet); for arms and legs it
    is the smallest rotation from SMPL's bone to the source's. So limbs point exactly where the source's point, with
    the source's twist. A limb bone that the source splits in pieces (a forearm and its roll) has half of the roll
    at its upper end and the other half at its lower, as skin does. SMPL's three spine joints stand at equal steps
    along the source's trunk joints. Hands (22, 23) are zero.

    Args:
        motion: The motion.
        rest: The skeleton's rest pose, from ``find_rest_pose`` or ``derive_rest_pose``.
        smpl_joints: (24, 3) rest joints of the body model.

    Returns:
        Poses whose global orientation is that of the pelvis in a world with y up and the recording's own heading.

    Raises:
        ValueError: The skeleton lacks a joint that a body needs.
    """
    body = map_body(motion.joint_names, motion.parents)
    turned = _Turned(
        parents=motion.parents,
        rotations=rest.world @ motion.rotations @ rest.rotations.swapaxes(-1, -2),
        positions=motion.positions() @ rest.world.T,
        rest_positions=rest.positions,
    )
    world = _trunk(turned, body)
    for side, limb in (("left", body.left), ("right", body.right)):
        world[f"{side}_collar"] = (
            turned.segment(limb["collar"], limb["shoulder"], roll=1.0) if "collar" in limb else world["spine_3"]
        )
        world |= _leg(turned, limb, side, smpl_joints)
        world |= _arm(turned, limb, side, smpl_joints)
    stacked = np.stack([world[name] for name in SMPL_JOINTS], axis=1)
    poses = rotmat_to_rotvec(local_rotations(SMPL_PARENTS, stacked)).astype(np.float32)
    return PoseSequence(name=motion.name, poses=poses, fps=motion.fps)


@dataclass(frozen=True)
class _Turned:
    """A motion as rotations (T, J, 3, 3) away from the rest pose in SMPL's axes, with positions (T, J, 3)."""

    parents: np.ndarray
    rotations: np.ndarray
    positions: np.ndarray
    rest_positions: np.ndarray

    def segment(self, joint: int, child: int, roll: float = 0.5) -> np.ndarray:
        """Rotations (T, 3, 3) of the bone from ``joint`` to ``child``, exact in direction.

        Args:
            joint: Where the bone starts.
            child: Where it ends.
            roll: Where the bone is split in pieces, how far to go from the first one's rotation to the last one's.
        """
        rotation = self.rotations[:, joint]
        between = path_between(self.parents, joint, child)
        if between:
            rotation = interpolate_rotation(rotation, self.rotations[:, between[-1]], roll)
        posed = self.positions[:, child] - self.positions[:, joint]
        return aligning_rotation(rotation @ self.rest_bone(joint, child), posed) @ rotation

    def rest_bone(self, joint: int, child: int) -> np.ndarray:
        """The bone (3,) from ``joint`` to ``child`` in rest pose."""
        return self.rest_positions[child] - self.rest_positions[joint]


def _trunk(turned: _Turned, body: BodyMap) -> dict[str, np.ndarray]:
    """Rotations of pelvis, spine, neck and head by SMPL's joint names."""
    chain = [turned.rotations[:, joint] for joint in (body.pelvis, *body.trunk)]
    spine = []
    for number in (1, 2, 3):
        step, thirds = divmod(number * len(body.trunk), 3)
        following = min(step + 1, len(body.trunk))
        spine.append(interpolate_rotation(chain[step], chain[following], thirds / 3))
    head = turned.rotations[:, body.head]
    neck = interpolate_rotation(spine[2], head, 0.5) if body.neck is None else turned.rotations[:, body.neck]
    return dict(pelvis=chain[0], spine_1=spine[0], spine_2=spine[1], spine_3=spine[2], neck=neck, head=head)


def _leg(turned: _Turned, limb: dict[str, int], side: str, smpl_joints: np.ndarray) -> dict[str, np.ndarray]:
    """Rotations of hip, knee, ankle and foot by SMPL's joint names."""
    rotations, _ = _limb_bones(turned, limb, side, ("hip", "knee", "ankle"), smpl_joints)
    ankle = turned.rotations[:, limb["ankle"]]
    foot = turned.rotations[:, limb["toe"]] if "toe" in limb else ankle
    return {**rotations, f"{side}_ankle": ankle, f"{side}_foot": foot}


def _arm(turned: _Turned, limb: dict[str, int], side: str, smpl_joints: np.ndarray) -> dict[str, np.ndarray]:
    """Rotations of shoulder, elbow, wrist and hand by SMPL's joint names."""
    rotations, difference = _limb_bones(turned, limb, side, ("shoulder", "elbow", "wrist"), smpl_joints)
    wrist = turned.rotations[:, limb["wrist"]] @ difference  # a hand is in line with its forearm in both rest poses
    return {**rotations, f"{side}_wrist": wrist, f"{side}_hand": wrist}


def _limb_bones(
    turned: _Turned, limb: dict[str, int], side: str, joints: tuple[str, str, str], smpl_joints: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rotations of a limb's two bones by SMPL's joint names, and the difference of the rest poses at the lower."""
    rotations, difference = {}, np.eye(3)
    for joint, child in pairwise(joints):
        start, end = limb[joint], limb[child]
        # carried on from the upper bone, so that the limb as a whole keeps its twist
        smpl_bone = difference @ bone_direction(smpl_joints, side, joint)
        difference = aligning_rotation(smpl_bone, turned.rest_bone(start, end)) @ difference
        rotations[f"{side}_{joint}"] = turned.segment(start, end) @ difference
    return rotations, difference
