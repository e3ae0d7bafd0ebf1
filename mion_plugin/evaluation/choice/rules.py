"""Rules by which one of an image's N bodies becomes the answer; each gives every path a number, and the lowest wins.

| rule | what wins | paper |
|---|---|---|
| ``first`` | the path whose candidate had the lowest fit loss | table 1: 1-path |
| ``reprojection`` | the lowest error to the 2D keypoints | |
| ``cen`` | the lowest score of the consistency estimation network | 3.3 |
| ``cen+reprojection`` | the lowest weighted sum of these two | |
| ``fit`` | the lowest cost of ``mion.KeypointFit``: the most probable body; where there is a fit | |
| ``random`` | a path drawn from (seed, ``sample_idx``) alone | table 3: w/o CEN |
| ``oracle`` | the lowest MPJPE, for which samples need ground truth | table 3: upper bound |

The same words stand in configs, metrics, tables and pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.evaluation.errors import evaluation_joints, evaluation_mask, mpjpe
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import convert_keypoints, is_present
from mion_plugin.samples import collect_targets, sample_name

RULES = ("first", "reprojection", "cen", "cen+reprojection", "fit", "random", "oracle")
LABEL_RULES = ("random", "oracle")  # those that need more of a sample than a photograph has
_CONVENTION = "h36m"


@torch.no_grad()
def fit_loss_of(bodies: Bodies, keypoints2d: Tensor, convention: str, body: SMPLBody, camera: CropCamera) -> Tensor:
    """Fit loss (B, N) of any bodies as stage 1 defines it: squared pixels weighted by confidence and summed.

    Args:
        bodies: (B, N).
        keypoints2d: (B, K, 3) crop pixels and confidence; see ``is_present``.
        convention: Their order.
        body: The body model.
        camera: The crop's camera.

    Returns:
        (B, N) float32, infinite where the bodies are not ``valid``.
    """
    points = bodies.keypoints(body, convention) + bodies.transl[..., None, :]
    return torch.where(bodies.valid[:, None], fit_loss_of_points(points, keypoints2d, camera), torch.inf)


def fit_loss_of_points(points: Tensor, keypoints2d: Tensor, camera: CropCamera) -> Tensor:
    """``fit_loss_of`` (B, N) of bodies whose keypoints (B, N, K, 3), metres before the camera, are known."""
    confidence = keypoints2d[:, None, :, 2]
    difference = camera.project_normalized(points) - camera.normalize(keypoints2d[:, None, :, :2])
    squared = (difference * (camera.image_size / 2.0)).square().sum(dim=-1)
    return torch.where(is_present(keypoints2d)[:, None], confidence * squared, 0.0).sum(dim=-1)


def reprojection_error(fit_loss: Tensor, keypoints2d: Tensor, image_size: float) -> Tensor:
    """Root of the mean squared distance between a body's keypoints and the given ones, as a share of the crop's side.

    Args:
        fit_loss: (B, N) of ``fit_loss_of``.
        keypoints2d: (B, K, 3), those that gave it.
        image_size: Side of the crop in pixels.

    Returns:
        (B, N) float32.
    """
    total = torch.where(is_present(keypoints2d), keypoints2d[..., 2], 0.0).sum(dim=1, keepdim=True)
    return (fit_loss / total.clamp(min=torch.finfo(total.dtype).tiny)).sqrt() / image_size


def first_scores(like: Tensor) -> Tensor:
    """0, 1, 2 ... for every sample: the path whose candidate had the lowest fit loss wins. ``like``: (B, N)."""
    return torch.arange(like.shape[1], device=like.device, dtype=torch.float32).expand(like.shape)


def combined_scores(scores: Tensor, reprojection: Tensor, weight: float) -> Tensor:
    """CEN's score plus ``weight`` times ``reprojection_error``; (B, N) each."""
    return scores + weight * reprojection if weight else scores  # 0 times infinity would be NaN


@dataclass(frozen=True)
class Labels:
    """What the samples of a test tell beyond the inputs of the method, for the rules ``random`` and ``oracle``.

    Attributes:
        samples: B data samples.
        seed: Of the random path.
    """

    samples: Sequence[BaseDataElement]
    seed: int = 0

    def scores(self, rule: str, bodies: Bodies, body: SMPLBody) -> Tensor:
        """Scores (B, N) of ``random`` or ``oracle``; raises ValueError if a sample lacks what the rule needs."""
        if rule == "random":
            return random_scores(self.samples, bodies.transl[..., 0], self.seed)
        return true_errors(self.samples, bodies, body)


def random_scores(samples: Sequence[BaseDataElement], like: Tensor, seed: int) -> Tensor:
    """Uniform numbers (B, N) that depend on (seed, ``sample_idx``) alone: every path is as likely to win.

    Raises:
        ValueError: A sample without ``sample_idx``.
    """
    drawn = []
    for sample in samples:
        if "sample_idx" not in sample:
            raise ValueError(f"{sample_name(sample)}: selection 'random' needs sample_idx, which seeds the draw")
        drawn.append(np.random.default_rng([seed, int(sample.sample_idx)]).random(like.shape[1]))
    return torch.from_numpy(np.stack(drawn)).to(like.device, torch.float32)


def true_errors(samples: Sequence[BaseDataElement], bodies: Bodies, body: SMPLBody) -> Tensor:
    """MPJPE (B, N) of every path in millimetres: the scores of the upper bound (paper, table 3).

    The truth is the sample's SMPL body, posed by ``body`` whatever its gender, or without one its 3D keypoints.

    Args:
        samples: B samples with ``gt_body``.
        bodies: (B, N).
        body: The body model.

    Raises:
        ValueError: A sample has neither, or the body model has no Human3.6M regressor.
    """
    if body.arrays.regressor_h36m is None:
        raise ValueError("selection 'oracle' needs a body model with the Human3.6M regressor")
    keypoints3d = body.pose_keypoints(bodies.pose, bodies.betas, convention=_CONVENTION)
    targets = collect_targets(samples, keypoints3d.device)
    joints = body.pose_keypoints(targets.rotations, targets.betas, convention=_CONVENTION)
    annotated = convert_keypoints(targets.keypoints3d, targets.keypoints3d_convention, _CONVENTION)[0]
    rows = []
    for row, sample in enumerate(samples):
        if targets.has_smpl[row]:
            truth, mask = joints[row], None
        else:
            truth, mask = annotated[row, :, :3], evaluation_mask(annotated[row, :, 3] > 0)
            if not targets.has_keypoints3d[row] or mask is None:
                raise ValueError(f"{sample_name(sample)}: selection 'oracle' needs ground truth, SMPL or 3D keypoints")
        rows.append(mpjpe(evaluation_joints(keypoints3d[row]), evaluation_joints(truth), mask))
    return torch.stack(rows).float()
