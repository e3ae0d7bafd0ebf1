"""One picture of a person's bodies: the chosen one large, the rejected ones small beside it, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mion_plugin.visualization.drawing import CANDIDATE_COLORS, draw_keypoints, surface_colors
from mion_plugin.visualization.views import (
    DEPTH_RANGE,
    common_zoom,
    depth_colors,
    depth_difference,
    draw_compared,
    draw_views,
)

_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
_GAP, _ASIDE, _CAPTION, _LINE, _FRAME, _FOOT = 12, 12, 60, 24, 6, 40  # pixels
_LARGE_FONT, _SMALL_FONT = 20, 17
_MIN_SIZE = 320  # captions of a small picture would not fit beneath
_SCALE_WIDTH, _SCALE_HEIGHT = 160, 14  # of the colour scale


def draw_body_sheet(
    crop: np.ndarray,
    keypoints2d: np.ndarray,
    vertices: Sequence[Tensor],
    faces: Tensor,
    focal_length: float,
    selected: int,
    scores: Sequence[str] | None = None,
    convention: str = "coco",
    names: Sequence[str] | None = None,
    color: Sequence[float] = CANDIDATE_COLORS[0],
    guessed: Tensor | None = None,
    reason: str = "",
) -> np.ndarray:
    """Draw the crop with its keypoints, the chosen body over it and from the side, and the rejected ones likewise.

    A rejected body over the crop is coloured by how its depth differs from the chosen one's, and from the side has the
    chosen one's outline around it.

    Args:
        crop: (S, S, 3) uint8; the principal point is its middle.
        keypoints2d: (K, 3) in pixels of ``crop`` and confidence.
        vertices: N times (V, 3) metres, camera frame.
        faces: (F, 3).
        focal_length: Pixels of ``crop``.
        selected: Which body was chosen.
        scores: For each body what it was judged by; see ``PersonBodies.score_text``.
        convention: Order of the keypoints.
        names: What to call each body; None for ``path 1`` and so on.
        color: RGB in 0..1, the person's.
        guessed: (V,) bool, vertices to be drawn pale; see ``surface_colors``.
        reason: Why the body was chosen, a line.

    Returns:
        The sheet (H, W, 3) uint8: large pictures side by side at the left; at the right a column for each rejected
        body, over the crop above and from the side below; legends in a band beneath, none in a picture.

    Raises:
        ValueError: A crop that is not square or smaller than 320, another number of scores, or no such body.
    """
    size = len(crop)
    if crop.shape != (size, size, 3) or size < _MIN_SIZE:
        raise ValueError(f"crop has shape {crop.shape}, expected a square (S, S, 3) of at least {_MIN_SIZE} pixels")
    if scores is not None and len(scores) != len(vertices):
        raise ValueError(f"{len(scores)} scores for {len(vertices)} bodies, expected one for each")
    if not 0 <= selected < len(vertices):
        raise ValueError(f"selected is {selected}, expected the index of one of {len(vertices)} bodies")
    named = list(names) if names is not None else [f"path {path + 1}" for path in range(len(vertices))]
    small, aside = (size - _GAP) // 2, 3 * (size + _GAP) + _GAP + _ASIDE
    rejected = [path for path in range(len(vertices)) if path != selected]
    width = aside + len(rejected) * (small + _GAP) if rejected else aside - _ASIDE
    sheet = Image.new("RGB", (width, _CAPTION + size + _GAP + _FOOT), _PAPER)
    zoom, chosen = common_zoom(vertices, focal_length, size), vertices[selected]
    colors = surface_colors(color, guessed)
    views = draw_views(crop, chosen, faces, focal_length, colors, size, zoom)
    score = f"score {scores[selected]}" if scores is not None else ""
    photograph, title = draw_keypoints(crop, keypoints2d, convention), f"chosen: {named[selected]}"
    _draw_chosen(sheet, photograph, views, title, score, color)
    for column, path in enumerate(rejected):
        difference = depth_difference(vertices[path], chosen).abs().mean()
        pictures = draw_compared(crop, vertices[path], chosen, faces, focal_length, colors, small, zoom)
        score = f"score {scores[path]}, " if scores is not None else ""
        caption = f"{score}{1000 * float(difference):.0f} mm off in depth"
        _draw_rejected(sheet, aside + column * (small + _GAP), small, pictures, named[path], caption)
    pale = "pale: guessed, no keypoint in the photograph tells of it" if guessed is not None and guessed.any() else ""
    _draw_foot(sheet, _CAPTION + size + _GAP, reason, pale, aside if rejected else None)
    return np.asarray(sheet)


def _draw_chosen(
    sheet: Image.Image,
    photograph: np.ndarray,
    views: tuple[np.ndarray, np.ndarray],
    name: str,
    caption: str,
    color: Sequence[float],
) -> None:
    """The crop, and the chosen body over it and from the side in a frame of its colour."""
    size = len(photograph)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=_LARGE_FONT)
    lefts = [_GAP + column * (size + _GAP) for column in range(3)]
    for left, picture in zip(lefts, (photograph, *views), strict=True):
        sheet.paste(Image.fromarray(picture), (left, _CAPTION))
    ink = tuple(round(255 * channel) for channel in color)
    box = (lefts[1] - _FRAME, _CAPTION - _FRAME, lefts[2] + size + _FRAME - 1, _CAPTION + size + _FRAME - 1)
    draw.rectangle(box, outline=ink, width=_FRAME)
    top = (_CAPTION - _FRAME) // 2
    draw.text((lefts[0], top), "photograph and 2D keypoints", fill=_INK, font=font, anchor="lm")
    right = lefts[1] + draw.textlength(name, font=font) + 20
    draw.rounded_rectangle((lefts[1] - _FRAME, top - 18, right, top + 17), radius=8, fill=ink)
    draw.text((lefts[1] + 6, top), name, fill=_contrasting(ink), font=font, anchor="lm")
    caption_font = _fitting_font(draw, caption, lefts[1] + size - (right + 14), _LARGE_FONT)
    draw.text((right + 14, top), caption, fill=_INK, font=caption_font, anchor="lm")
    draw.text((lefts[2], top), "the same from the side", fill=_INK, font=font, anchor="lm")


def _draw_foot(sheet: Image.Image, top: int, reason: str, pale: str, aside: int | None) -> None:
    """The band beneath: why the chosen body, what is pale, and the scale of the rejected ones' colours."""
    draw = ImageDraw.Draw(sheet)
    told = ". ".join(line for line in (reason, pale) if line)
    room = (sheet.width if aside is None else aside - _ASIDE) - 2 * _GAP
    middle = top + _FOOT // 2 - 4
    draw.text((_GAP, middle), told, fill=_INK, font=_fitting_font(draw, told, room, _LARGE_FONT), anchor="lm")
    if aside is None:
        return
    bar = depth_colors(torch.linspace(-DEPTH_RANGE, DEPTH_RANGE, _SCALE_WIDTH))
    row = (bar[None].expand(_SCALE_HEIGHT, -1, -1) * 255.0).round().byte().numpy()
    sheet.paste(Image.fromarray(row), (aside, middle - _SCALE_HEIGHT // 2))
    legend = f"{1000 * DEPTH_RANGE:.0f} mm nearer to farther than the chosen (outline)"
    left = aside + _SCALE_WIDTH + 10
    font = _fitting_font(draw, legend, sheet.width - left - _GAP, _SMALL_FONT)
    draw.text((left, middle), legend, fill=_INK, font=font, anchor="lm")


def _draw_rejected(
    sheet: Image.Image, left: int, size: int, pictures: tuple[np.ndarray, np.ndarray], name: str, caption: str
) -> None:
    draw = ImageDraw.Draw(sheet)
    for line, (text, ink) in enumerate(((name, _INK), (caption, _FAINT))):
        place = (left, _CAPTION - _FRAME - (2 - line) * _LINE)
        draw.text(place, text, fill=ink, font=_fitting_font(draw, text, size, _SMALL_FONT))
    for row, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (left, _CAPTION + row * (size + _GAP)))


def _fitting_font(draw: ImageDraw.ImageDraw, text: str, width: float, size: int) -> Any:
    """The default font at ``size`` pixels, or as much smaller as it takes for a line to be no wider than ``width``."""
    length = draw.textlength(text, font=ImageFont.load_default(size=size))
    return ImageFont.load_default(size=size if length <= width else max(1, int(size * width / length)))


def _contrasting(color: tuple[int, ...]) -> tuple[int, int, int]:
    """Black or white, whichever is read more easily on a colour (Rec. 601 luma)."""
    red, green, blue = color
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
