"""One body in two pictures: over the crop, where all paths agree, and from the side, where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from mion_plugin.visualization.candidate_sheet import CANDIDATE_COLORS
from mion_plugin.visualization.drawing import overlay_body, side_view


def path_color(path: int) -> tuple[float, float, float]:
    """The colour of a path, RGB in 0..1; the same again after seven."""
    return CANDIDATE_COLORS[path % len(CANDIDATE_COLORS)]


def draw_views(
    crop: np.ndarray, vertices: Tensor, faces: Tensor, focal_length: float, color: Sequence[float], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """A body over the crop and from the side.

    Args:
        crop: (S, S, 3) uint8; the principal point is its middle.
        vertices: (V, 3) metres, camera frame.
        faces: (F, 3).
        focal_length: Pixels of ``crop``.
        color: RGB in 0..1.
        size: Side of the pictures in pixels.

    Returns:
        Two pictures (size, size, 3) uint8.
    """
    image = (
        crop if size == len(crop) else np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.LANCZOS))
    )
    focal_length = focal_length * size / len(crop)
    return (
        overlay_body(image, vertices, faces, color, focal_length),
        side_view(vertices, faces, color, size, focal_length),
    )
