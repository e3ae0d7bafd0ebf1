"""Keypoints from pose and shape without skinning a mesh.

A keypoint is a weighted sum of skinned vertices, and a skinned vertex a weighted sum of its bones' transforms of
v_shaped + v_pose. Exchanging the sums, a keypoint is a sum over bones of one transformed point, which is linear in
betas and pose features. The vertices of one keypoint hang on two to five bones, so about a hundred (keypoint, bone)
pairs replace 6,890 vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS, BodyArrays
from mion_plugin.body.keypoint_rows import KeypointRows
from mion_plugin.body.rest_joints import RestJoints

_ABOVE_ROOT = NUM_JOINTS  # index of what stands above the root: the identity


@dataclass(frozen=True)
class PlacedPairs:
    """Where the bones of M bodies are, and what hangs on them; metres, without translation.

    Attributes:
        world: (M, 24, 3, 3) orientations of the joints.
        above: (M, 24, 3, 3) those of their parents.
        joints: (M, 24, 3) SMPL's joints.
        moved: (M, P, 3) the pairs' shares of their keypoints.
    """

    world: Tensor
    above: Tensor
    joints: Tensor
    moved: Tensor


class PoseKeypoints(nn.Module):
    """K keypoints of a body as a function of pose and betas.

    A pair is a keypoint's share that hangs on one bone. The S pairs on the surface come first, then the keypoints that
    are joints of the skeleton, one pair each, which sit at their bone's origin.

    Args:
        body: The body model.
        rows: Where the keypoints sit on it.
    """

    parents: Tensor
    doubling: Tensor
    is_above: Tensor
    offset: Tensor
    offset_shapedirs: Tensor
    pair_bone: Tensor
    pair_weight: Tensor
    sum_pairs: Tensor
    identity: Tensor
    surface_bone: Tensor
    surface_point: Tensor
    surface_shapedirs: Tensor
    surface_posedirs: Tensor

    def __init__(self, body: BodyArrays, rows: KeypointRows) -> None:
        super().__init__()
        parents = np.where(body.parents < 0, _ABOVE_ROOT, body.parents)
        rest = RestJoints.of(body)
        arrays = {
            **_skeleton_arrays(parents, rest),
            **_pair_arrays(body, rows, rest),
        }
        for name, array in arrays.items():
            kept = np.ascontiguousarray(array, dtype=np.float32 if array.dtype == np.float64 else array.dtype)
            self.register_buffer(name, torch.from_numpy(kept), persistent=False)

    def forward(self, rotations: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        """Joints and keypoints in metres.

        Args:
            rotations: (..., 24, 3, 3) joint rotations, index 0 global_orient.
            betas: (..., 10).

        Returns:
            SMPL's joints (..., 24, 3) and the keypoints (..., K, 3).
        """
        lead = rotations.shape[:-3]
        placed = self.place(rotations.reshape(-1, NUM_JOINTS, 3, 3), betas.reshape(-1, NUM_BETAS))
        keypoints = self.sum_pairs @ placed.moved
        return placed.joints.reshape(*lead, NUM_JOINTS, 3), keypoints.reshape(*lead, len(self.sum_pairs), 3)

    def place(self, rotations: Tensor, betas: Tensor) -> PlacedPairs:
        """The bones of M bodies (M, ...) of ``forward``, and what hangs on them."""
        world = self._world_rotations(rotations)
        above, world = world[:, self.parents], world[:, :NUM_JOINTS]
        offset = self.offset + betas @ self.offset_shapedirs
        joints = self.is_above @ (above @ offset.unflatten(1, (-1, 3, 1)))[..., 0]
        bones = world[:, self.surface_bone]
        on_bones = (bones @ self._surface(rotations, betas)[..., None])[..., 0]
        moved = add_first(self.pair_weight[:, None] * joints[:, self.pair_bone], on_bones)
        return PlacedPairs(world, above, joints, moved)

    def _world_rotations(self, rotations: Tensor) -> Tensor:
        """(M, 25, 3, 3): products from the root to each joint, and last the identity, which stands above the root.

        Each round doubles how many joints a product spans: four rounds for a chain of up to sixteen.
        """
        world = torch.cat([rotations, self.identity.expand(len(rotations), 1, 3, 3)], dim=1)
        for spanned in self.doubling:
            world = world[:, spanned] @ world
        return world

    def _surface(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """(M, S, 3) points on the surface in their bones' frames, weighted."""
        features = (rotations[:, 1:] - self.identity).flatten(1)
        by_pose = features @ self.surface_posedirs.flatten(0, 1)
        by_shape = betas @ self.surface_shapedirs.flatten(0, 1).T
        return self.surface_point + (by_shape + by_pose).unflatten(1, (-1, 3))


def add_first(values: Tensor, first: Tensor) -> Tensor:
    """``values`` (M, P, ...) with ``first`` (M, S, ...) added to the first S of P."""
    count = first.shape[1]
    return torch.cat([values[:, :count] + first, values[:, count:]], dim=1)


def _skeleton_arrays(parents: np.ndarray, joints: RestJoints) -> dict[str, np.ndarray]:
    """How joints hang on each other; offsets are from the joint's parent."""
    rest = np.concatenate([joints.mean, np.zeros((1, 3))])
    rest_shapedirs = np.concatenate([joints.by_betas, np.zeros((1, 3, NUM_BETAS))])
    return {
        "identity": np.eye(3),
        "parents": parents.astype(np.int64),
        "doubling": _doubling(parents),
        "is_above": _is_above(parents).astype(np.float64),
        "offset": (rest[:-1] - rest[parents]).reshape(-1),
        "offset_shapedirs": (rest_shapedirs[:-1] - rest_shapedirs[parents]).reshape(-1, NUM_BETAS).T,
    }


def _pair_arrays(body: BodyArrays, rows: KeypointRows, rest: RestJoints) -> dict[str, np.ndarray]:
    """What keypoints hang on, relative to their bones' origins; summed in float64, they are of thousands of terms."""
    share = rows.regressor.astype(np.float64) @ body.weights  # (K, J): how much of a keypoint hangs on a bone
    keypoint, bone = np.nonzero(share)
    weight = share[keypoint, bone]
    pair_rows = rows.regressor[keypoint].astype(np.float64) * body.weights.T[bone]
    at_joint = np.flatnonzero(rows.joint_index >= 0)
    of_pair = np.concatenate([keypoint, at_joint])
    posedirs = np.tensordot(pair_rows, body.posedirs, axes=1)  # (S, 3, 207)
    return {
        "pair_bone": np.concatenate([bone, rows.joint_index[at_joint]]).astype(np.int64),
        "surface_bone": bone.astype(np.int64),
        "pair_weight": np.concatenate([weight, np.ones(len(at_joint))]),
        "sum_pairs": (of_pair == np.arange(len(rows.joint_index))[:, None]).astype(np.float64),
        "surface_point": pair_rows @ body.v_template - weight[:, None] * rest.mean[bone],
        "surface_shapedirs": np.tensordot(pair_rows, body.shapedirs, axes=1)
        - weight[:, None, None] * rest.by_betas[bone],
        "surface_posedirs": np.moveaxis(posedirs, 2, 0).reshape(NUM_JOINTS - 1, 9, -1),
    }


def _is_above(parents: np.ndarray) -> np.ndarray:
    """(24, 24) bool, [j, i] whether joint i is j or an ancestor of j."""
    is_above = np.eye(NUM_JOINTS, dtype=bool)
    for joint, parent in enumerate(parents):  # a joint comes after its parent
        if parent != _ABOVE_ROOT:
            is_above[joint] |= is_above[parent]
    return is_above


def _doubling(parents: np.ndarray) -> np.ndarray:
    """(rounds, 25) ancestors 1, 2, 4, ... steps up, as many rounds as the deepest joint needs."""
    step = np.append(parents, _ABOVE_ROOT)
    rounds = []
    while (step[:-1] != _ABOVE_ROOT).any():
        rounds.append(step)
        step = step[step]
    return np.stack(rounds).astype(np.int64)
