"""Keypoints of the kinematic chain and their analytic derivatives.

A keypoint is a weighted sum of points that each hang on one bone (see ``PoseKeypoints``). Turning joint j by a small
vector about its own axes turns all that hangs on it and below about its place q_j: with R_j its orientation and m the
sum over those points of weight x (point - q_j), the keypoint moves by (R_j turn) x m. Besides, the pose blend shapes
move the points on their bones. All is linear in betas.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS, BodyArrays
from mion_plugin.body.keypoint_rows import keypoint_rows
from mion_plugin.body.pose_keypoints import PlacedPairs, PoseKeypoints, add_first
from mion_plugin.fitting.so3 import cross_matrix


@dataclass(frozen=True)
class KeypointDerivatives:
    """How K keypoints of M bodies change; metres and radians.

    Attributes:
        by_rotations: (M, K, 3, 24, 3) derivatives of the points by the tangents of each joint's rotation.
        by_betas: (M, K, 3, 10) by the betas.
    """

    by_rotations: Tensor
    by_betas: Tensor


class KeypointChain(nn.Module):
    """K keypoints of M bodies with their derivatives.

    Args:
        body: The body model.
        convention: Order of the keypoints.

    Raises:
        ValueError: An unknown convention, or one with a keypoint that the body lacks; see ``keypoint_rows``.
    """

    sum_below: Tensor
    weight_below: Tensor

    def __init__(self, body: BodyArrays, convention: str) -> None:
        super().__init__()
        self.keypoints = PoseKeypoints(body, keypoint_rows(body, convention))
        hangs_below = self.keypoints.is_above[self.keypoints.pair_bone].T  # (24, P)
        below = hangs_below[:, None] * self.keypoints.sum_pairs  # (24, K, P)
        self.register_buffer("sum_below", below.flatten(0, 1).contiguous(), persistent=False)
        self.register_buffer("weight_below", below @ self.keypoints.pair_weight, persistent=False)

    @property
    def num_keypoints(self) -> int:
        """K."""
        return len(self.keypoints.sum_pairs)

    def pelvis(self, betas: Tensor) -> Tensor:
        """(M, 3) metres, the pelvis joint of betas (M, 10); it turns about itself, so no pose moves it."""
        return self.keypoints.offset[:3] + betas @ self.keypoints.offset_shapedirs[:, :3]

    def forward(self, rotations: Tensor, betas: Tensor) -> tuple[Tensor, PlacedPairs]:
        """Points (M, K, 3) without translation, and what hangs where; arguments as ``PoseKeypoints.place``."""
        placed = self.keypoints.place(rotations, betas)
        return self.keypoints.sum_pairs @ placed.moved, placed

    def derivatives(self, placed: PlacedPairs, rotations: Tensor, tangents: Tensor) -> KeypointDerivatives:
        """How the points change.

        Args:
            placed: What ``forward`` gave for ``rotations``.
            rotations: (M, 24, 3, 3) joint rotations R, index 0 global_orient.
            tangents: (M, 24, 3, 3) matrices T: a step dx of a joint's parameters turns R into R exp([T dx]x).
        """
        keypoints = self.keypoints
        bones = placed.world[:, keypoints.surface_bone]
        by_betas = add_first(
            keypoints.pair_weight[:, None, None] * self._joints_by_betas(placed.above)[:, keypoints.pair_bone],
            bones @ keypoints.surface_shapedirs,
        )
        by_rotations = self._turned(placed.moved, placed.joints, placed.world @ tangents)
        by_rotations[..., 1:, :] += self._by_blend_shapes(rotations[:, 1:], tangents[:, 1:], bones)
        return KeypointDerivatives(
            by_rotations, (keypoints.sum_pairs @ by_betas.flatten(2)).unflatten(2, (3, NUM_BETAS))
        )

    def _joints_by_betas(self, above: Tensor) -> Tensor:
        """(M, 24, 3, 10)."""
        directions = self.keypoints.offset_shapedirs.T.unflatten(0, (NUM_JOINTS, 3))
        return (self.keypoints.is_above @ (above @ directions).flatten(2)).unflatten(2, (3, NUM_BETAS))

    def _turned(self, moved: Tensor, joints: Tensor, axes: Tensor) -> Tensor:
        """(M, K, 3, 24, 3): what hangs on each joint and below turned about its axes, the columns of (M, 24, 3, 3)."""
        lever = (self.sum_below @ moved).unflatten(1, self.weight_below.shape)
        lever = lever - self.weight_below[..., None] * joints[:, :, None]  # (M, 24, K, 3)
        return torch.linalg.cross(axes.transpose(1, 2)[:, None], lever.permute(0, 2, 3, 1)[..., None], dim=2)

    def _by_blend_shapes(self, rotations: Tensor, tangents: Tensor, bones: Tensor) -> Tensor:
        """(M, K, 3, 23, 3): what the pose blend shapes add when the joints but the root turn."""
        keypoints = self.keypoints
        change = rotations[:, :, None] @ cross_matrix(tangents.mT)  # (M, 23, axis, 3, 3)
        local = change.flatten(3) @ keypoints.surface_posedirs  # (M, 23, axis, S x 3)
        local = local.unflatten(3, (-1, 3)).permute(0, 3, 4, 1, 2).flatten(3)
        shares = keypoints.sum_pairs[:, : bones.shape[1]]
        return (shares @ (bones @ local).flatten(2)).unflatten(2, (3, NUM_JOINTS - 1, 3))
