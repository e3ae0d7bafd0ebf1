"""Refined bodies as data samples, in the form that ``mion.MeshMetric`` reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.refinement.candidates import Candidates
from mion_plugin.refinement.heads import RefinementOutput

_KEYPOINTS3D = "h36m"


@torch.no_grad()
def pack_predictions(
    samples: Sequence[BaseDataElement],
    output: RefinementOutput,
    candidates: Candidates,
    fit_loss: Tensor | None,
    body: SMPLBody,
    with_vertices: bool = False,
) -> list[BaseDataElement]:
    """A copy of each sample with what was predicted for it.

    - ``pred_bodies``: ``pose`` (N, 24, 3, 3), ``betas`` (N, 10), ``transl`` (N, 3), ``keypoints3d`` (N, 17, 3) in h36m
      order without translation, metres; ``vertices`` (N, 6890, 3), likewise, on request; ``fit_loss`` (N,) of the
      refined bodies, squared pixels as the candidates', if keypoints are given, infinite where not ``valid``;
      ``selected`` (), the chosen path: the first, whose candidate had the lowest fit loss, until stage 3 chooses;
      ``valid`` (), False where the keypoints determined no candidate, so that the paths mean nothing.
    - ``candidates``: ``pose`` (N, 24, 3) axis-angle, ``transl``, ``fit_loss``, ``keypoints3d`` and ``valid`` of where
      the paths started.

    ``keypoints3d`` are left out for a body without the Human3.6M regressor.
    """
    refined = {"pose": output.pose, "betas": output.betas, "transl": output.transl}
    started = {"pose": candidates.pose, "transl": candidates.transl, "fit_loss": candidates.fit_loss}
    if fit_loss is not None:
        refined["fit_loss"] = torch.where(candidates.valid[:, None], fit_loss, torch.inf)
    if body.arrays.regressor_h36m is not None:
        refined["keypoints3d"] = body.pose_keypoints(output.pose, output.betas, convention=_KEYPOINTS3D)
        started["keypoints3d"] = body.pose_keypoints(candidates.pose, convention=_KEYPOINTS3D)
    if with_vertices:
        refined["vertices"] = body(output.pose, output.betas).vertices
    selected = torch.zeros(len(samples), dtype=torch.long, device=output.transl.device)
    refined |= {"selected": selected, "valid": candidates.valid}
    started["valid"] = candidates.valid
    packed = []
    for row, sample in enumerate(samples):
        result = sample.new()
        result.pred_bodies = BaseDataElement(**{name: value[row].detach() for name, value in refined.items()})
        result.candidates = BaseDataElement(**{name: value[row] for name, value in started.items()})
        packed.append(result)
    return packed


@torch.no_grad()
def refined_fit_loss(
    output: RefinementOutput, keypoints2d: Tensor, convention: str, body: SMPLBody, camera: CropCamera
) -> Tensor:
    """Fit loss (B, N) of refined bodies as stage 1 defines it: squared pixels weighted by confidence and summed.

    Args:
        output: Refined bodies (B, N).
        keypoints2d: (B, K, 3) crop pixels and confidence; absent joints may be NaN.
        convention: Their order.
        body: The body model.
        camera: The crop's camera.
    """
    points = body.pose_keypoints(output.pose, output.betas, output.transl, convention)
    confidence = keypoints2d[:, None, :, 2].nan_to_num()
    difference = camera.project_normalized(points) - camera.normalize(keypoints2d[:, None, :, :2])
    squared = (difference * (camera.image_size / 2.0)).square().sum(dim=-1)
    return torch.where(confidence > 0, confidence * squared, 0.0).sum(dim=-1)
