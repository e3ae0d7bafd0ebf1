"""Which candidates explain the keypoints, told from the bounds of their losses wherever those suffice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mion_plugin.candidates.scoring import NEAREST, Bounds

BOUND_SLACK = 1e-4  # relative rounding of the bound's depth in single precision, measured below 1e-6
_NEAREST_SHARE = 0.05  # of the farthest joint's depth; for one nearer than that, rounding of its depth is not slight


class PoolEntries(NamedTuple):
    """M entries of the pool for samples of a batch.

    Attributes:
        sample: (M,) which sample.
        pose: (M,) which pose of the pool.
        orientation: (M,) which orientation of the pool.
    """

    sample: Tensor
    pose: Tensor
    orientation: Tensor

    def take(self, rows: Tensor) -> PoolEntries:
        """Some of them."""
        return PoolEntries(self.sample[rows], self.pose[rows], self.orientation[rows])


@dataclass(frozen=True)
class BoundedPoses:
    """G poses for samples of a batch, with the bounds of their losses in all O orientations.

    Attributes:
        sample: (G,) which sample, sorted.
        pose: (G,) which pose of the pool, sorted within a sample.
        lower: (O, G) squared pixels; ``rounding`` is not yet subtracted.
        upper: (O, G) squared pixels, inf where there is no bound.
        rounding: (G,) squared pixels.
    """

    sample: Tensor
    pose: Tensor
    lower: Tensor
    upper: Tensor
    rounding: Tensor


@dataclass(frozen=True)
class Shortlist:
    """The candidates that may be chosen.

    Attributes:
        sample: (G,) which sample, sorted.
        pose: (G,) which pose of the pool, sorted within a sample.
        compatible: (O, G) bool, whether that pose in that orientation explains its sample's keypoints.
        exact: M candidates whose loss is known, sorted by sample, pose and orientation: all that may have their
            sample's lowest, and all that are not compatible but may be among its N lowest.
        fit_loss: (M,) their losses.
        fits: (M,) bool, whether they are compatible.
    """

    sample: Tensor
    pose: Tensor
    compatible: Tensor
    exact: PoolEntries
    fit_loss: Tensor
    fits: Tensor


def bound_poses(
    bounds: Bounds, depth_range: Tensor, limit: Tensor, rounding: Tensor, focal_length: float
) -> BoundedPoses:
    """The poses that have a lower bound within their sample's limit in some orientation.

    Args:
        bounds: Of B samples, P poses and O orientations.
        depth_range: (O, P) metres between a candidate's farthest and nearest joint.
        limit: (B,) of ``bounds.lower``; NaN or negative for none.
        rounding: (B,) squared pixels by which a lower bound may be too high.
        focal_length: Pixels.
    """
    sample, pose = (bounds.lower.amin(dim=0) <= limit[:, None]).nonzero(as_tuple=True)
    column = sample * bounds.lower.shape[2] + pose
    lower = bounds.lower.flatten(1).index_select(1, column).mul_(focal_length**2)
    farthest = bounds.farthest.flatten(1).index_select(1, column)
    nearest = farthest - depth_range.index_select(1, pose)
    rounding = rounding.to(lower)[sample]
    known = nearest > (_NEAREST_SHARE * farthest).clamp_(min=NEAREST)
    ratio = farthest.div_(nearest)
    upper = (lower + rounding).mul_(ratio).mul_(ratio).mul_(1.0 + BOUND_SLACK)
    return BoundedPoses(sample, pose, lower, upper.masked_fill_(~known, torch.inf), rounding)


def may_be_best(poses: BoundedPoses, num_samples: int) -> Tensor:
    """(O, G) bool, whether a candidate may have its sample's lowest loss."""
    lowest = poses.upper.new_full((num_samples,), torch.inf)
    lowest = lowest.scatter_reduce(0, poses.sample, poses.upper.amin(dim=0), "amin")[poses.sample]
    return poses.lower <= (lowest + poses.rounding) * (1.0 + 2.0 * BOUND_SLACK)
