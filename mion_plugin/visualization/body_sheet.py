"""One picture of a person's bodies: the chosen one large, the rejected ones small beside it, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mion_plugin.visualization.drawing import draw_keypoints
from mion_plugin.visualization.views import draw_views, path_color

_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
_GAP, _ASIDE, _CAPTION, _LINE, _FRAME = 12, 12, 60, 24, 6  # pixels
_LARGE_FONT, _SMALL_FONT = 20, 17
_MIN_SIZE = 320  # captions of a small picture would not fit beneath


def path_captions(
    scores: np.ndarray | None,
    reprojection_rms: np.ndarray | None,
    fit_cost: np.ndarray | None = None,
) -> list[str] | None:
    """What to write beside each path: the numbers of the rules of choice, each by its rule's name, lowest best.

    Args:
        scores: (N,) of stage 3 (``cen``), or None.
        reprojection_rms: (N,) distance from the 2D keypoints in pixels of the crop (``reprojection``), or None.
        fit_cost: (N,) of the fit onto the keypoints (``fit``), or None.
    """
    parts = []
    if fit_cost is not None:
        parts.append([f"fit {value:.1f}" for value in fit_cost])
    if scores is not None:
        parts.append([f"cen {value:.3f}" for value in scores])
    if reprojection_rms is not None:
        parts.append([f"reprojection {value:.1f} px" for value in reprojection_rms])
    return [", ".join(values) for values in zip(*parts, strict=True)] if parts else None


def draw_body_sheet(
    crop: np.ndarray,
    keypoints2d: np.ndarray,
    vertices: Sequence[Tensor],
    faces: Tensor,
    focal_length: float,
    selected: int,
    captions: Sequence[str] | None = None,
    convention: str = "coco",
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Draw the crop with its keypoints, the chosen body over it and from the side, and the rejected ones likewise.

    Args:
        crop: (S, S, 3) uint8; the principal point is its middle.
        keypoints2d: (K, 3) in pixels of ``crop`` and confidence.
        vertices: N times (V, 3) metres, camera frame.
        faces: (F, 3).
        focal_length: Pixels of ``crop``.
        selected: Which body was chosen.
        captions: One line for each body; see ``path_captions``.
        convention: Order of the keypoints.
        names: What to call each body; None for ``path 1`` and so on.

    Returns:
        The sheet (H, W, 3) uint8: large pictures side by side at the left; at the right a column for each rejected
        body, over the crop above and from the side below.

    Raises:
        ValueError: A crop that is not square or smaller than 320, another number of captions, or no such body.
    """
    size = len(crop)
    if crop.shape != (size, size, 3) or size < _MIN_SIZE:
        raise ValueError(f"crop has shape {crop.shape}, expected a square (S, S, 3) of at least {_MIN_SIZE} pixels")
    if captions is not None and len(captions) != len(vertices):
        raise ValueError(f"{len(captions)} captions for {len(vertices)} bodies, expected one for each")
    if not 0 <= selected < len(vertices):
        raise ValueError(f"selected is {selected}, expected the index of one of {len(vertices)} bodies")
    lines = list(captions) if captions is not None else [""] * len(vertices)
    named = list(names) if names is not None else [f"path {path + 1}" for path in range(len(vertices))]
    small, aside = (size - _GAP) // 2, 3 * (size + _GAP) + _GAP + _ASIDE
    rejected = [path for path in range(len(vertices)) if path != selected]
    width = aside + len(rejected) * (small + _GAP) if rejected else aside - _ASIDE
    sheet = Image.new("RGB", (width, _CAPTION + size + _GAP), _PAPER)
    titles = f"chosen: {named[selected]}", lines[selected]
    _draw_chosen(sheet, crop, keypoints2d, vertices[selected], faces, focal_length, selected, titles, convention)
    for column, path in enumerate(rejected):
        left = aside + column * (small + _GAP)
        pictures = draw_views(crop, vertices[path], faces, focal_length, path_color(path), small)
        _draw_rejected(sheet, left, small, pictures, named[path], lines[path])
    return np.asarray(sheet)


def _draw_chosen(
    sheet: Image.Image,
    crop: np.ndarray,
    keypoints2d: np.ndarray,
    vertices: Tensor,
    faces: Tensor,
    focal_length: float,
    path: int,
    titles: tuple[str, str],
    convention: str,
) -> None:
    """The crop, and the chosen body over it and from the side in a frame of its colour, under its name and caption."""
    name, caption = titles
    size, color = len(crop), path_color(path)
    over, side = draw_views(crop, vertices, faces, focal_length, color, size)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=_LARGE_FONT)
    lefts = [_GAP + column * (size + _GAP) for column in range(3)]
    for left, picture in zip(lefts, (draw_keypoints(crop, keypoints2d, convention), over, side), strict=True):
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
