"""Things in front of people: furniture, rails, other people's limbs, the edge of the photograph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mion_plugin.synthesis.effects import recolor
from mion_plugin.synthesis.patterns import cloth_color, skin_color
from mion_plugin.synthesis.photographs import draw_piece

_SHAPES = ("ellipse", "box", "band", "blob")
_HALF_SIZE = (0.04, 0.16)  # of a thing, over the picture's side
_HALF_BAND = (0.012, 0.06)  # of a rail's or limb's width
_LEAST_CUT = 0.08
_SIDES, _SIDE_SHARES = ("bottom", "left", "right", "top"), (0.5, 0.2, 0.2, 0.1)
_BORDER_SHARE = 0.3  # of cut-offs that are the photograph's end, in one colour
_SOFTNESS = 1.0  # pixels from bare to covered, as at the body's outline


def cover_with_thing(image: np.ndarray, centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint a thing over ``image`` (S, S, 3) uint8.

    Args:
        image: The picture; changed.
        centre: (2,) pixels, x and y.
        rng: Source of its shape, size and looks.

    Returns:
        (S, S) bool, the pixels that it hides.
    """
    distance = _DISTANCES[str(rng.choice(_SHAPES))](rng, image.shape[0])
    turn, size = rng.uniform(0.0, np.pi), image.shape[0]
    row, column = np.mgrid[:size, :size].astype(np.float32) + np.float32(0.5)
    x, y = column - np.float32(centre[0]), row - np.float32(centre[1])
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    return _cover(image, distance(cos * x + sin * y, cos * y - sin * x), _texture(rng, size))


def cut_off(image: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """Cover a side of ``image`` (S, S, 3) uint8: a table, a wall, or the end of the photograph.

    Args:
        image: The picture; changed.
        most: Largest share of the side that is covered.
        rng: Source of the draw.

    Returns:
        (S, S) bool, the pixels that are hidden.
    """
    size = image.shape[0]
    side, share = str(rng.choice(_SIDES, p=_SIDE_SHARES)), rng.uniform(min(_LEAST_CUT, most), most)
    border, slant = rng.random() < _BORDER_SHARE, rng.normal(0.0, 0.08)
    row, column = np.mgrid[:size, :size].astype(np.float32) + np.float32(0.5)
    from_side = {"bottom": size - row, "left": column, "right": size - column, "top": row}[side]
    along = column if side in ("bottom", "top") else row
    edge = np.float32(share * size) + np.float32(0.0 if border else slant) * (along - size / 2)
    texture = _one_color(_border_color(rng), size) if border else _texture(rng, size)
    return _cover(image, from_side - edge, texture)


def _cover(image: np.ndarray, distance: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Paint where the signed distance (S, S) in pixels is negative, softly at the edge."""
    opacity = np.clip(np.float32(0.5) - distance / np.float32(_SOFTNESS), 0, 1)
    touched = np.flatnonzero(opacity > 0)
    share = opacity.ravel()[touched, None]
    pixels, over = image.reshape(-1, 3), texture.reshape(-1, 3)
    pixels[touched] = (pixels[touched] * (1 - share) + over[touched] * share).astype(np.uint8)
    return opacity > 0.5


_Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of coordinates (S, S) about the centre, pixels


def _ellipse(rng: np.random.Generator, size: int) -> _Distance:
    half = _half_sizes(rng, size)
    return lambda x, y: (np.hypot(x / half[0], y / half[1]) - 1) * half.min()


def _box(rng: np.random.Generator, size: int) -> _Distance:
    half = _half_sizes(rng, size)
    return lambda x, y: np.maximum(np.abs(x) - half[0], np.abs(y) - half[1])


def _band(rng: np.random.Generator, size: int) -> _Distance:
    """From edge to edge of the picture, or long as an arm."""
    length = np.float32(size * (2.0 if rng.random() < 0.5 else rng.uniform(0.15, 0.4)))
    half = np.float32(rng.uniform(*_HALF_BAND) * size)
    taper = np.float32(rng.uniform(0.0, 0.3))
    return lambda x, y: np.hypot(np.maximum(np.abs(x) - length, 0), y) - half * (1 - taper * np.clip(x / length, -1, 1))


def _blob(rng: np.random.Generator, size: int) -> _Distance:
    """A circle with waves: leaves, bags, hair."""
    radius = np.float32(_half_sizes(rng, size).mean())
    waves, phases = rng.normal(0.0, 0.12, 4).astype(np.float32), rng.uniform(0, 2 * np.pi, 4).astype(np.float32)

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        angle = np.arctan2(y, x)
        edge = sum(wave * np.cos((2 + k) * angle + phases[k]) for k, wave in enumerate(waves))
        return np.hypot(x, y) - radius * (1 + edge)

    return distance


_DISTANCES = {"ellipse": _ellipse, "box": _box, "band": _band, "blob": _blob}


def _half_sizes(rng: np.random.Generator, size: int) -> np.ndarray:
    return (np.exp(rng.uniform(np.log(_HALF_SIZE[0]), np.log(_HALF_SIZE[1]), 2)) * size).astype(np.float32)


def _texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) uint8: a photograph, or cloth, skin or paint, brighter on one side."""
    if rng.random() < 0.5:
        return np.asarray(recolor(draw_piece(rng, size, size), rng, strength=1.0, hue_degrees=40.0))
    color = (skin_color(rng) if rng.random() < 0.25 else cloth_color(rng)) * rng.uniform(0.5, 1.1)
    direction = rng.normal(0.0, 0.25, 2)
    ramp = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    shade = 1 + np.float32(direction[0]) * ramp[:, None] + np.float32(direction[1]) * ramp
    return np.clip(shade[..., None] * (color * 255).astype(np.float32), 0, 255).astype(np.uint8)


def _one_color(color: np.ndarray, size: int) -> np.ndarray:
    return np.broadcast_to(color.astype(np.uint8), (size, size, 3))


def _border_color(rng: np.random.Generator) -> np.ndarray:
    """(3,): crops that reach beyond the photograph are filled with black, gray or white."""
    return np.full(3, float(rng.choice([0, 0, 114, 128, 255])))
