"""Data samples of this package as the batches that mmhuman3d's pipelines collect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.samples import Targets, collect_targets, sample_name

# CLIFF's normalisation of a box: mmhuman3d's GetBboxInfo
_OFFSET_UNIT = 2.8
_MEAN_SIDE, _SIDE_UNIT = 0.24, 0.06


def target_batch(
    samples: Sequence[BaseDataElement],
    convention: str,
    image_size: int,
    keypoint_flags: bool,
    device: torch.device,
) -> dict[str, Any]:
    """What mmhuman3d's losses read of B samples.

    ``keypoints2d`` are in pixels of a 224 crop, which mmhuman3d's losses and SMPLify take for granted.

    Args:
        samples: Data samples of ``PackBodyInputs``.
        convention: Order of the keypoints in the architecture.
        image_size: Side of the crop in pixels.
        keypoint_flags: Hand over ``has_keypoints2d`` and ``has_keypoints3d``. Without them mmhuman3d averages its
            keypoint losses over confident joints, with them over all joints of the samples that have any.
        device: Where to.
    """
    targets = collect_targets(samples, device)
    keypoints2d = convert_keypoints(targets.keypoints2d, targets.keypoints2d_convention, convention)[0]
    keypoints3d = convert_keypoints(targets.keypoints3d, targets.keypoints3d_convention, convention)[0]
    pixels = keypoints2d[..., :2] * (IMAGE_SIZE / image_size)
    batch = {
        "keypoints2d": torch.cat([pixels, keypoints2d[..., 2:]], dim=-1),
        "keypoints3d": keypoints3d,
        **_smpl_targets(samples, targets, device),
        "is_flipped": _column(samples, "is_flipped", 0, device).long(),
        "rotation": _column(samples, "rotation", 0.0, device),
        "sample_idx": _column(samples, "sample_idx", 0, device).long(),
        "img_metas": image_metas(samples),
    }
    if keypoint_flags:
        batch |= {key: getattr(targets, key).long()[:, None] for key in ("has_keypoints2d", "has_keypoints3d")}
    return batch


def image_metas(samples: Sequence[BaseDataElement]) -> list[dict[str, str]]:
    """mmhuman3d's ``img_metas``."""
    return [{key: str(sample.get(key, "")) for key in ("dataset_name", "image_path")} for sample in samples]


def box_inputs(samples: Sequence[BaseDataElement], device: torch.device) -> dict[str, Tensor]:
    """Where the crops lie in their images: what CLIFF's head and its full-frame losses read.

    ``bbox_info`` (B, 3), ``center`` (B, 2), ``scale`` (B, 2), ``img_h``, ``img_w``, ``focal_length`` (B, 1), all in
    pixels of the image, and ``crop_trans`` (B, 2, 3), from there to pixels of a 224 crop without its rotation: CLIFF
    projects the body that was turned with the picture. A flipped sample's image is the mirrored one, as in mmhuman3d.

    Raises:
        ValueError: A sample does not tell its image's size or its crop.
    """
    rows = [_box_row(sample) for sample in samples]
    return {
        key: torch.tensor(np.stack([row[key] for row in rows]), dtype=torch.float32, device=device) for key in rows[0]
    }


def _box_row(sample: BaseDataElement) -> dict[str, np.ndarray]:
    missing = [key for key in ("ori_shape", "center", "scale") if key not in sample]
    if missing:
        raise ValueError(f"{sample_name(sample)}: CLIFF needs {', '.join(missing)} of the sample; see PackBodyInputs")
    height, width = sample.ori_shape[:2]
    focal_length = float(np.hypot(height, width))
    center, scale = np.asarray(sample.center), np.asarray(sample.scale)
    offset = (center - np.array([width, height]) / 2.0) / focal_length * _OFFSET_UNIT
    side = (scale[0] / focal_length - _MEAN_SIDE) / _SIDE_UNIT
    factor = IMAGE_SIZE / scale[0]
    return {
        "bbox_info": np.array([*offset, side]),
        "center": center,
        "scale": scale,
        "img_h": np.array([height]),
        "img_w": np.array([width]),
        "focal_length": np.array([focal_length]),
        "crop_trans": np.column_stack([factor * np.eye(2), IMAGE_SIZE / 2 - factor * center]),
    }


def _smpl_targets(samples: Sequence[BaseDataElement], targets: Targets, device: torch.device) -> dict[str, Tensor]:
    """SMPL as axis-angle, zeros where a sample has none."""

    def stacked(key: str, shape: tuple[int, ...]) -> Tensor:
        values = [sample.gt_body.get(key, torch.zeros(shape)) for sample in samples]
        return torch.stack([value.to(device, torch.float32) for value in values])

    return {
        "smpl_body_pose": stacked("smpl_body_pose", (23, 3)),
        "smpl_global_orient": stacked("smpl_global_orient", (3,)),
        "smpl_betas": targets.betas,
        "has_smpl": targets.has_smpl.long()[:, None],
    }


def _column(samples: Sequence[BaseDataElement], key: str, default: float, device: torch.device) -> Tensor:
    """(B, 1) a number of each sample."""
    return torch.tensor([[float(sample.get(key, default))] for sample in samples], device=device)
