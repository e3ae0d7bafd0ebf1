"""Photographs that come with the package: views into panoramas and crops, changed so that few make many."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.synthesis.backgrounds import ProceduralBackground
from mion_plugin.synthesis.effects import recolor

PICTURES = Path(__file__).parent / "pictures"
BACKGROUND_FOLDER, SKIN_FOLDER = PICTURES / "backgrounds", PICTURES / "skins"

_PANORAMA_SHARE = 0.7  # a panorama has more views in it than a crop
_FIELDS_OF_VIEW = (18.0, 85.0)  # degrees, from a telephoto lens to a phone's wide one
_LEAST_CROP = 0.3  # of a crop's side
_PATCHED_SHARE, _MAX_PATCHES = 0.35, 3
_BLURRED_SHARE, _MOST_BLUR = 0.6, 0.03  # of pictures; standard deviation over the picture's side


class PhotographBackground:
    """The package's photographs (Poly Haven, CC0), as cameras with other lenses, places and hours would see them.

    A view into a panorama in perspective, or a crop; mirrored, recoloured, partly covered by pieces of others, out of
    focus or not. Some pictures are procedural, since the photographs are only 26.

    Args:
        procedural_prob: Probability of a picture of ``ProceduralBackground`` instead.

    Raises:
        ValueError: ``procedural_prob`` out of range.
    """

    def __init__(self, procedural_prob: float = 0.1) -> None:
        if not 0 <= procedural_prob <= 1:
            raise ValueError(f"procedural_prob {procedural_prob}, expected 0 to 1")
        self.procedural_prob = procedural_prob
        self._procedural = ProceduralBackground()

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """A (size, size, 3) uint8 picture."""
        if rng.random() < self.procedural_prob:
            return self._procedural.draw(rng, size)
        picture = _draw_view(rng, size) if rng.random() < _PANORAMA_SHARE else draw_piece(rng, size, size)
        if rng.random() < _PATCHED_SHARE:
            for _ in range(int(rng.integers(1, _MAX_PATCHES + 1))):
                _paste_piece(picture, rng)
        picture = recolor(picture, rng, strength=1.0, hue_degrees=12.0)
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if rng.random() < _BLURRED_SHARE:
            # squared, as most backgrounds are nearly in focus
            picture = picture.filter(ImageFilter.GaussianBlur(float(rng.random() ** 2 * _MOST_BLUR * size)))
        return np.asarray(picture)


def draw_piece(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A crop of a photograph as a (height, width) RGB picture, stretched by up to a third."""
    picture = _crops()[int(rng.integers(len(_crops())))]
    scale, stretch = rng.uniform(_LEAST_CROP, 1.0), np.exp(rng.uniform(-0.3, 0.3))
    sides = np.array([width * stretch, height])
    sides *= scale * min(picture.size) / sides.max()
    left, top = rng.random(2) * (np.array(picture.size) - sides)
    box = (float(left), float(top), float(left + sides[0]), float(top + sides[1]))
    return picture.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _paste_piece(picture: Image.Image, rng: np.random.Generator) -> None:
    """Paste a piece of another photograph, as furniture and walls in the background."""
    size = picture.width
    width, height = (np.exp(rng.uniform(np.log(0.08), np.log(0.6), 2)) * size).astype(int) + 1
    left, top = (rng.uniform(-0.2, 1.0, 2) * size).astype(int)
    piece = recolor(draw_piece(rng, int(width), int(height)), rng, strength=1.0, hue_degrees=40.0)
    picture.paste(piece, (int(left), int(top)))


def _draw_view(rng: np.random.Generator, size: int) -> Image.Image:
    """A (size, size) RGB picture that a camera in the middle of a panorama takes."""
    panorama = _panoramas()[int(rng.integers(len(_panoramas())))]
    field_of_view = np.exp(rng.uniform(*np.log(_FIELDS_OF_VIEW)))
    yaw = rng.uniform(-np.pi, np.pi)
    pitch, roll = np.deg2rad(np.clip(rng.normal([-6.0, 0.0], [14.0, 6.0]), -50.0, 50.0))
    return Image.fromarray(perspective_view(panorama, size, np.deg2rad(field_of_view), yaw, pitch, roll))


def perspective_view(
    panorama: np.ndarray, size: int, field_of_view: float, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> np.ndarray:
    """What a pinhole camera in the middle of an equirectangular panorama sees.

    Args:
        panorama: (H, 2 H, 3) uint8, its middle straight ahead, up at the top.
        size: Side of the view, pixels.
        field_of_view: Across the view, radians.
        yaw: Turn to the right, radians.
        pitch: Turn upwards, radians.
        roll: Turn of the camera about its axis, clockwise as it looks, radians.

    Returns:
        (size, size, 3) uint8.
    """
    step = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0 / size) - np.float32(1.0)
    x, y = np.meshgrid(step * np.float32(np.tan(field_of_view / 2)), step * np.float32(np.tan(field_of_view / 2)))
    sin, cos = (function(np.array([roll, pitch], np.float32)) for function in (np.sin, np.cos))
    x, y = cos[0] * x - sin[0] * y, sin[0] * x + cos[0] * y
    y, z = cos[1] * y - sin[1], sin[1] * y + cos[1]
    height, width = panorama.shape[:2]
    longitude, latitude = np.arctan2(x, z) + np.float32(yaw), np.arctan2(y, np.hypot(x, z))
    column = (longitude / np.float32(2 * np.pi) + np.float32(0.5)) * np.float32(width) - np.float32(0.5)
    row = (latitude / np.float32(np.pi) + np.float32(0.5)) * np.float32(height) - np.float32(0.5)
    return _look_up(panorama, column, np.clip(row, 0, height - 1))


def _look_up(picture: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Bilinear; columns go round, rows (any shape) lie in the picture."""
    height, width = picture.shape[:2]
    left, top = np.floor(column), np.floor(row)
    across, down = (column - left)[..., None], (row - top)[..., None]
    left, top = left.astype(np.int64) % width, top.astype(np.int64)
    right, bottom = (left + 1) % width, np.minimum(top + 1, height - 1)
    flat = picture.reshape(-1, 3)
    above = flat[top * width + left] * (1 - across) + flat[top * width + right] * across
    below = flat[bottom * width + left] * (1 - across) + flat[bottom * width + right] * across
    return (above * (1 - down) + below * down + np.float32(0.5)).astype(np.uint8)


@lru_cache(maxsize=1)
def _panoramas() -> list[np.ndarray]:
    return [read_image(path) for path in sorted((BACKGROUND_FOLDER / "panoramas").glob("*.jpg"))]


@lru_cache(maxsize=1)
def _crops() -> list[Image.Image]:
    return [Image.fromarray(read_image(path)) for path in sorted(BACKGROUND_FOLDER.glob("*.jpg"))]
