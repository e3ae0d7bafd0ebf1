"""Colours and woven patterns of cloth."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

_PATTERNS = ("plain", "stripes", "checks", "blotches")
_PATTERN_SHARES = (0.5, 0.2, 0.15, 0.15)
MIN_DIFFERENCE = 0.2  # between cloth and skin, see difference_beyond_shade
_COLOR_TRIES = 12
_SKIN_HUES = (0.87, 0.16)  # pink over brown to beige, through 0
_MOST_SKIN_SATURATION = 0.8
_GRAYISH_SHARE = 0.35  # black, white, gray and denim are what people wear most


@dataclass(frozen=True)
class Fabric:
    """A pattern of two colours.

    Attributes:
        pattern: ``plain``, ``stripes``, ``checks`` or ``blotches``.
        colors: (2, 3) float32 albedo in 0..1.
        period: Metres of a stripe pair or a blotch.
        phase: (3,) radians.
        vertical: Stripes run along the limb instead of around it.
        folds: (3, 3) wave vectors of the folds, radians per metre.
        fold_depth: Relative brightness of the folds.
    """

    pattern: str
    colors: np.ndarray
    period: float
    phase: np.ndarray
    vertical: bool
    folds: np.ndarray
    fold_depth: float

    def color(self, along: np.ndarray, across: np.ndarray, rest: tuple[np.ndarray, ...]) -> np.ndarray:
        """Albedo (n, 3).

        Args:
            along: (n,) metres along the limb or trunk.
            across: (n,) metres around it.
            rest: x, y and z (n,) rest-pose coordinates.
        """
        color = self.colors[self._second(along, across, rest)]
        depth = sum(
            np.sin(wave[0] * rest[0] + wave[1] * rest[1] + wave[2] * rest[2] + phase)
            for wave, phase in zip(self.folds.astype(np.float32), self.phase.astype(np.float32), strict=True)
        )
        return color * (1.0 + np.float32(self.fold_depth) * depth)[:, None]

    def _second(self, along: np.ndarray, across: np.ndarray, rest: tuple[np.ndarray, ...]) -> np.ndarray:
        """(n,) 1 where the second colour shows, else 0."""
        wave = np.float32(2 * np.pi / self.period)
        if self.pattern == "plain":
            return np.zeros(len(along), np.int64)
        if self.pattern == "stripes":
            return (np.sin(wave * (across if self.vertical else along) + self.phase[0]) > 0).astype(np.int64)
        if self.pattern == "checks":
            product = np.sin(wave * along + self.phase[0]) * np.sin(wave * across + self.phase[1])
            return (product > 0).astype(np.int64)
        x, y, z = (wave * value + phase for value, phase in zip(rest, self.phase, strict=True))
        return (np.sin(x + np.sin(y)) + np.sin(y + np.sin(z)) + np.sin(z + np.sin(x)) > 0.6).astype(np.int64)


def draw_fabric(rng: np.random.Generator, unlike: np.ndarray) -> Fabric:
    """Draw a fabric.

    Args:
        rng: Source of the draw.
        unlike: (3,) albedo of the wearer's skin, which the cloth must differ from: nobody shall look undressed.
    """
    return Fabric(
        pattern=str(rng.choice(_PATTERNS, p=_PATTERN_SHARES)),
        colors=np.stack([_color_unlike(unlike, rng), _color_unlike(unlike, rng)]),
        period=float(rng.uniform(0.04, 0.16)),
        phase=rng.uniform(0.0, 2 * np.pi, 3),
        vertical=bool(rng.random() < 0.3),
        folds=rng.normal(0.0, 30.0, (3, 3)),  # a fold every 10 to 30 cm
        fold_depth=float(rng.uniform(0.0, 0.06)),
    )


def _color_unlike(skin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A cloth colour that differs from the skin by more than light and shade can hide."""
    best, most = cloth_color(rng), -1.0
    color = best
    for _ in range(_COLOR_TRIES):
        difference = difference_beyond_shade(color, skin)
        if difference > most:
            best, most = color, difference
        if most > MIN_DIFFERENCE:
            break
        color = cloth_color(rng)
    return best


def difference_beyond_shade(color: np.ndarray, skin: np.ndarray) -> float:
    """Distance of two albedos when brightness counts half as much as hue and saturation, since light changes it."""
    offset = color - skin
    brightness = offset.mean()
    return float(np.hypot(0.5 * np.sqrt(3) * brightness, np.linalg.norm(offset - brightness)))


def cloth_color(rng: np.random.Generator) -> np.ndarray:
    """Albedo (3,) float32 of cloth: any hue but those of skin, or grayish."""
    hue, saturation, value = rng.random(3)
    if rng.random() < _GRAYISH_SHARE:
        saturation, value = 0.25 * saturation, 0.05 + 0.9 * value
    else:
        saturation, value = 0.3 + 0.65 * saturation, 0.2 + 0.75 * value
    if (hue < _SKIN_HUES[1] or hue > _SKIN_HUES[0]) and 0.1 < saturation < _MOST_SKIN_SATURATION:
        hue = (hue + 0.5) % 1.0
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), np.float32)


# Ends of the range of human skin, measured as sRGB in photographs lit evenly.
_LIGHT_SKIN, _DARK_SKIN = np.array([0.94, 0.78, 0.69]), np.array([0.28, 0.17, 0.12])
_HAIR_COLORS = np.array(
    [[0.06, 0.05, 0.05], [0.20, 0.12, 0.07], [0.38, 0.24, 0.13], [0.75, 0.58, 0.33], [0.6, 0.6, 0.6]]
)


def skin_color(rng: np.random.Generator) -> np.ndarray:
    """Albedo (3,) float32 of skin, from light to dark."""
    share = rng.beta(1.2, 1.4)
    color = (1 - share) * _LIGHT_SKIN + share * _DARK_SKIN
    return np.clip(color * (1 + rng.normal(0.0, 0.04, 3)), 0.05, 1.0).astype(np.float32)


def hair_color(rng: np.random.Generator) -> np.ndarray:
    """Albedo (3,) float32 of hair."""
    color = _HAIR_COLORS[rng.integers(len(_HAIR_COLORS))]
    return np.clip(color * (1 + rng.normal(0.0, 0.06, 3)) * rng.uniform(0.7, 1.3), 0.02, 1.0).astype(np.float32)
