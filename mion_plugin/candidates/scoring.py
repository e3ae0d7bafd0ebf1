"""Bounds of every candidate's fit loss, from the pool's product structure.

What is bounded. The closed form of ``fit.py`` minimises E = sum_k w_k |f (J_k + T)_xy - u_k d_k|^2 over T, where
d_k = J_kz + T_z is the depth of joint k. The fit loss weighs the same residuals by 1 / d_k^2, so with every joint in
front of the camera

    fit_loss  >=  E / max_k d_k^2,        max_k d_k = T_z + max_k J_kz.

and likewise fit_loss <= E / min_k d_k^2. No candidate with a loss below a threshold can have a lower bound above it:
the shortlist by the bound holds all of them, and where the two bounds leave a doubt the exact loss decides. At f = 5000
a body is about 40 m away and 0.5 m deep, so the bounds are a few per cent apart.

How it is computed. J = R x with x from a pose and R from an orientation, so E and T_z are polynomials in R whose
coefficients belong to the pose alone: weighted first and second moments of x, twelve numbers per pose and weight, from
one matrix product per batch. With the camera turned so that the keypoints' weighted mean lies on the axis (rows r1, r2
of R sheared by the mean's slope) and the weights scaled to sum w |u|^2 = 1 (u now slopes, x / z),

    T_z = r1.m_u + r2.m_v - r3.m_q
    E   = <C, r1 r1' + r2 r2'> - 2 r1' C_u r3 - 2 r2' C_v r3 + r3' D r3 - T_z^2
    C   = sum w x x' - m m'/W       C_u = sum w u x x' - m m_u'/W       D = sum w q x x' - (m_u m_u' + m_v m_v')/W
    m   = sum w x    m_u = sum w u x    m_v = sum w v x    m_q = sum w q x    q = u^2 + v^2    W = sum w

For P poses and O orientations these are a (30 x P) and a (9 x P) matrix times (O x 30) and (O x 9): 39 multiply-adds
per candidate instead of a reprojection of K joints. A weak-perspective camera
leaves the first term alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.geometry.precision import full_precision

# Positions of the six distinct entries of a symmetric 3 x 3 matrix, and of all nine among the six.
_ROW, _COLUMN = [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]
_FULL = [0, 3, 4, 3, 1, 5, 4, 5, 2]
# Rows of the (4 x 9) moments that C, C_u, C_v and D start from: six second moments under each weight.
_SECOND_MOMENTS = [*range(6), *(9 + k for k in _FULL), *(18 + k for k in _FULL), *range(27, 33)]
_MULTIPLICITY = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
# Bounded in one go: what lies between moments and bounds stays in a CPU's cache, and in memory that is used again. Of
# larger blocks each image would get fresh pages from the system: half of the time for 30 million candidates.
_POSES_AT_ONCE = 1 << 14
NEAREST = 1e-3  # m; the bound of a candidate whose farthest joint is nearer, or behind the camera, is out of reach
# Rounding of the two matrix products in single precision, relative to the terms that cancel in E: measured below 2e-6.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Bounds:
    """Bounds of the fit loss over focal_length^2, and the depths that they come from.

    Attributes:
        lower: (O, B, P) lower bound; subtract ``ROUNDING`` times sum w |slopes|^2 before relying on it.
        farthest: (O, B, P) metres, depth of the candidate's farthest joint, at least ``NEAREST``.
    """

    lower: Tensor
    farthest: Tensor


class PoolScorer(nn.Module):
    """Bounds of the fit loss of all P x O candidates.

    Args:
        keypoints3d: (P, K, 3) metres, identity orientation.
        rotations: (O, 3, 3) global orientations.
    """

    moment_table: Tensor
    rotations: Tensor
    deepest: Tensor
    depth_range: Tensor

    def __init__(self, keypoints3d: Tensor, rotations: Tensor) -> None:
        super().__init__()
        points = keypoints3d.float().permute(1, 2, 0)  # (K, 3, P): poses last, they are many
        table = torch.cat([points[:, _ROW] * points[:, _COLUMN], points], dim=1)  # (K, 9, P)
        width = min(_POSES_AT_ONCE, len(keypoints3d))
        table = functional.pad(table, (0, -len(keypoints3d) % width)).unflatten(2, (-1, width))
        self.register_buffer(
            "moment_table", table.movedim(2, 0).contiguous(), persistent=False
        )  # (blocks, K, 9, width)
        self.register_buffer("rotations", rotations.float(), persistent=False)
        depth_rows = rotations.float()[:, 2]  # (O, 3)
        with full_precision(points):
            depths = [depth_rows @ keypoint for keypoint in points]
        deepest, shallowest = depths[0].clone(), depths[0].clone()
        for depth in depths[1:]:  # one keypoint at a time: all together would be K times as large as the result
            torch.maximum(deepest, depth, out=deepest)
            torch.minimum(shallowest, depth, out=shallowest)
        self.register_buffer("deepest", deepest, persistent=False)  # (O, P)
        self.register_buffer("depth_range", deepest - shallowest, persistent=False)

    @property
    def num_candidates(self) -> int:
        """P x O."""
        return self.deepest.numel()

    def forward(self, slopes: Tensor, weight: Tensor, mean: Tensor, out: Bounds | None = None) -> Bounds:
        """Bounds for a batch of images.

        Args:
            slopes: (B, K, 2) keypoints as (u - mean) / focal_length, weighted mean zero.
            weight: (B, K) non-negative.
            mean: (B, 2) the slope that was subtracted.
            out: Earlier bounds whose memory may be used again, of as many images; others are left alone.
        """
        spread = (weight[..., None] * slopes.square()).sum((-2, -1))
        weight = weight / spread[:, None]
        rotations = self._sheared_rotations(mean)
        depth_features, residual_features = _depth_features(rotations), _residual_features(rotations)
        shape = len(self.rotations), len(weight), self.deepest.shape[1]
        if out is None or out.lower.shape != shape:
            out = Bounds(weight.new_empty(shape), weight.new_empty(shape))
        lower, farthest = out.lower, out.farthest
        blocks = (each.split(_POSES_AT_ONCE, -1) for each in (lower, farthest, self.deepest))
        for table, bound, depth, deepest in zip(self.moment_table, *blocks, strict=True):
            moments = _moments(table, slopes, weight)[..., : bound.shape[2]]
            _orientations_first(depth_features, moments[:, 1:, 6:].flatten(1, 2), out=depth)
            _orientations_first(residual_features, _residual_coefficients(moments, weight), out=bound)
            bound.addcmul_(depth, depth, value=-1.0)  # depth is that of the body's origin so far
            depth.add_(deepest[:, None]).clamp_(min=NEAREST)
            bound.mul_(spread[:, None]).div_(depth).div_(depth)
        return out

    def _sheared_rotations(self, mean: Tensor) -> Tensor:
        """(B, O, 3, 3): orientations in the camera whose axis points along ``mean``."""
        lateral = self.rotations[:, :2] - mean[:, None, :, None] * self.rotations[:, 2:]
        return torch.cat([lateral, self.rotations[:, 2:].expand(len(mean), -1, -1, -1)], dim=2)


def _moments(table: Tensor, slopes: Tensor, weight: Tensor) -> Tensor:
    """(B, 4, 9, P): second (6) and first (3) moments of a table's (K, 9, P) joints, by w, w u, w v, w q."""
    factors = torch.stack([torch.ones_like(weight), *slopes.unbind(-1), slopes.square().sum(-1)], dim=1)
    moments = (factors * weight[:, None]).flatten(0, 1) @ table.flatten(1)
    return moments.view(len(weight), 4, *table.shape[1:])


def _orientations_first(features: Tensor, coefficients: Tensor, out: Tensor) -> None:
    """(B, O, F) times (B, F, P) into (O, B, P): all of a pose of a sample in one column, then easily taken."""
    torch.bmm(features, coefficients, out=out.transpose(0, 1))


def _depth_features(rotations: Tensor) -> Tensor:
    """(B, O, 9): r1, r2, -r3, to meet m_u, m_v, m_q."""
    return torch.cat([rotations[:, :, :2], -rotations[:, :, 2:]], dim=2).flatten(2)


def _residual_features(rotations: Tensor) -> Tensor:
    """(B, O, 30): products of rotation entries, to meet C (6), C_u (9), C_v (9), D (6)."""
    multiplicity = rotations.new_tensor(_MULTIPLICITY)
    squares = rotations[..., _ROW] * rotations[..., _COLUMN] * multiplicity  # (B, O, 3, 6)
    mixed = -2.0 * rotations[:, :, :2, :, None] * rotations[:, :, 2:, None, :]  # (B, O, 2, 3, 3)
    return torch.cat([squares[:, :, 0] + squares[:, :, 1], mixed.flatten(2), squares[:, :, 2]], dim=-1)


def _residual_coefficients(moments: Tensor, weight: Tensor) -> Tensor:
    """(B, 30, P): C (6), C_u (9), C_v (9), D (6) of every pose."""
    first = moments[:, :, 6:]  # m, m_u, m_v, m_q
    m, m_u, m_v, _ = (each.unbind(1) for each in first.unbind(1))
    per_weight = (first[:, :3] / weight.sum(-1)[:, None, None, None]).unbind(1)
    by_m, by_u, by_v = (each.unbind(1) for each in per_weight)
    coefficients = moments.flatten(1, 2)[:, _SECOND_MOMENTS]
    rows = coefficients.unbind(1)
    # Entry by entry, so that nothing but the result is written: memory traffic is what this costs.
    for entry, (i, j) in enumerate(zip(_ROW, _COLUMN, strict=True)):
        rows[entry].addcmul_(by_m[i], m[j], value=-1.0)
        rows[24 + entry].addcmul_(by_u[i], m_u[j], value=-1.0)
        rows[24 + entry].addcmul_(by_v[i], m_v[j], value=-1.0)
    for start, axis in ((6, m_u), (15, m_v)):
        for entry in range(9):
            i, j = divmod(entry, 3)
            rows[start + entry].addcmul_(by_m[i], axis[j], value=-1.0)
    return coefficients
