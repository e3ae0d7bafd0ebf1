"""Bodies over the whole photograph that they were found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mion_plugin.rendering.shading import composite, shade
from mion_plugin.visualization.drawing import CANDIDATE_COLORS, surface_colors

_MARGIN = 2  # pixels around a projected body, so that its smoothed edge is whole
_SMOOTH_AREA = 1_000_000  # pixels; larger bodies are drawn without supersampling, whose steps nobody sees
_TAG_SHARE, _MIN_TAG, _MAX_TAG = 0.035, 12, 40  # height of a tag's letters: share of the image's height; pixels


@dataclass(frozen=True)
class PlacedBody:
    """A body before a camera of the image.

    Attributes:
        vertices: (V, 3) metres, that camera's frame.
        focal_length: Pixels.
        principal_point: x, y in pixels.
        distance: Metres from the camera; nearer bodies are drawn over those behind. From one camera for all bodies:
            distances before cameras of their own do not compare.
        number: Written beside it, and decides its colour.
        guessed: (V,) bool, vertices to be drawn pale; see ``surface_colors``.
    """

    vertices: Tensor
    focal_length: float
    principal_point: tuple[float, float]
    distance: float
    number: int
    guessed: Tensor | None = None


def overlay_bodies(
    image: np.ndarray, bodies: Sequence[PlacedBody], faces: Tensor, opacity: float = 1.0, tags: bool = True
) -> np.ndarray:
    """Draw bodies over an image, each by its camera, and their numbers.

    Args:
        image: (H, W, 3) uint8 RGB.
        bodies: In any order.
        faces: (F, 3).
        opacity: Of the bodies, in 0..1.
        tags: Write the numbers.

    Returns:
        A new image. Parts of bodies outside it, or behind their camera, are not drawn.
    """
    picture = image.copy()
    for body in sorted(bodies, key=lambda one: -one.distance):
        _draw(picture, body, faces, opacity)
    return _draw_tags(picture, bodies) if tags else picture


def body_color(number: int) -> tuple[float, float, float]:
    """The colour of a person, RGB in 0..1; the same again after seven."""
    return CANDIDATE_COLORS[number % len(CANDIDATE_COLORS)]


def _draw(picture: np.ndarray, body: PlacedBody, faces: Tensor, opacity: float) -> None:
    """Draw one body into a picture, whose pixels outside the body's box are not touched."""
    box = _box(body, picture.shape[1], picture.shape[0])
    if box is None:
        return
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    x, y = body.principal_point
    rgba = shade(
        body.vertices[None].float().cpu(),
        faces.cpu(),
        body.focal_length,
        (x - left, y - top),
        (height, width),
        color=surface_colors(body_color(body.number), body.guessed),
        supersample=2 if height * width < _SMOOTH_AREA else 1,
    )
    behind = torch.from_numpy(picture[top:bottom, left:right].copy()).permute(2, 0, 1)[None].float() / 255.0
    drawn = composite(rgba, behind, opacity)[0].permute(1, 2, 0)
    picture[top:bottom, left:right] = (drawn * 255.0).round().byte().numpy()


def _box(body: PlacedBody, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what the image shows of a body; None if nothing."""
    seen = body.vertices[body.vertices[:, 2] > 0].double().cpu()
    if not len(seen):
        return None
    pixels = body.focal_length * seen[:, :2] / seen[:, 2:] + torch.tensor(body.principal_point, dtype=torch.double)
    limits = torch.tensor([width, height], dtype=torch.double)
    low = torch.minimum((pixels.amin(0) - _MARGIN).floor().clamp(min=0), limits).int().tolist()
    high = torch.minimum((pixels.amax(0) + _MARGIN).ceil().clamp(min=0), limits).int().tolist()
    return None if low[0] >= high[0] or low[1] >= high[1] else (low[0], low[1], high[0], high[1])


def _draw_tags(picture: np.ndarray, bodies: Sequence[PlacedBody]) -> np.ndarray:
    """The numbers above the bodies, on their colours."""
    height, width = picture.shape[:2]
    size = round(min(max(_TAG_SHARE * height, _MIN_TAG), _MAX_TAG))
    font, sheet = ImageFont.load_default(size=size), Image.fromarray(picture)
    draw = ImageDraw.Draw(sheet)
    for body in bodies:
        box = _box(body, width, height)
        if box is None:
            continue
        ink = tuple(round(255 * channel) for channel in body_color(body.number))
        x, y = (box[0] + box[2]) / 2, max(box[1] - 0.8 * size, 0.8 * size)
        half = draw.textlength(str(body.number), font=font) / 2 + 0.35 * size
        draw.rounded_rectangle((x - half, y - 0.65 * size, x + half, y + 0.65 * size), radius=size / 3, fill=ink)
        draw.text((x, y), str(body.number), fill=(0, 0, 0), font=font, anchor="mm")
    return np.asarray(sheet)
