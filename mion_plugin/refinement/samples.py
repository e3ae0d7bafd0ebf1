"""Batches from data samples: input keypoints, candidates that the data bring, and the targets of the losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import roma
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS
from mion_plugin.geometry.keypoints import convert_keypoints, keypoint_names

DEFAULT_CONVENTIONS = {"keypoints2d": "coco", "keypoints3d": "h36m"}


@dataclass(frozen=True)
class Targets:
    """What is known about B people; absent parts are zeros that the flags and confidences mask.

    Attributes:
        keypoints2d: (B, K, 3) crop pixels and confidence.
        keypoints2d_convention: Their order.
        keypoints3d: (B, K3, 4) metres, camera axes, any origin, and confidence.
        keypoints3d_convention: Their order.
        rotations: (B, 24, 3, 3) SMPL pose.
        betas: (B, 10).
        has_keypoints2d, has_keypoints3d, has_smpl: (B,) bool.
    """

    keypoints2d: Tensor
    keypoints2d_convention: str
    keypoints3d: Tensor
    keypoints3d_convention: str
    rotations: Tensor
    betas: Tensor
    has_keypoints2d: Tensor
    has_keypoints3d: Tensor
    has_smpl: Tensor


def collect_targets(samples: Sequence[BaseDataElement], device: torch.device) -> Targets:
    """The targets in the ``gt_body`` of B samples; see ``PackBodyInputs``.

    Raises:
        ValueError: Samples of one batch name their keypoints in different conventions, or a shape is wrong.
    """
    conventions = {key: common_convention(samples, key) for key in DEFAULT_CONVENTIONS}
    num = {key: len(keypoint_names(convention)) for key, convention in conventions.items()}
    global_orient = _stack(samples, "smpl_global_orient", (3,), device)
    body_pose = _stack(samples, "smpl_body_pose", (NUM_JOINTS - 1, 3), device)
    return Targets(
        keypoints2d=_stack(samples, "keypoints2d", (num["keypoints2d"], 3), device),
        keypoints2d_convention=conventions["keypoints2d"],
        keypoints3d=_stack(samples, "keypoints3d", (num["keypoints3d"], 4), device),
        keypoints3d_convention=conventions["keypoints3d"],
        rotations=roma.rotvec_to_rotmat(torch.cat([global_orient[:, None], body_pose], dim=1)),
        betas=_stack(samples, "smpl_betas", (NUM_BETAS,), device),
        has_keypoints2d=_flags(samples, "has_keypoints2d", ("keypoints2d",), device),
        has_keypoints3d=_flags(samples, "has_keypoints3d", ("keypoints3d",), device),
        has_smpl=_flags(samples, "has_smpl", ("smpl_global_orient", "smpl_body_pose", "smpl_betas"), device),
    )


def input_keypoints(samples: Sequence[BaseDataElement], convention: str, device: torch.device) -> Tensor:
    """The 2D keypoints that stage 1 sees, (B, K, 3) in ``convention``; joints that the data lack have confidence 0.

    ``gt_body.keypoints2d_input``, or ``gt_body.keypoints2d`` where there is none.

    Raises:
        ValueError: A sample has neither, or they have another shape than their convention says.
    """
    keypoints = []
    for sample in samples:
        key = "keypoints2d_input" if "keypoints2d_input" in sample.gt_body else "keypoints2d"
        own = sample.get("keypoints2d_convention", DEFAULT_CONVENTIONS["keypoints2d"])
        value = _read(sample, key, (len(keypoint_names(own)), 3))
        if value is None:
            raise ValueError(f"{name_of(sample)}: gt_body has neither keypoints2d_input nor keypoints2d")
        keypoints.append(value if own == convention else convert_keypoints(value, own, convention)[0])
    return torch.stack([value.to(device, torch.float32) for value in keypoints])


def common_convention(samples: Sequence[BaseDataElement], key: str) -> str:
    """The convention of ``keypoints2d`` or ``keypoints3d`` in all samples; raises ValueError if there are several."""
    found = sorted({sample.get(f"{key}_convention", DEFAULT_CONVENTIONS[key]) for sample in samples})
    if len(found) != 1:
        raise ValueError(
            f"the samples of one batch have {key} in {', '.join(found)}; give all data sets one {key}_convention"
        )
    return found[0]


def name_of(sample: BaseDataElement) -> str:
    """How to call a sample in a message."""
    return str(sample.get("image_path", f"sample {sample.get('sample_idx', 'without a name')}"))


def _flags(samples: Sequence[BaseDataElement], flag: str, keys: tuple[str, ...], device: torch.device) -> Tensor:
    """(B,) whether the sample has the keys and its flag, if it has one, is set."""
    values = [
        torch.as_tensor(sample.gt_body.get(flag, 1) if all(key in sample.gt_body for key in keys) else 0, device=device)
        for sample in samples
    ]
    return torch.stack(values) != 0  # on the device: asking each flag would wait for it


def _stack(samples: Sequence[BaseDataElement], key: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """(B, *shape) float32, zeros where a sample lacks the key."""
    values = [_read(sample, key, shape) for sample in samples]
    return torch.stack(
        [torch.zeros(shape, device=device) if value is None else value.to(device, torch.float32) for value in values]
    )


def _read(sample: BaseDataElement, key: str, shape: tuple[int, ...]) -> Tensor | None:
    value = sample.gt_body.get(key)
    if value is not None and tuple(value.shape) != shape:
        raise ValueError(f"{name_of(sample)}: {key} has shape {tuple(value.shape)}, expected {shape}")
    return value
