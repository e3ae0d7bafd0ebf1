"""Errors of predicted bodies as pure functions: metres in, millimetres out, any leading batch dimensions.

All work is done in float64, since Procrustes alignment in float32 already costs 1e-3 mm. Leading dimensions broadcast:
paths (B, N, K, 3) are compared with their ground truth given as (B, 1, K, 3).
"""

from __future__ import annotations

import numpy as np
import roma
import torch
from torch import Tensor

from mion_plugin.geometry.keypoints import keypoint_names

MILLIMETRES = 1000.0  # per metre

# The 14 joints that SPIN and mmhuman3d score (H36M_TO_J14 there), and the root they subtract, in the h36m convention.
EVALUATION_JOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip_extra",
    "left_hip_extra",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck_extra",
    "headtop",
)
EVALUATION_ROOT = "pelvis_extra"


def evaluation_joints(keypoints3d: Tensor) -> Tensor:
    """The 14 scored joints relative to the pelvis: SPIN's protocol, as mmhuman3d's ``HumanImageDataset.evaluate``.

    Args:
        keypoints3d: (..., 17, 3) metres in mmhuman3d's ``h36m`` order.

    Returns:
        (..., 14, 3) metres, float64, in the order of ``EVALUATION_JOINTS``.

    Raises:
        ValueError: Not 17 finite points.
    """
    points = _points(keypoints3d, "keypoints3d")
    names = keypoint_names("h36m")
    if points.shape[-2] != len(names):
        raise ValueError(f"keypoints3d has shape {tuple(points.shape)}, expected (..., 17, 3) in h36m order")
    root = points[..., names.index(EVALUATION_ROOT), :]
    return root_aligned(points[..., [names.index(name) for name in EVALUATION_JOINTS], :], root)


def evaluation_mask(present: Tensor) -> Tensor | None:
    """Which of the 14 scored joints are there, given (17,) for the ``h36m`` joints of one sample.

    None if the pelvis or all scored joints are missing: such a sample cannot be scored.
    """
    names = keypoint_names("h36m")
    mask = present[[names.index(name) for name in EVALUATION_JOINTS]]
    return mask if present[names.index(EVALUATION_ROOT)] and mask.any() else None


def root_aligned(points: Tensor, root: Tensor) -> Tensor:
    """``points`` (..., K, 3) relative to ``root`` (..., 3), float64."""
    return _points(points, "points") - torch.as_tensor(root).double()[..., None, :]


def mpjpe(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean per joint position error. Nothing is aligned here: pass joints relative to their root.

    Args:
        pred: (..., K, 3) metres.
        target: (..., K, 3) metres, broadcasting against ``pred``.
        mask: (..., K) True for the joints that count; None for all.

    Returns:
        (...) millimetres, float64.

    Raises:
        ValueError: Shapes that do not fit, NaN or infinite points, a sample whose mask admits no joint.
    """
    pred, target, weights = _pair(pred, target, mask)
    distance = torch.linalg.vector_norm(pred - target, dim=-1)
    return MILLIMETRES * (weights * distance).sum(-1) / weights.sum(-1)


def pa_mpjpe(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """MPJPE after the similarity transform that brings ``pred`` closest to ``target`` ("reconstruction error").

    Arguments, result and errors as ``mpjpe``. Equals mmhuman3d's ``keypoint_mpjpe(alignment='procrustes')`` where every
    joint counts; with a mask, mmhuman3d still lets the joints that do not count steer the alignment, here they do not.
    """
    return mpjpe(similarity_aligned(pred, target, mask), target, mask)


def similarity_aligned(source: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """``source`` moved onto ``target`` by the best rotation, scale and translation (least squares; Umeyama 1991).

    The rotation is proper: a mirrored body stays mirrored. Where the best rotation is not unique (points on a line or
    all in one place) any best one is taken; a source with all points in one place goes to the target's centroid.

    Args:
        source: (..., K, 3).
        target: (..., K, 3), broadcasting against ``source``.
        mask: (..., K) True for the points that steer the alignment; None for all.

    Returns:
        (..., K, 3) float64.

    Raises:
        ValueError: As ``mpjpe``.
    """
    source, target, weights = _pair(source, target, mask)
    rotation, transl, scale = roma.rigid_points_registration(source, target, weights, compute_scaling=True)
    mean = (weights[..., None] * target).sum(-2, keepdim=True) / weights.sum(-1)[..., None, None]
    aligned = scale[..., None, None] * source @ rotation.mT + transl[..., None, :]
    return torch.where(scale[..., None, None].isfinite(), aligned, mean)  # of a single place nothing can be scaled


def pve(pred: Tensor, target: Tensor) -> Tensor:
    """Per vertex error: mean distance of corresponding vertices, nothing aligned.

    mmhuman3d's and VIBE's PVE compare bodies posed without translation, so that the origin of the model's rest pose is
    the common point; the paper's "vertex L2 error" (table 6) is read as the same quantity in metres. For the
    pelvis-aligned variant pass ``root_aligned`` vertices.

    Args:
        pred: (..., V, 3) metres.
        target: (..., V, 3) metres, broadcasting against ``pred``.

    Returns:
        (...) millimetres, float64.

    Raises:
        ValueError: Shapes that do not fit, NaN or infinite vertices.
    """
    return mpjpe(pred, target)


def shape_l2(pred: Tensor, target: Tensor) -> Tensor:
    """L2 distance of two shape vectors (paper, table 6): betas (..., 10) each, result (...) without unit, float64.

    Raises:
        ValueError: Different numbers of betas, NaN or infinite values.
    """
    pred, target = torch.as_tensor(pred).double(), torch.as_tensor(target).double()
    if pred.shape[-1] != target.shape[-1]:
        raise ValueError(f"betas have {pred.shape[-1]} and {target.shape[-1]} entries, expected equally many")
    _check_finite(pred, "predicted betas")
    _check_finite(target, "target betas")
    return torch.linalg.vector_norm(pred - target, dim=-1)


def _pair(pred: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Both point sets in float64 with equal shapes, and the weights (..., K) of their points."""
    pred, target = _points(pred, "pred"), _points(target, "target")
    if pred.shape[-2] != target.shape[-2]:
        raise ValueError(f"pred has {pred.shape[-2]} points and target {target.shape[-2]}, expected equally many")
    try:
        pred, target = torch.broadcast_tensors(pred, target)
        weights = pred.new_ones(pred.shape[:-1])
        if mask is not None:
            weights = weights * torch.as_tensor(mask, device=pred.device).bool()
    except RuntimeError as error:
        raise ValueError(
            f"pred {tuple(pred.shape)}, target {tuple(target.shape)} and mask "
            f"{None if mask is None else tuple(mask.shape)} do not broadcast: {error}"
        ) from None
    if not (weights.sum(-1) > 0).all():
        raise ValueError("a sample has no valid joint; leave such samples out")
    return pred, target, weights


def _points(points: Tensor | np.ndarray, name: str) -> Tensor:
    points = torch.as_tensor(points).double()
    if points.ndim < 2 or points.shape[-1] != 3 or points.shape[-2] == 0:
        raise ValueError(f"{name} has shape {tuple(points.shape)}, expected (..., K, 3) with K > 0")
    _check_finite(points, name)
    return points


def _check_finite(values: Tensor, name: str) -> None:
    if not torch.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinite values")
