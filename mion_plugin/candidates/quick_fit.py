"""The fit of ``fit.py`` in single precision, several times faster; what it leaves in doubt is left to that."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mion_plugin.candidates.fit import FitTarget
from mion_plugin.candidates.shortlist import PoolEntries

_AT_ONCE = 1 << 11  # entries fitted in one go: their numbers stay in a CPU's cache
QUICK_ERROR = 1e-3  # of a loss, and of ``ROUNDING`` times the spread, relative; measured below 1e-6


class QuickFit(nn.Module):
    """Fit losses of some candidates, for bodies whose nearest joint is not much nearer than their farthest.

    Args:
        keypoints3d: (P, K, 3) metres, identity orientation.
        rotations: (O, 3, 3) global orientations.
    """

    points: Tensor
    rotations: Tensor

    def __init__(self, keypoints3d: Tensor, rotations: Tensor) -> None:
        super().__init__()
        points = keypoints3d.float().permute(1, 2, 0).flatten(0, 1)  # (K * 3, P): entries last, they are many
        self.register_buffer("points", points.contiguous(), persistent=False)
        self.register_buffer(
            "rotations", rotations.float().permute(1, 2, 0).flatten(0, 1).contiguous(), persistent=False
        )

    def forward(self, entries: PoolEntries, target: FitTarget) -> Tensor:
        """(M,) fit losses, single precision."""
        weight = target.weight.float().T.contiguous()
        slopes = target.slopes.float().movedim(0, -1).contiguous()  # (K, 2, B)
        mean = target.mean.float().T.contiguous()
        losses = [entries.pose.new_empty(0, dtype=torch.float32)]
        for sample, pose, orientation in zip(*(part.split(_AT_ONCE) for part in entries), strict=True):
            points = self.points.index_select(1, pose).unflatten(0, (-1, 3))
            rows = self.rotations.index_select(1, orientation).unflatten(0, (3, 3))
            lateral = rows[:2] - mean.index_select(1, sample)[:, None] * rows[2]
            own = slopes.flatten(0, 1).index_select(1, sample).unflatten(0, (-1, 2))
            losses.append(_losses(points, lateral, rows[2], weight.index_select(1, sample), own))
        return torch.cat(losses) * target.focal_length**2


def _losses(points: Tensor, lateral: Tensor, depth_row: Tensor, weight: Tensor, slopes: Tensor) -> Tensor:
    """``fit_to_target`` over focal_length^2, without its look behind the camera; entries (m) last.

    Args:
        points: (K, 3, m).
        lateral: (2, 3, m) first rows of the rotations, in the camera that looks along the keypoints' mean.
        depth_row: (3, m) their last rows.
        weight: (K, m).
        slopes: (K, 2, m).
    """
    u, v = slopes.unbind(1)
    x, y = (points * lateral[0]).sum(1), (points * lateral[1]).sum(1)
    z = (points * depth_row).sum(1)
    weighted_u, weighted_v = weight * u, weight * v
    spread = (weighted_u * u + weighted_v * v).sum(0)
    total = weight.sum(0)
    depth = z + (weighted_u * (x - u * z) + weighted_v * (y - v * z)).sum(0) / spread
    error_u = (x + (weighted_u * z - weight * x).sum(0) / total) / depth - u
    error_v = (y + (weighted_v * z - weight * y).sum(0) / total) / depth - v
    return (weight * (error_u * error_u + error_v * error_v)).sum(0)
