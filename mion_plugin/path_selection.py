"""Rules by which one of an image's N bodies becomes the answer; each gives every path a number, and the lowest wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.evaluation.errors import evaluation_joints, evaluation_mask, mpjpe
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.refinement.samples import collect_targets, input_keypoints, name_of

RULES = ("cen", "first", "reprojection", "cen+reprojection", "random", "oracle")
_CONVENTION = "h36m"


def first_scores(like: Tensor) -> Tensor:
    """0, 1, 2 ... for every sample: the path whose candidate had the lowest fit loss wins. ``like``: (B, N)."""
    return torch.arange(like.shape[1], device=like.device, dtype=torch.float32).expand(like.shape)


def reprojection_error(fit_loss: Tensor, samples: Sequence[BaseDataElement], image_size: float) -> Tensor:
    """Root of the mean squared distance between a body's keypoints and the given ones, as a share of the crop's side.

    Args:
        fit_loss: (B, N) squared pixels, weighted by confidence and summed; infinite for samples that are not valid.
        samples: B samples with the keypoints that gave it.
        image_size: Side of the crop in pixels.

    Returns:
        (B, N) float32.
    """
    convention = samples[0].get("keypoints2d_convention", "coco")
    confidence = input_keypoints(samples, convention, fit_loss.device)[..., 2].nan_to_num().clamp(min=0)
    total = confidence.sum(dim=1, keepdim=True)
    return (fit_loss / total.clamp(min=torch.finfo(total.dtype).tiny)).sqrt() / image_size


def combined_scores(scores: Tensor, reprojection: Tensor, weight: float) -> Tensor:
    """CEN's score plus ``weight`` times ``reprojection_error``; (B, N) each."""
    return scores + weight * reprojection


def random_scores(samples: Sequence[BaseDataElement], like: Tensor, seed: int) -> Tensor:
    """Uniform numbers (B, N) that depend on (seed, ``sample_idx``) alone: every path is as likely to win.

    Raises:
        ValueError: A sample without ``sample_idx``.
    """
    drawn = []
    for sample in samples:
        if "sample_idx" not in sample:
            raise ValueError(f"{name_of(sample)}: selection 'random' needs sample_idx, which seeds the draw")
        drawn.append(np.random.default_rng([seed, int(sample.sample_idx)]).random(like.shape[1]))
    return torch.from_numpy(np.stack(drawn)).to(like.device, torch.float32)


def true_errors(samples: Sequence[BaseDataElement], keypoints3d: Tensor, body: SMPLBody) -> Tensor:
    """MPJPE (B, N) of every path in millimetres: the scores of the upper bound (paper, table 3).

    The truth is the sample's SMPL body, posed by ``body`` whatever its gender, or without one its 3D keypoints.

    Args:
        samples: B samples with ``gt_body``.
        keypoints3d: (B, N, 17, 3) predicted joints in h36m order, metres.
        body: The body model.

    Raises:
        ValueError: A sample has neither.
    """
    device = keypoints3d.device
    targets = collect_targets(samples, device)
    joints = body.pose_keypoints(targets.rotations, targets.betas, convention=_CONVENTION)
    annotated = convert_keypoints(targets.keypoints3d, targets.keypoints3d_convention, _CONVENTION)[0]
    rows = []
    for row, sample in enumerate(samples):
        if targets.has_smpl[row]:
            truth, mask = joints[row], None
        else:
            truth, mask = annotated[row, :, :3], evaluation_mask(annotated[row, :, 3] > 0)
            if not targets.has_keypoints3d[row] or mask is None:
                raise ValueError(f"{name_of(sample)}: selection 'oracle' needs ground truth, SMPL or 3D keypoints")
        rows.append(mpjpe(evaluation_joints(keypoints3d[row]), evaluation_joints(truth), mask))
    return torch.stack(rows).float()
