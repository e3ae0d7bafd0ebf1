"""Levenberg-Marquardt for many small least-squares problems with a unit Gaussian prior, all at once.

Each problem minimises  |z|^2 / 2 + rho(r(z)) / 2  over D numbers z, with fewer residuals R than numbers. A step solves
(J'J + mu I) step = -(J'r + z), mu >= 1, in the space of the residuals (Woodbury): with K = J J' + mu I,

    step = J' K^-1 (J z / mu - r) - z / mu.

K is R x R and no eigenvalue of it is below 1, so that float32 suffices. The choice of what is kept is made on the
device: no value is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

# mu - 1 at first, and what a step that was taken or refused makes of it (Marquardt, 1963).
_FIRST_DAMPING, _TAKEN, _REFUSED = 0.1, 0.1, 10.0
_LOWEST_DAMPING, _HIGHEST_DAMPING = 1e-4, 1e6


@dataclass(frozen=True)
class Linearized:
    """M problems at one point each.

    Attributes:
        cost: (M,) what is minimised; infinite, or NaN, where the point is not admissible.
        residual: (M, R) r, robust weights' roots included, so that J'r is the cost's gradient less z.
        jacobian: (M, R, D) J, likewise.
    """

    cost: Tensor
    residual: Tensor
    jacobian: Tensor

    def where(self, mask: Tensor, other: Linearized) -> Linearized:
        """These problems where ``mask`` (M,), the other's elsewhere."""
        return Linearized(*(where_rows(mask, getattr(self, f.name), getattr(other, f.name)) for f in fields(self)))


class Problems(Protocol):
    """M problems."""

    def cost(self, point: Tensor, /) -> Tensor:
        """(M,) at points (M, D), as ``Linearized.cost``, without derivatives."""

    def __call__(self, point: Tensor, /) -> Linearized:
        """The problems at points (M, D)."""


def minimize(problems: Problems, start: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Improve M points by up to ``iterations`` steps each; no step that does not lower the cost is taken.

    Args:
        problems: What is minimised.
        start: (M, D) points; one that is not admissible stays.
        iterations: Steps tried.

    Returns:
        The points (M, D), and the cost (M,) there.
    """
    if iterations == 0:
        return start, problems.cost(start)
    point, at_point = start, problems(start)
    damping = torch.full_like(at_point.cost, _FIRST_DAMPING)
    for _ in range(iterations - 1):
        trial = point + _step(at_point, point, 1.0 + damping)
        at_trial = problems(trial)
        taken = _improves(at_trial.cost, at_point.cost)
        point, at_point = where_rows(taken, trial, point), at_trial.where(taken, at_point)
        damping = (damping * torch.where(taken, _TAKEN, _REFUSED)).clamp(_LOWEST_DAMPING, _HIGHEST_DAMPING)
    trial = point + _step(at_point, point, 1.0 + damping)  # nothing follows that would need its derivatives
    cost = problems.cost(trial)
    taken = _improves(cost, at_point.cost)
    return where_rows(taken, trial, point), torch.where(taken, cost, at_point.cost)


def _improves(trial: Tensor, cost: Tensor) -> Tensor:
    """(M,) whether the trial's cost is lower; False for NaN, and where the start was not admissible."""
    return (trial < cost) & cost.isfinite()


def _step(problem: Linearized, point: Tensor, damping: Tensor) -> Tensor:
    """(M, D); ``damping`` (M,) is mu."""
    jacobian, mu = problem.jacobian, damping[:, None]
    kernel = jacobian @ jacobian.mT
    kernel.diagonal(dim1=-2, dim2=-1).add_(mu)
    right = (jacobian @ (point / mu)[..., None]) - problem.residual[..., None]
    factor = torch.linalg.cholesky_ex(kernel).L  # positive definite by construction: nothing to check
    return (jacobian.mT @ torch.cholesky_solve(right, factor))[..., 0] - point / mu


def where_rows(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """``yes`` (M, ...) in the rows where ``mask`` (M,) is True, ``no`` in the others."""
    return torch.where(mask.view(-1, *[1] * (yes.ndim - 1)), yes, no)
