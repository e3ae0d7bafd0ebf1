"""Translations as the picture shows them: changed across the crop and in depth, and of one body from its keypoints."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mion_plugin.geometry.camera import weak_perspective_to_translation
from mion_plugin.geometry.crop_camera import CropCamera

MIN_KEYPOINTS = 3  # as candidates/fit.py, which fits whole pools at once
MIN_SPREAD = 1.0  # px, likewise
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


def check_before_camera(depth: Tensor) -> None:
    """Refuse bodies that nobody has placed before the camera: a score of theirs would mean nothing.

    Args:
        depth: (B, N) metres.

    Raises:
        ValueError: A depth is not positive; the message tells which.
    """
    if not (placed := depth > 0).all():
        image, body = (~placed).nonzero()[0].tolist()
        raise ValueError(
            f"body {body} of image {image} is not before the camera (depth {float(depth[image, body]):.2f} m): add its "
            "translation, of a camera (s, tx, ty) weak_perspective_to_translation(camera, focal_length, image_size)"
        )


def translation_from_keypoints(
    points: np.ndarray, keypoints2d: np.ndarray, intrinsics: np.ndarray
) -> np.ndarray | None:
    """Where a body stands: the least-squares solution of the paper's eq. 1 and 2 for one body.

    f_x (X + t_x) = (u - c_x) (Z + t_z) and likewise for y, weighted by confidence; linear in t.

    Args:
        points: (K, 3) the body's keypoints in metres, camera axes, before translation.
        keypoints2d: (K, 3) x, y in pixels and confidence; 0 is absent.
        intrinsics: (3, 3) without skew, pixels.

    Returns:
        (3,) metres; None where fewer than three keypoints, or keypoints in one place, do not tell it, or where the body
        would not be before the camera.
    """
    present = (keypoints2d[:, 2] > 0) & np.isfinite(keypoints2d).all(axis=1)
    if present.sum() < MIN_KEYPOINTS:
        return None
    points, keypoints2d = points[present].astype(np.float64), keypoints2d[present].astype(np.float64)
    weight = keypoints2d[:, 2] / keypoints2d[:, 2].sum()
    offsets = keypoints2d[:, :2] - intrinsics[:2, 2]
    spread = np.sqrt(weight @ np.square(offsets - weight @ offsets).sum(axis=1))
    if spread < MIN_SPREAD:
        return None
    focal_length = intrinsics[[0, 1], [0, 1]]
    matrix = np.zeros((len(points), 2, 3))
    matrix[:, 0, 0], matrix[:, 1, 1] = focal_length
    matrix[:, :, 2] = -offsets
    target = offsets * points[:, 2:] - focal_length * points[:, :2]
    root = np.sqrt(weight)[:, None]
    transl = np.linalg.lstsq((root[..., None] * matrix).reshape(-1, 3), (root * target).ravel(), rcond=None)[0]
    return transl if (points[:, 2] + transl[2] > 0).all() else None
