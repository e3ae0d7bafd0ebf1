"""From a results dict to what the model takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mion_plugin.registry import TRANSFORMS

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
GT_KEYS = (
    "keypoints2d",
    "keypoints2d_input",
    "depths_input",
    "keypoints3d",
    "smpl_body_pose",
    "smpl_global_orient",
    "smpl_betas",
    "smpl_transl",
    "has_keypoints2d",
    "has_keypoints3d",
    "has_smpl",
    "has_transl",
    "cam_intrinsics",
)
META_KEYS = (
    "image_path",
    "dataset_name",
    "sample_idx",
    "gender",
    "keypoints2d_convention",
    "keypoints3d_convention",
    "center",
    "scale",
    "rotation",
    "is_flipped",
    "ori_shape",
    "crop_size",
    "img_transform",
)


@TRANSFORMS.register_module()
class Normalize:
    """Subtract ``mean`` and divide by ``std`` (RGB, 0..255); ``img`` becomes float32. Default: ImageNet's."""

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        self.mean = np.array(mean, dtype=np.float32)
        self.std = np.array(std, dtype=np.float32)
        if self.mean.shape != (3,) or self.std.shape != (3,) or not (self.std > 0).all():
            raise ValueError(f"mean {list(mean)} and std {list(std)}, expected three numbers each, std positive")

    def __call__(self, results: dict) -> dict:
        """Change ``img``."""
        planes = (
            results["img"].transpose(2, 0, 1).astype(np.float32, order="C")
        )  # channel by channel: five times as fast
        planes -= self.mean[:, None, None]
        planes /= self.std[:, None, None]
        results["img"] = planes.transpose(1, 2, 0)
        return results


def unnormalized(
    image: torch.Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB that ``Normalize`` has made an image (3, H, W) of, to a grey level."""
    deviation, middle = (torch.tensor(values)[:, None, None] for values in (std, mean))
    return (image.float() * deviation + middle).clamp(0, 255).byte().permute(1, 2, 0).numpy()


@TRANSFORMS.register_module()
class PackBodyInputs:
    """Last step: ``dict(inputs, data_samples)`` for mmengine's models.

    ``inputs``: the image as (3, H, W) tensor, RGB, uint8, or float32 after ``Normalize``. ``data_samples``: a
    ``BaseDataElement`` whose field ``gt_body`` (a ``BaseDataElement``) holds the tensors of ``keys`` by their names
    (arrays float32, flags int64), and whose meta information holds ``meta_keys``; keys that a sample lacks are left
    out. A model adds ``pred_bodies`` and ``candidates``; see ``mion.MeshMetric``.
    """

    def __init__(self, keys: Sequence[str] = GT_KEYS, meta_keys: Sequence[str] = META_KEYS) -> None:
        self.keys = tuple(keys)
        self.meta_keys = tuple(meta_keys)

    def __call__(self, results: dict) -> dict:
        """Pack the sample."""
        image = torch.from_numpy(np.ascontiguousarray(results["img"].transpose(2, 0, 1)))
        gt_body = BaseDataElement(**{key: _tensor(results[key]) for key in self.keys if key in results})
        sample = BaseDataElement(metainfo={key: results[key] for key in self.meta_keys if key in results})
        sample.gt_body = gt_body
        return {"inputs": image, "data_samples": sample}


def _tensor(value: np.ndarray | int) -> torch.Tensor:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(np.float32))
    return torch.tensor(value)
