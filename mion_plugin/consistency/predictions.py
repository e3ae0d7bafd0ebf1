"""Scored bodies as data samples, in the form that ``mion.MeshMetric`` and ``mion.SelectionMetric`` read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.consistency.bodies import Bodies

_KEYPOINTS3D = "h36m"


@dataclass(frozen=True)
class ScoredBodies:
    """N bodies for each of B images and what is known about them.

    Attributes:
        bodies: (B, N).
        scores: (B, N), lowest wins, body heights.
        true_distance: (B, N) mean of ``vertex_distance``, body heights; meaningless where not ``labelled``.
        fit_loss: (B, N) squared pixels, infinite where unknown; or None.
        valid: (B,) bool, False where the keypoints determined no candidate, so that the bodies mean nothing.
        labelled: (B,) bool, where the true body is known.
    """

    bodies: Bodies
    scores: Tensor
    true_distance: Tensor
    fit_loss: Tensor | None
    valid: Tensor
    labelled: Tensor


@torch.no_grad()
def pack_scored(scored: ScoredBodies, body: SMPLBody) -> list[BaseDataElement]:
    """One element for each image.

    It holds ``pose`` (N, 24, 3, 3), ``betas`` (N, 10), ``transl`` (N, 3), ``keypoints3d`` (N, 17, 3) in h36m order
    without translation (not for a body without that regressor), ``scores`` (N,), ``selected`` (), the index of the
    lowest, ``valid`` (), and where known ``fit_loss`` (N,) and ``true_distance`` (N,).
    """
    bodies = scored.bodies
    fields = {"pose": bodies.pose, "betas": bodies.betas, "transl": bodies.transl, "scores": scored.scores}
    fields |= {"selected": scored.scores.argmin(dim=1), "valid": scored.valid}
    if scored.fit_loss is not None:
        fields["fit_loss"] = torch.where(scored.valid[:, None], scored.fit_loss, torch.inf)
    if body.arrays.regressor_h36m is not None:
        fields["keypoints3d"] = body.pose_keypoints(bodies.pose, bodies.betas, convention=_KEYPOINTS3D)
    packed = []
    for row, labelled in enumerate(scored.labelled.tolist()):
        element = BaseDataElement(**{name: value[row].detach() for name, value in fields.items()})
        if labelled:
            element.true_distance = scored.true_distance[row]
        packed.append(element)
    return packed
