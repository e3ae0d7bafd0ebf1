"""mmhuman3d's batches as the data samples that this package's models take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.datasets.transforms.formatting import GT_KEYS
from mion_plugin.geometry.keypoints import convert_keypoints

KEYPOINTS2D_CONVENTION = "smpl_54"  # every 2D keypoint that a body model has
KEYPOINTS3D_CONVENTION = "h36m"
_KEYPOINTS2D_KEYS = ("keypoints2d", "keypoints2d_input")
_FLAGS = ("has_keypoints2d", "has_keypoints3d", "has_smpl")
_CONVENTIONS = {"keypoints2d": KEYPOINTS2D_CONVENTION, "keypoints3d": KEYPOINTS3D_CONVENTION}


def data_samples(
    img_metas: Sequence[Mapping[str, Any]],
    batch: Mapping[str, Tensor],
    crop_size: int,
    convention: str = "human_data",
) -> list[BaseDataElement]:
    """One sample for each image, as ``PackBodyInputs`` makes them.

    Args:
        img_metas: B dicts of the pipeline's meta keys.
        batch: What the pipeline collected, each (B, ...): ``keypoints2d`` (B, K, 3) crop pixels and confidence,
            ``keypoints2d_input`` (B, 54, 3) likewise, in ``smpl_54`` (what stage 1 sees; default ``keypoints2d``),
            ``keypoints3d`` (B, K, 4) metres, ``smpl_*``, the flags ``has_*`` (B, 1), ``sample_idx`` (B, 1).
        crop_size: Side of the crop, pixels.
        convention: Of ``keypoints2d`` and ``keypoints3d``: what the data sets are configured with. Joints are converted
            by name.

    Raises:
        ValueError: Keypoints of another number than the convention's.
    """
    fields = {key: value for key, value in batch.items() if key in GT_KEYS and key != "smpl_transl"}
    for key, wanted in _CONVENTIONS.items():
        if key in fields:
            fields[key] = convert_keypoints(fields[key], convention, wanted)[0]
    fields = {key: value.reshape(-1) if key in _FLAGS else value.float() for key, value in fields.items()}
    samples = []
    for row, meta in enumerate(img_metas):
        sample = BaseDataElement(
            metainfo={
                "image_path": path if isinstance(path := meta.get("image_path", ""), str) else "",  # or a picture
                "crop_size": crop_size,
                "keypoints2d_convention": KEYPOINTS2D_CONVENTION,
                "keypoints3d_convention": KEYPOINTS3D_CONVENTION,
            }
        )
        if "sample_idx" in batch:
            sample.set_metainfo({"sample_idx": int(batch["sample_idx"].reshape(-1)[row])})
        sample.gt_body = BaseDataElement(**{key: value[row] for key, value in fields.items()})
        samples.append(sample)
    return samples


def keypoints_of_metas(img_metas: Sequence[Mapping[str, Any]], device: torch.device) -> dict[str, Tensor]:
    """Those keys of 2D keypoints that every meta has, stacked: (B, K, 3) float32."""
    return {
        key: torch.from_numpy(np.stack([meta[key] for meta in img_metas])).float().to(device)
        for key in _KEYPOINTS2D_KEYS
        if all(key in meta for meta in img_metas)
    }


def stack_selected(results: Sequence[BaseDataElement], name: str) -> Tensor:
    """(B, ...) ``pred_bodies.name`` (N, ...) of the path that was chosen for each result."""
    return torch.stack([result.pred_bodies.get(name)[int(result.pred_bodies.selected)] for result in results])
