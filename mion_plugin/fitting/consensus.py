"""One body of an image's N fitted ones: their mean, weighted by how probable each is."""

from __future__ import annotations

import torch
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.fitting.keypoint_fit import FittedBodies
from mion_plugin.fitting.so3 import nearest_rotation
from mion_plugin.geometry.precision import full_precision


@torch.no_grad()
def posterior_mean(fitted: FittedBodies) -> Bodies:
    """The mean of each image's bodies under weights exp(-cost), normalised.

    An error that is averaged over joints is lowest for a mean, not for any one body. Rotations are averaged as matrices
    and brought back to rotations, betas and transl as they are.

    Args:
        fitted: N bodies of each of B images. Bodies that were left as they were count nothing, unless all of an image
            were: then they count alike.

    Returns:
        (B, 1).
    """
    with full_precision(fitted.transl):
        weight = posterior_weights(fitted.cost)
        pose, betas, transl = (_weighted(value, weight) for value in (fitted.pose, fitted.betas, fitted.transl))
        return Bodies(pose=nearest_rotation(pose)[:, None], betas=betas[:, None], transl=transl[:, None])


def posterior_weights(cost: Tensor) -> Tensor:
    """exp(-cost) (B, N), normalised over N; alike where every cost is infinite."""
    known = cost.isfinite()
    return torch.where(known.any(1, keepdim=True), -cost, 0.0).softmax(dim=1)


def _weighted(values: Tensor, weight: Tensor) -> Tensor:
    """(B, N, ...) to (B, ...)."""
    weight = weight.view(*weight.shape, *[1] * (values.ndim - 2))
    return torch.where(weight > 0, weight * values, 0.0).sum(dim=1)
