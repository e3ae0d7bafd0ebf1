"""The crop camera: a pinhole with a long focal length, and the translation that places the body before it.

Convention:
    x right, y down, z into the scene; pixel centres at integer + 0.5; u = focal_length * X / Z + c_x. With focal length
    5000 and principal point (112, 112), the point (0.1, 0.2, 50.0) m projects to (122.0, 132.0) px.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mion_plugin.constants import IMAGE_SIZE

FOCAL_LENGTH = 5000.0  # px on the 224 crop; SPIN's and mmhuman3d's convention


def project(points: Tensor, focal_length: float | Tensor, principal_point: tuple[float, float] | Tensor) -> Tensor:
    """Project camera-frame points (paper, eq. 2).

    Args:
        points: (..., 3) metres, at positive depth.
        focal_length: Pixels.
        principal_point: (c_x, c_y) pixels, or (..., 2) broadcasting against ``points[..., :2]``.

    Returns:
        (..., 2) pixels.
    """
    centre = torch.as_tensor(principal_point, dtype=points.dtype, device=points.device)
    return focal_length * points[..., :2] / points[..., 2:] + centre


def weak_perspective_to_translation(
    camera: Tensor, focal_length: float = FOCAL_LENGTH, image_size: float = IMAGE_SIZE
) -> Tensor:
    """Translation of a weak-perspective camera (s, tx, ty): (tx, ty, 2 f / (size s)), mmhuman3d's convention.

    Args:
        camera: (..., 3); s > 0 scales metres to half crops.

    Returns:
        (..., 3) metres.
    """
    depth = 2.0 * focal_length / (image_size * camera[..., :1])
    return torch.cat([camera[..., 1:], depth], dim=-1)


def translation_to_weak_perspective(
    transl: Tensor, focal_length: float = FOCAL_LENGTH, image_size: float = IMAGE_SIZE
) -> Tensor:
    """Inverse of ``weak_perspective_to_translation``; ``transl`` (..., 3) metres at positive depth."""
    scale = 2.0 * focal_length / (image_size * transl[..., 2:])
    return torch.cat([scale, transl[..., :2]], dim=-1)
