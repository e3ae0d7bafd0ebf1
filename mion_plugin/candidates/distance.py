"""How far apart two candidates' poses are.

The squared distance is a sum: of the 23 joints of the body pose, and of the global orientation. So the distances
between P x O candidates need P x P and O x O numbers, not their product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mion_plugin.geometry.rotations import rotvec_to_unitquat

DISTANCES = ("geodesic", "axis_angle")
# Rounding of a squared distance in single precision, relative to the largest that the pool can have: measured below
# 1e-6 for angles (an arc cosine near 1 loses half of the digits, its square does not).
_ROUNDING = 1e-5


class PoseDistance(nn.Module):
    """Distances between candidates of a pool, each a body pose with a global orientation.

    Args:
        body_pose: (P, 23, 3) axis-angle.
        global_orient: (O, 3) axis-angle.
        kind: ``geodesic``, the root of the sum over the 24 joints of the squared angle in radians between the two
            rotations (the length of the shortest path in SO(3)^24); or ``axis_angle``, the L2 distance of the 72 pose
            parameters (paper 3.4), which sees the two axis-angle forms of one rotation by pi as far apart.

    Raises:
        ValueError: Unknown kind.
    """

    body_parameters: Tensor
    orient_squared: Tensor
    body_table: Tensor
    rounding: Tensor

    def __init__(self, body_pose: Tensor, global_orient: Tensor, kind: str = "geodesic") -> None:
        super().__init__()
        if kind not in DISTANCES:
            raise ValueError(f"distance is {kind!r}, expected one of {', '.join(DISTANCES)}")
        self._geodesic = kind == "geodesic"
        self._squared = _squared_angles if self._geodesic else _squared_difference
        to_parameters = rotvec_to_unitquat if self._geodesic else nn.Identity()
        # Double precision: the arc cosine of nearly equal rotations is lost in single.
        body = to_parameters(body_pose.double())
        self.register_buffer("body_parameters", body, persistent=False)
        orient = to_parameters(global_orient.double())
        orient_squared = self._squared(orient[:, None, None], orient[None, :, None]).fill_diagonal_(0.0)
        self.register_buffer("orient_squared", orient_squared, persistent=False)
        # For bounds: single precision, poses last, they are many.
        self.register_buffer("body_table", body.float().permute(1, 2, 0).contiguous(), persistent=False)
        largest = body.new_tensor(24 * torch.pi**2) if self._geodesic else 4 * body.square().sum((1, 2)).max()
        self.register_buffer("rounding", _ROUNDING * (largest + orient_squared.max()), persistent=False)

    def body_squared(self, pose_a: Tensor, pose_b: Tensor) -> Tensor:
        """Squared distances (...) between the body poses of two (...) rows of the pool, in double precision."""
        squared = self._squared(self.body_parameters[pose_a], self.body_parameters[pose_b])
        # Exactly, not to the arc cosine's rounding: in a product of poses and orientations, two that differ in
        # the pose alone are as far apart as two others are, and such ties must be seen as ties.
        return squared.masked_fill(pose_a == pose_b, 0.0)

    def most_from(self, start: Tensor, pose: Tensor, num_poses: list[int]) -> Tensor:
        """Upper bounds of ``body_squared``, a little above it, in single precision.

        Args:
            start: (S,) a pose for each sample.
            pose: (G,) other poses; those of the first sample, of the second, ...
            num_poses: How many of the G belong to each sample.

        Returns:
            (G,) from the sample's start.
        """
        measure = _quick_angles if self._geodesic else _quick_difference
        own = self.body_table.index_select(2, start).unbind(2)
        table, shape = self.body_table.flatten(0, 1), (*self.body_table.shape[:2], -1)  # two dimensions: quick to take
        others = (table.index_select(1, poses).view(shape) for poses in pose.split(num_poses))
        squared = [measure(*pair) for pair in zip(own, others, strict=True)]
        return torch.cat(squared) + self.rounding.float()


def _squared_angles(quaternion_a: Tensor, quaternion_b: Tensor) -> Tensor:
    """(..., J, 4) unit quaternions -> (...) sum over the joints of the squared rotation angle between them."""
    cosine = (quaternion_a * quaternion_b).sum(-1).abs().clamp(max=1.0)  # q and -q are one rotation
    return (2.0 * torch.acos(cosine)).square().sum(-1)


def _squared_difference(vector_a: Tensor, vector_b: Tensor) -> Tensor:
    """(..., J, 3) axis-angle -> (...) sum of the squared differences."""
    return (vector_a - vector_b).square().sum((-2, -1))


def _quick_angles(own: Tensor, others: Tensor) -> Tensor:
    """``_squared_angles`` of (J, 4) from each of (J, 4, n), little memory: (n,)."""
    half_angle = (own[..., None] * others).sum(1).abs_().clamp_(max=1.0).acos_()
    return 4.0 * half_angle.square_().sum(0)


def _quick_difference(own: Tensor, others: Tensor) -> Tensor:
    """``_squared_difference`` of (J, 3) from each of (J, 3, n): (n,)."""
    return (others - own[..., None]).square_().sum((0, 1))
