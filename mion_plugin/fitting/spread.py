"""What else the keypoints allow: bodies moved along what a fit leaves open.

About its optimum the posterior density of a fit's parameters z is nearly Gaussian (Laplace's approximation), with the
covariance (I + J'J)^-1. What it leaves open is, almost all, how deep the keypoints lie. The principal axes of their
depths behind the pelvis, under that density, tell how a body may be wrong together: an arm that comes forward instead
of going back, a trunk that leans the other way. A move along one takes all parameters to where they are most probable
given that the depths are so, and hardly touches the projection.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mion_plugin.fitting.problem import FitProblem

# Along the first and the second axis. With the middle, corners are five points to which most of a Gaussian is near;
# opposite ones come one after the other, so that two lie evenly, too.
_CORNERS = ((1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0))
_SECOND = 2 / 3  # of the move along the first axis: less is open along the second
_LEAST_VARIANCE = 1e-12  # square metres


def corner_moves(selected: Tensor, num_paths: int, deviations: float) -> Tensor:
    """How far to go along two axes: nowhere for the selected body of an image, to the corners in turn for the others.

    Args:
        selected: (B,) which of the N bodies stays.
        num_paths: N.
        deviations: Standard deviations along the first axis.

    Returns:
        (B, N, 2) standard deviations.
    """
    number = torch.arange(num_paths, device=selected.device)
    other = number - (number > selected[:, None]).long()
    size = torch.tensor([deviations, _SECOND * deviations], device=selected.device)
    corners = torch.tensor(_CORNERS, device=selected.device) * size
    return torch.where((number == selected[:, None])[..., None], 0.0, corners[other % len(_CORNERS)])


def depth_axes(problem: FitProblem, point: Tensor, number: int) -> Tensor:
    """What M fits leave most open in depth.

    Args:
        problem: The fits.
        point: (M, 85) z, their optima.
        number: How many axes, the widest first.

    Returns:
        (M, number, 85) changes of z by one standard deviation, each to where the keypoint that moves most goes back.
    """
    at, depths = problem.with_depths(point)
    jacobian = at.jacobian
    kernel = jacobian @ jacobian.mT
    kernel.diagonal(dim1=-2, dim2=-1).add_(1.0)
    # (I + J'J)^-1 G' = G' - J'(I + JJ')^-1 J G' for the depths' derivatives G
    solved = torch.cholesky_solve(jacobian @ depths.mT, torch.linalg.cholesky_ex(kernel).L)
    left_open = depths.mT - jacobian.mT @ solved  # (M, 85, K)
    covariance = depths @ left_open
    variance, axes = torch.linalg.eigh((covariance + covariance.mT) / 2)
    variance, axes = variance[:, -number:].flip(-1), axes[..., -number:].flip(-1)
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return (left_open @ axes / variance.clamp(min=_LEAST_VARIANCE).sqrt()[:, None]).mT
