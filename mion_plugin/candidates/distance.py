"""How far apart two candidates' poses are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mion_plugin.geometry.rotations import rotvec_to_unitquat

_AT_ONCE = 1 << 14  # poses compared in one go: bounds the memory, and stays in a CPU's cache
DISTANCES = ("geodesic", "axis_angle")


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

    def __init__(self, body_pose: Tensor, global_orient: Tensor, kind: str = "geodesic") -> None:
        super().__init__()
        if kind not in DISTANCES:
            raise ValueError(f"distance is {kind!r}, expected one of {', '.join(DISTANCES)}")
        self._squared = _squared_angles if kind == "geodesic" else _squared_difference
        to_parameters = rotvec_to_unitquat if kind == "geodesic" else nn.Identity()
        # Double precision: the arc cosine of nearly equal rotations is lost in single.
        self.register_buffer("body_parameters", to_parameters(body_pose.double()), persistent=False)
        orient = to_parameters(global_orient.double())
        orient_squared = self._squared(orient[:, None, None], orient[None, :, None]).fill_diagonal_(0.0)
        self.register_buffer("orient_squared", orient_squared, persistent=False)

    def within(self, sample: Tensor, pose: Tensor, orientation: Tensor) -> Callable[[Tensor], Tensor]:
        """Distances inside ragged lists of candidates.

        Args:
            sample: (M,) which sample an entry belongs to; entries sorted by sample, then pose.
            pose: (M,) pose of each entry.
            orientation: (M,) orientation of each entry.

        Returns:
            A function from (S,) entries, one per sample, to the (M,) distances of all entries from their sample's.
        """
        # A pose often appears with several orientations: its joints are compared once.
        num_poses = len(self.body_parameters)
        keys, group = torch.unique_consecutive(sample * num_poses + pose, return_inverse=True)
        group_sample, group_pose = keys // num_poses, keys % num_poses
        group_parameters = self.body_parameters[group_pose]

        def distance_to(entry: Tensor) -> Tensor:
            chosen = self.body_parameters[pose[entry]]
            at_once = zip(group_parameters.split(_AT_ONCE), group_sample.split(_AT_ONCE), strict=True)
            body_squared = torch.cat([self._squared(parameters, chosen[of]) for parameters, of in at_once])
            # Exactly, not to the arc cosine's rounding: in a product of poses and orientations, two that differ in
            # the pose alone are as far apart as two others are, and such ties must be seen as ties.
            body_squared = body_squared.masked_fill(group_pose == pose[entry][group_sample], 0.0)
            return (body_squared[group] + self.orient_squared[orientation, orientation[entry][sample]]).sqrt()

        return distance_to


def _squared_angles(quaternion_a: Tensor, quaternion_b: Tensor) -> Tensor:
    """(..., J, 4) unit quaternions -> (...) sum over the joints of the squared rotation angle between them."""
    cosine = (quaternion_a * quaternion_b).sum(-1).abs().clamp(max=1.0)  # q and -q are one rotation
    return (2.0 * torch.acos(cosine)).square().sum(-1)


def _squared_difference(vector_a: Tensor, vector_b: Tensor) -> Tensor:
    """(..., J, 3) axis-angle -> (...) sum of the squared differences."""
    return (vector_a - vector_b).square().sum((-2, -1))
