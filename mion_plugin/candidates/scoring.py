"""A lower bound of every candidate's fit loss, from the pool's product structure.

What is bounded. The closed form of ``fit.py`` minimises E = sum_k w_k |f (J_k + T)_xy - u_k d_k|^2 over T, where
d_k = J_kz + T_z is the depth of joint k. The fit loss weighs the same residuals by 1 / d_k^2, so with every joint in
front of the camera

    fit_loss  >=  E / max_k d_k^2,        max_k d_k = T_z + max_k J_kz.

No candidate with a loss below a threshold can have a bound above it: the shortlist by bound holds all of them, and the
exact loss of the shortlist decides. At f = 5000 a body is about 40 m away and 0.5 m deep, so the bound is tight to a
few per cent.

How it is computed. J = R x with x from a pose and R from an orientation, so E and T_z are polynomials in R whose
coefficients belong to the pose alone: weighted first and second moments of x, twelve numbers per pose and weight, from
one matrix product per batch. With the camera turned so that the keypoints' weighted mean lies on the axis (rows r1, r2
of R sheared by the mean's slope) and the weights scaled to sum w |u|^2 = 1 (u now slopes, x / z),

    T_z = r1.m_u + r2.m_v - r3.m_q
    E   = <C, r1 r1' + r2 r2'> - 2 r1' C_u r3 - 2 r2' C_v r3 + r3' D r3 - T_z^2
    C   = sum w x x' - m m'/W       C_u = sum w u x x' - m m_u'/W       D = sum w q x x' - (m_u m_u' + m_v m_v')/W
    m   = sum w x    m_u = sum w u x    m_v = sum w v x    m_q = sum w q x    q = u^2 + v^2    W = sum w

For P poses and O orientations these are a (30 x P) and a (9 x P) matrix times (O x 30) and (O x 9): 39 multiply-adds
per candidate instead of a reprojection of K joints. DESIGN's weak-perspective score is the first term alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Positions of the six distinct entries of a symmetric 3 x 3 matrix, and of all nine among the six.
_ROW, _COLUMN = [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]
_FULL = [0, 3, 4, 3, 1, 5, 4, 5, 2]
_MULTIPLICITY = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
_NEAREST = 1e-3  # m; the bound of a candidate whose farthest joint is nearer, or behind the camera, is out of reach
# Rounding of the two matrix products in single precision, relative to the terms that cancel in E: measured below 2e-6.
ROUNDING = 1e-5


class PoolScorer(nn.Module):
    """Lower bounds of the fit loss of all P x O candidates.

    Args:
        keypoints3d: (P, K, 3) metres, identity orientation.
        rotations: (O, 3, 3) global orientations.
    """

    moment_table: Tensor
    rotations: Tensor
    farthest: Tensor

    def __init__(self, keypoints3d: Tensor, rotations: Tensor) -> None:
        super().__init__()
        points = keypoints3d.float().permute(1, 2, 0)  # (K, 3, P): poses last, they are many
        table = torch.cat([points[:, _ROW] * points[:, _COLUMN], points], dim=1)
        self.register_buffer("moment_table", table.contiguous(), persistent=False)  # (K, 9, P)
        self.register_buffer("rotations", rotations.float(), persistent=False)
        depth_rows = rotations.float()[:, 2]  # (O, 3)
        farthest = torch.stack([(depth_rows @ keypoint).contiguous() for keypoint in points]).amax(0)
        self.register_buffer("farthest", farthest, persistent=False)  # (O, P)

    @property
    def num_candidates(self) -> int:
        """P x O."""
        return self.farthest.numel()

    def forward(self, slopes: Tensor, weight: Tensor, mean: Tensor) -> Tensor:
        """Bounds for a batch of images.

        Args:
            slopes: (B, K, 2) keypoints as (u - mean) / focal_length, weighted mean zero.
            weight: (B, K) non-negative.
            mean: (B, 2) the slope that was subtracted.

        Returns:
            (B, O, P) lower bounds, to be multiplied by focal_length^2; subtract ``ROUNDING`` of
            sum w |slopes|^2 before comparing.
        """
        spread = (weight[..., None] * slopes.square()).sum((-2, -1))
        weight = weight / spread[:, None]
        moments = self._moments(slopes, weight)
        rotations = self._sheared_rotations(mean)
        transl_z = _depth_features(rotations) @ moments[:, 1:, 6:].flatten(1, 2)
        bound = _residual_features(rotations) @ _residual_coefficients(moments, weight)
        bound.addcmul_(transl_z, transl_z, value=-1.0)
        farthest = transl_z.add_(self.farthest).clamp_(min=_NEAREST)
        return bound.mul_(spread[:, None, None]).div_(farthest.square_())

    def _moments(self, slopes: Tensor, weight: Tensor) -> Tensor:
        """(B, 4, 9, P): second (6) and first (3) moments of the joints under the weights w, w u, w v, w q."""
        factors = torch.stack([torch.ones_like(weight), *slopes.unbind(-1), slopes.square().sum(-1)], dim=1)
        weights = factors * weight[:, None]
        num_keypoints, _, num_poses = self.moment_table.shape
        moments = weights.flatten(0, 1) @ self.moment_table.view(num_keypoints, -1)
        return moments.view(len(weight), 4, 9, num_poses)

    def _sheared_rotations(self, mean: Tensor) -> Tensor:
        """(B, O, 3, 3): orientations in the camera whose axis points along ``mean``."""
        lateral = self.rotations[:, :2] - mean[:, None, :, None] * self.rotations[:, 2:]
        return torch.cat([lateral, self.rotations[:, 2:].expand(len(mean), -1, -1, -1)], dim=2)


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
    second, first = moments[:, :, :6], moments[:, :, 6:]
    per_weight = weight.sum(-1).reciprocal()[:, None, None]
    m, m_uv = first[:, 0] * per_weight, first[:, 1:3]
    plain = second[:, 0] - m[:, _ROW] * first[:, 0, _COLUMN]
    mixed = second[:, 1:3, _FULL].unflatten(2, (3, 3)) - m[:, None, :, None] * m_uv[:, :, None]
    outer = (m_uv[:, :, _ROW] * m_uv[:, :, _COLUMN]).sum(1) * per_weight
    return torch.cat([plain, mixed.flatten(1, 3), second[:, 3] - outer], dim=1)
