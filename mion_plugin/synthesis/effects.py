"""Changes to whole pictures that are cheap at 112 px: colours, motion, resolution."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Rec. 601, as JPEG's: how much each channel counts for brightness
_LUMA = np.array([0.299, 0.587, 0.114])
# Luma, blue-yellow and green-magenta: the plane in which hue turns
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


def recolor(picture: Image.Image, rng: np.random.Generator, strength: float, hue_degrees: float = 0.0) -> Image.Image:
    """Another brightness, contrast, saturation, white balance and gamma, as another camera or hour would give.

    Args:
        picture: RGB.
        rng: Source of the draw.
        strength: 0 leaves the picture; 1 changes brightness by about a fifth, and the rest as much.
        hue_degrees: Standard deviation of a turn of all hues.

    Returns:
        RGB, of the same size.
    """
    # no more than two deviations: black and white pictures show nobody
    brightness, contrast, saturation, gamma = (
        strength * np.clip(rng.standard_normal(4), -2, 2) * (0.18, 0.12, 0.22, 0.15)
    )
    cast = np.exp(rng.normal(0.0, 0.06 * strength, 3))
    matrix = _hue_turn(np.deg2rad(rng.normal(0.0, 1.0) * hue_degrees))
    share = max(1.0 + saturation, 0.0)
    matrix = share * matrix + (1 - share) * np.tile(_LUMA, (3, 1))
    table = _tone_curve(np.exp(brightness) * cast, np.exp(contrast), np.exp(gamma))
    rows = np.concatenate([matrix, np.zeros((3, 1))], axis=1)
    return picture.convert("RGB", tuple(rows.ravel().tolist())).point(table)


def _hue_turn(angle: float) -> np.ndarray:
    """(3, 3), to be multiplied by RGB columns: hues turned by radians, luma kept."""
    cos, sin = np.cos(angle), np.sin(angle)
    return _RGB @ np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]]) @ _YIQ


def _tone_curve(gain: np.ndarray, contrast: float, gamma: float) -> list[int]:
    """The 768 values that Pillow's ``point`` takes: gamma, then gain (3,) of each channel, then contrast about gray."""
    level = np.linspace(0.0, 1.0, 256) ** gamma
    curve = (gain[:, None] * level - 0.5) * contrast + 0.5
    return np.clip(np.rint(curve * 255), 0, 255).astype(int).ravel().tolist()


def motion_blur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """``image`` (H, W, 3) uint8 as a camera sees it that moves during the exposure.

    Args:
        image: The picture.
        length: Of the way, pixels.
        angle: Of its direction, radians from the picture's x axis.
    """
    count = max(round(length), 1) + 1
    reach = int(np.ceil(length / 2)) + 1
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros(image.shape, np.uint16)
    height, width = image.shape[:2]
    for along in np.linspace(-length / 2, length / 2, count):
        row, column = reach + round(along * np.sin(angle)), reach + round(along * np.cos(angle))
        total += padded[row : row + height, column : column + width]
    return (total // np.uint16(count)).astype(np.uint8)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``image`` (H, W, 3) uint8 at another (width, height)."""
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
