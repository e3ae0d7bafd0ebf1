"""Keypoints of the kinematic chain and their analytic derivatives.

A keypoint is a weighted sum of points that each hang on one bone (see ``PoseKeypoints``). Turning joint j by a small
vector about its own axes turns all that hangs on it and below about its place q_j: with R_j its orientation and m the
sum over those points of weight x (point - q_j), the keypoint moves by (R_j turn) x m. Besides, the pose blend shapes
move the points on their bones. All is linear in betas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS, BodyArrays
from mion_plugin.body.keypoint_rows import keypoint_rows
from mion_plugin.body.pose_keypoints import PoseKeypoints
from mion_plugin.fitting.so3 import cross_matrix

_ABOVE_ROOT = NUM_JOINTS  # index of what stands above the root: the identity


@dataclass(frozen=True)
class PosedKeypoints:
    """Keypoints of M bodies without translation, and how they change; metres and radians.

    Attributes:
        points: (M, K, 3).
        joints: (M, 24, 3) SMPL's joints.
        by_rotations: (M, K, 3, 24, 3) derivatives of the points by the tangents of each joint's rotation.
        by_betas: (M, K, 3, 10) by the betas.
    """

    points: Tensor
    joints: Tensor
    by_rotations: Tensor
    by_betas: Tensor


class KeypointChain(nn.Module):
    """K keypoints of M bodies with their derivatives; the points are those of ``SMPLBody.pose_keypoints``.

    A pair is a keypoint's share that hangs on one bone. The S pairs on the surface come first, then the keypoints that
    are joints of the skeleton, one pair each, which sit at their bone's origin.

    Args:
        body: The body model.
        convention: Order of the keypoints.

    Raises:
        ValueError: An unknown convention, or one with a keypoint that the body lacks; see ``keypoint_rows``.
    """

    pair_bone: Tensor
    pair_weight: Tensor
    sum_pairs: Tensor
    sum_below: Tensor
    weight_below: Tensor
    surface_point: Tensor
    surface_shapedirs: Tensor
    surface_posedirs: Tensor
    offset: Tensor
    offset_shapedirs: Tensor
    is_above: Tensor
    parents: Tensor
    doubling: Tensor

    def __init__(self, body: BodyArrays, convention: str) -> None:
        super().__init__()
        parents = np.where(body.parents < 0, _ABOVE_ROOT, body.parents)
        keypoints = PoseKeypoints(body, keypoint_rows(body, convention))
        for name, array in {**_skeleton_arrays(keypoints, parents), **_pair_arrays(keypoints, parents)}.items():
            self.register_buffer(name, array.contiguous(), persistent=False)

    @property
    def num_keypoints(self) -> int:
        """K."""
        return len(self.sum_pairs)

    def pelvis(self, betas: Tensor) -> Tensor:
        """(M, 3) metres, the pelvis joint of betas (M, 10); it turns about itself, so no pose moves it."""
        return self.offset[:3] + betas @ self.offset_shapedirs[:, :3]

    def forward(self, rotations: Tensor, betas: Tensor, tangents: Tensor) -> PosedKeypoints:
        """Pose M bodies.

        Args:
            rotations: (M, 24, 3, 3) joint rotations R, index 0 global_orient.
            betas: (M, 10).
            tangents: (M, 24, 3, 3) matrices T: a step dx of a joint's parameters turns R into R exp([T dx]x).
        """
        world = self._world_rotations(rotations)
        above, world = world[:, self.parents], world[:, :NUM_JOINTS]
        offset = self.offset + betas @ self.offset_shapedirs
        joints = self.is_above @ (above @ offset.unflatten(1, (-1, 3, 1)))[..., 0]
        joints_by_betas = self._joints_by_betas(above)
        bones = world[:, self.pair_bone[: len(self.surface_point)]]
        on_bones = (bones @ self._surface(rotations, betas)[..., None])[..., 0]
        moved = _add_first(self.pair_weight[:, None] * joints[:, self.pair_bone], on_bones)
        by_betas = _add_first(
            self.pair_weight[:, None, None] * joints_by_betas[:, self.pair_bone], bones @ self.surface_shapedirs
        )
        by_rotations = self._turned(moved, joints, world @ tangents)
        by_rotations[..., 1:, :] += self._by_blend_shapes(rotations[:, 1:], tangents[:, 1:], bones)
        return PosedKeypoints(
            self.sum_pairs @ moved, joints, by_rotations, (self.sum_pairs @ by_betas.flatten(2)).unflatten(2, (3, -1))
        )

    def _world_rotations(self, rotations: Tensor) -> Tensor:
        """(M, 25, 3, 3): products from the root to each joint, and last the identity, which stands above the root.

        Each round doubles how many joints a product spans: four rounds for a chain of up to sixteen.
        """
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device).expand(len(rotations), 1, 3, 3)
        world = torch.cat([rotations, identity], dim=1)
        for spanned in self.doubling:
            world = world[:, spanned] @ world
        return world

    def _surface(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """(M, S, 3) points on the surface in their bones' frames, weighted."""
        features = (rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)).flatten(1)
        by_pose = (features @ self.surface_posedirs.flatten(0, 1)).unflatten(1, (-1, 3))
        return self.surface_point + torch.einsum("scl,ml->msc", self.surface_shapedirs, betas) + by_pose

    def _joints_by_betas(self, above: Tensor) -> Tensor:
        """(M, 24, 3, 10)."""
        directions = self.offset_shapedirs.T.unflatten(0, (NUM_JOINTS, 3))
        return (self.is_above @ (above @ directions).flatten(2)).unflatten(2, (3, NUM_BETAS))

    def _turned(self, moved: Tensor, joints: Tensor, axes: Tensor) -> Tensor:
        """(M, K, 3, 24, 3): what hangs on each joint and below turned about its axes, the columns of (M, 24, 3, 3)."""
        lever = (self.sum_below @ moved).unflatten(1, self.weight_below.shape)
        lever = lever - self.weight_below[..., None] * joints[:, :, None]  # (M, 24, K, 3)
        turned = cross_matrix(-lever).flatten(2, 3) @ axes
        return turned.unflatten(2, (-1, 3)).permute(0, 2, 3, 1, 4).contiguous()

    def _by_blend_shapes(self, rotations: Tensor, tangents: Tensor, bones: Tensor) -> Tensor:
        """(M, K, 3, 23, 3): what the pose blend shapes add when the joints but the root turn."""
        change = rotations[:, :, None] @ cross_matrix(tangents.mT)  # (M, 23, axis, 3, 3)
        local = change.flatten(3) @ self.surface_posedirs  # (M, 23, axis, S x 3)
        local = local.unflatten(3, (-1, 3)).permute(0, 3, 4, 1, 2).flatten(3)
        return (self.sum_pairs[:, : bones.shape[1]] @ (bones @ local).flatten(2)).unflatten(2, (3, NUM_JOINTS - 1, 3))


def _add_first(values: Tensor, first: Tensor) -> Tensor:
    """``values`` (M, P, ...) with ``first`` (M, S, ...) added to the first S of P."""
    count = first.shape[1]
    return torch.cat([values[:, :count] + first, values[:, count:]], dim=1)


def _skeleton_arrays(keypoints: PoseKeypoints, parents: np.ndarray) -> dict[str, Tensor]:
    """How joints hang on each other."""
    rest = torch.cat([keypoints.joints_template, torch.zeros(1, 3)])
    shapedirs = torch.cat([keypoints.joints_shapedirs, torch.zeros(1, 3, NUM_BETAS)])
    return {
        "parents": torch.from_numpy(parents.astype(np.int64)),
        "doubling": _doubling(parents),
        "is_above": _is_above(parents).float(),
        "offset": (rest[:-1] - rest[parents]).flatten(),
        "offset_shapedirs": (shapedirs[:-1] - shapedirs[parents]).flatten(0, 1).T,
    }


def _pair_arrays(keypoints: PoseKeypoints, parents: np.ndarray) -> dict[str, Tensor]:
    """What keypoints hang on, relative to their bones' origins."""
    at_joint = keypoints.joint_index.clamp(min=0)[keypoints.joint_index >= 0]
    bone, weight = keypoints.pair_bone, keypoints.pair_weight
    keypoint = torch.cat([keypoints.pair_keypoint, (keypoints.joint_index >= 0).nonzero()[:, 0]])
    pair_bone = torch.cat([bone, at_joint])
    pair_weight = torch.cat([weight, torch.ones(len(at_joint))])
    sum_pairs = torch.nn.functional.one_hot(keypoint, len(keypoints.joint_index)).T.float()
    hangs_below = _is_above(parents)[pair_bone].T.float()  # (24, P)
    origin, shapedirs = keypoints.joints_template[bone], keypoints.joints_shapedirs[bone]
    below = hangs_below[:, None] * sum_pairs  # (24, K, P)
    return {
        "pair_bone": pair_bone,
        "pair_weight": pair_weight,
        "sum_pairs": sum_pairs,
        "sum_below": below.flatten(0, 1),
        "weight_below": below @ pair_weight,
        "surface_point": keypoints.pair_point - weight[:, None] * origin,
        "surface_shapedirs": keypoints.pair_shapedirs - weight[:, None, None] * shapedirs,
        "surface_posedirs": keypoints.pair_posedirs.permute(2, 0, 1).flatten(1).unflatten(0, (NUM_JOINTS - 1, 9)),
    }


def _is_above(parents: np.ndarray) -> Tensor:
    """(24, 24) bool, [j, i] whether joint i is j or an ancestor of j."""
    is_above = torch.eye(NUM_JOINTS, dtype=torch.bool)
    for joint, parent in enumerate(parents):  # a joint comes after its parent
        if parent != _ABOVE_ROOT:
            is_above[joint] |= is_above[parent]
    return is_above


def _doubling(parents: np.ndarray) -> Tensor:
    """(rounds, 25) ancestors 1, 2, 4, ... steps up, as many rounds as the deepest joint needs."""
    step = np.append(parents, _ABOVE_ROOT)
    rounds = []
    while (step[:-1] != _ABOVE_ROOT).any():
        rounds.append(step)
        step = step[step]
    return torch.from_numpy(np.stack(rounds).astype(np.int64))
