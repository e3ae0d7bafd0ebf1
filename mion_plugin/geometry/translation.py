"""Translations changed as the picture shows it: across the crop, and in depth."""

from __future__ import annotations

import torch
from torch import Tensor

from mion_plugin.geometry.camera import weak_perspective_to_translation
from mion_plugin.geometry.crop_camera import CropCamera

MEAN_SCALE = 0.9  # weak-perspective scale that absolute predictions start from: SPIN's mean camera


def moved_translation(shift: Tensor, transl: Tensor, pelvis: Tensor, camera: CropCamera) -> Tensor:
    """A translation changed in the image and in depth independently of each other.

    The pelvis moves by ``shift[..., :2]`` in normalised coordinates, and its depth is multiplied by
    exp(``shift[..., 2]``). No shift returns ``transl`` bit for bit.

    Args:
        shift: (..., 3).
        transl: (..., 3) metres.
        pelvis: (..., 3) metres, the pelvis joint of the body at ``transl``.
        camera: The crop's camera.

    Returns:
        (..., 3) metres.
    """
    change = torch.expm1(shift[..., 2:])
    depth = pelvis[..., 2:] * (1.0 + change)
    in_image = shift[..., :2] * depth / camera.normalized_focal_length
    return transl + torch.cat([pelvis[..., :2] * change + in_image, pelvis[..., 2:] * change], dim=-1)


def absolute_translation(raw: Tensor, camera: CropCamera) -> Tensor:
    """Translation of a weak-perspective camera (s, tx, ty) = (0.9 exp(raw_0), raw_1, raw_2); tz = 2 f / (size s)."""
    weak_perspective = torch.cat([MEAN_SCALE * raw[..., :1].exp(), raw[..., 1:]], dim=-1)
    return weak_perspective_to_translation(weak_perspective, camera.focal_length, camera.image_size)
