"""One picture that shows that candidates agree in the image and differ in depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.visualization.drawing import CANDIDATE_COLORS, draw_keypoints, overlay_body, side_view, side_zoom

_GAP, _CAPTION, _PAPER, _INK = 8, 34, 255, (30, 30, 30)


def draw_candidate_sheet(
    crop: np.ndarray,
    keypoints2d: np.ndarray,
    vertices: Sequence[Tensor],
    faces: Tensor,
    captions: Sequence[str],
    scale: int = 2,
    color: Sequence[float] | Tensor | None = None,
) -> np.ndarray:
    """Draw the crop with its keypoints, and every candidate over the crop and from the side.

    Args:
        crop: (S, S, 3) uint8 crop at ``scale`` times the size that the camera belongs to: S = 224 * scale.
        keypoints2d: (17, 3) COCO keypoints in pixels of the 224 crop.
        vertices: N times (V, 3) metres, camera frame.
        faces: (F, 3).
        captions: N + 1 lines: for the crop, and for each candidate.
        scale: Pixels of the picture per crop pixel.
        color: RGB in 0..1 of all candidates, the person's, (3,) or of each vertex (V, 3); None for a colour for each
            candidate.

    Returns:
        The sheet, (H, W, 3) uint8: overlays above, side views below, keypoints at the left.
    """
    size = IMAGE_SIZE * scale
    if crop.shape != (size, size, 3) or len(captions) != len(vertices) + 1:
        raise ValueError(
            f"crop {crop.shape} with {len(captions)} captions, expected {(size, size, 3)} and {len(vertices) + 1}"
        )
    scaled = keypoints2d * np.array([scale, scale, 1.0])
    columns = _columns(crop, scaled, vertices, faces, FOCAL_LENGTH * scale, "coco", color)
    return _lay_out(columns, captions, size)


def draw_body_columns(
    image: np.ndarray,
    keypoints2d: np.ndarray,
    bodies: Sequence[tuple[str, Tensor]],
    faces: Tensor,
    focal_length: float,
    scale: int = 2,
    convention: str = "coco",
) -> np.ndarray:
    """Named bodies over an image and from the side, enlarged.

    Args:
        image: (S, S, 3) uint8; the principal point is its middle.
        keypoints2d: (K, 3) in pixels of ``image`` and confidence.
        bodies: Captions and vertices (V, 3), metres, camera frame.
        faces: (F, 3).
        focal_length: Pixels of ``image``.
        scale: Pixels of the picture per pixel of ``image``.
        convention: Order of the keypoints.

    Returns:
        The sheet, laid out as in ``draw_candidate_sheet``.
    """
    size = len(image) * scale
    large = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    scaled = keypoints2d * np.array([scale, scale, 1.0])
    columns = _columns(large, scaled, [body for _, body in bodies], faces, focal_length * scale, convention)
    return _lay_out(columns, ["2D keypoints", *(name for name, _ in bodies)], size)


def _columns(
    image: np.ndarray,
    keypoints2d: np.ndarray,
    vertices: Sequence[Tensor],
    faces: Tensor,
    focal_length: float,
    convention: str,
    common: Sequence[float] | Tensor | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The image with its keypoints above itself, then each body over the image and from the side."""
    columns = [(draw_keypoints(image, keypoints2d, convention), image)]
    zoom = max((side_zoom(body, focal_length, len(image)) for body in vertices), default=1.0)
    for number, body in enumerate(vertices):
        color = CANDIDATE_COLORS[number % len(CANDIDATE_COLORS)] if common is None else common
        over = overlay_body(image, body, faces, color, focal_length)
        side = side_view(body, faces, color, len(image), focal_length, zoom=zoom)
        columns.append((draw_keypoints(over, keypoints2d, convention), side))
    return columns


def _lay_out(columns: Sequence[tuple[np.ndarray, np.ndarray]], captions: Sequence[str], size: int) -> np.ndarray:
    """Two rows of square pictures with a caption above each column."""
    width = len(columns) * (size + _GAP) + _GAP
    height = _CAPTION + 2 * (size + _GAP)
    sheet = Image.new("RGB", (width, height), (_PAPER,) * 3)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=18)
    for number, ((upper, lower), caption) in enumerate(zip(columns, captions, strict=True)):
        left = _GAP + number * (size + _GAP)
        draw.text((left, 7), caption, fill=_INK, font=font)
        sheet.paste(Image.fromarray(upper), (left, _CAPTION))
        sheet.paste(Image.fromarray(lower), (left, _CAPTION + size + _GAP))
    return np.asarray(sheet)
