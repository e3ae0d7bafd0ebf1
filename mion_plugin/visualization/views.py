"""One body in two pictures: over the crop, where all paths agree, and from the side, where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mion_plugin.rendering.shading import shade
from mion_plugin.visualization.drawing import overlay_body, side_view, side_zoom, turned_aside

DEPTH_RANGE = 0.2  # metres of depth at the ends of the colour scale
_NEARER, _ALIKE, _FARTHER = (0.80, 0.15, 0.10), (0.93, 0.93, 0.93), (0.10, 0.25, 0.75)
_OUTLINE = (20, 20, 20)


def draw_views(
    crop: np.ndarray,
    vertices: Tensor,
    faces: Tensor,
    focal_length: float,
    color: Sequence[float] | Tensor,
    size: int,
    zoom: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A body over the crop and from the side.

    Args:
        crop: (S, S, 3) uint8; the principal point is its middle.
        vertices: (V, 3) metres, camera frame.
        faces: (F, 3).
        focal_length: Pixels of ``crop``.
        color: RGB in 0..1, of the body (3,) or of each vertex (V, 3).
        size: Side of the pictures in pixels.
        zoom: See ``side_view``.

    Returns:
        Two pictures (size, size, 3) uint8.
    """
    image = resized(crop, size)
    focal_length = focal_length * size / len(crop)
    return (
        overlay_body(image, vertices, faces, color, focal_length),
        side_view(vertices, faces, color, size, focal_length, zoom=zoom),
    )


def draw_compared(
    crop: np.ndarray,
    vertices: Tensor,
    reference: Tensor,
    faces: Tensor,
    focal_length: float,
    color: Sequence[float] | Tensor,
    size: int,
    zoom: float,
) -> tuple[np.ndarray, np.ndarray]:
    """``draw_views`` of a body beside another: over the crop in ``depth_colors``, from the side with its outline.

    Args:
        crop: (S, S, 3) uint8; the principal point is its middle.
        vertices: (V, 3) metres, camera frame.
        reference: (V, 3) of the other.
        faces: (F, 3).
        focal_length: Pixels of ``crop``.
        color: As ``draw_views``, for the side.
        size: Side of the pictures in pixels.
        zoom: See ``side_view``.
    """
    image, focal_length = resized(crop, size), focal_length * size / len(crop)
    colors = depth_colors(depth_difference(vertices, reference))
    side = side_view(vertices, faces, color, size, focal_length, zoom=zoom)
    return (
        overlay_body(image, vertices, faces, colors, focal_length),
        draw_outline(side, vertices, reference, faces, focal_length, zoom),
    )


def resized(crop: np.ndarray, size: int) -> np.ndarray:
    """A square picture at another size."""
    if size == len(crop):
        return crop
    return np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.LANCZOS))


def common_zoom(bodies: Sequence[Tensor], focal_length: float, size: int) -> float:
    """The zoom at which side views of ``size`` pixels show all of each body, at one scale."""
    return max(side_zoom(body, focal_length, size) for body in bodies)


def depth_difference(vertices: Tensor, reference: Tensor) -> Tensor:
    """(V,) metres by which a body lies farther from the camera than another, apart from where all of it lies.

    That is the median, which an arm that points elsewhere leaves alone.
    """
    apart = vertices[:, 2] - reference[:, 2]
    return apart - apart.median()


def depth_colors(difference: Tensor) -> Tensor:
    """Colours (V, 3) of depth differences (V,): red is nearer, blue farther, grey alike; full at ``DEPTH_RANGE``."""
    share = (difference / DEPTH_RANGE).clamp(-1.0, 1.0)[:, None]
    nearer, alike, farther = (torch.tensor(color) for color in (_NEARER, _ALIKE, _FARTHER))
    return alike + share.clamp(min=0.0) * (farther - alike) - share.clamp(max=0.0) * (nearer - alike)


def draw_outline(
    side: np.ndarray, vertices: Tensor, reference: Tensor, faces: Tensor, focal_length: float, zoom: float
) -> np.ndarray:
    """A side view with the outline of another body, in whose place most of the first one lies.

    Args:
        side: (S, S, 3) uint8, the side view.
        vertices: (V, 3) metres, camera frame, of the body that it shows.
        reference: (V, 3) of the other.
        faces: (F, 3).
        focal_length: Pixels of a picture of that size.
        zoom: Of the side view.
    """
    size = len(side)
    middle = (vertices.amin(0) + vertices.amax(0)) / 2.0 - (vertices - reference).median(dim=0).values
    turned = turned_aside(reference, zoom, middle)[None].cpu()
    rgba = shade(turned, faces.cpu(), focal_length, (size / 2, size / 2), size, supersample=1)
    inside = rgba[0, 3].numpy() > 0.5
    padded = np.pad(inside, 1)
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    picture = side.copy()
    picture[inside & ~surrounded] = _OUTLINE
    return picture
