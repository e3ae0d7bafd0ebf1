"""What is behind the body: crops of photographs, or procedural pictures."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.files.presence import require_folder

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_CACHED_IMAGES = 32  # decoded photographs kept by each process
_LEAST_CROP = 0.35  # of the photograph's shorter side
_MAX_BLOCKS = 6


class Background(Protocol):
    """Draws pictures to put behind a body."""

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """A (size, size, 3) uint8 RGB picture."""


class FolderBackground:
    """Random crops, half of them mirrored, of the images in a folder, sub-folders included.

    The images in order of their paths are the choice: the same folder gives the same pictures.

    Args:
        folder: E.g. LSUN's images.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: It holds no images.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = require_folder(Path(folder), "background folder")
        self.paths = sorted(path for path in self.folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not self.paths:
            raise ValueError(f"background folder {self.folder} holds no image ({', '.join(sorted(_SUFFIXES))})")

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """A (size, size, 3) uint8 crop.

        Raises:
            BrokenImageError: The image drawn cannot be read.
        """
        picture = _read_cached(self.paths[int(rng.integers(len(self.paths)))])
        side = rng.uniform(_LEAST_CROP, 1.0) * min(picture.size)
        left, top = rng.uniform(0.0, 1.0, 2) * (np.array(picture.size) - side)
        box = (float(left), float(top), float(left + side), float(top + side))
        crop = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box=box))
        return np.ascontiguousarray(crop[:, ::-1]) if rng.random() < 0.5 else crop


@lru_cache(maxsize=_CACHED_IMAGES)
def _read_cached(path: Path) -> Image.Image:
    return Image.fromarray(read_image(path))


class ProceduralBackground:
    """Gradients, smooth noise of several scales and random blocks; needs no files."""

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """A (size, size, 3) uint8 picture."""
        half = (size + 1) // 2  # everything in it is smooth, so half the resolution does, at a quarter of the time
        picture = _smooth_noise(rng, 2, half, rng.uniform(0.3, 1.0))  # corners: a gradient
        for cells in (int(rng.integers(3, 8)), int(rng.integers(12, 40))):
            strength = np.float32(rng.uniform(0.0, 0.4))
            picture = (1 - strength) * picture + strength * _smooth_noise(rng, cells, half, rng.uniform(0.1, 0.7))
        for _ in range(int(rng.integers(0, _MAX_BLOCKS + 1))):
            _paint_block(picture, rng)
        small = Image.fromarray(np.clip(picture * 255.0, 0, 255).astype(np.uint8))
        return np.asarray(small.resize((size, size), Image.Resampling.BILINEAR))


def _smooth_noise(rng: np.random.Generator, cells: int, size: int, saturation: float) -> np.ndarray:
    """(size, size, 3) float32 in 0..1: random colours on a grid, blended smoothly."""
    colors = rng.random((cells, cells, 3))
    gray = colors.mean(axis=2, keepdims=True)
    colors = gray + saturation * (colors - gray)
    small = Image.fromarray((colors * 255).astype(np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), np.float32) / 255.0


def _paint_block(picture: np.ndarray, rng: np.random.Generator) -> None:
    """A rectangle of one colour, partly transparent: furniture, windows, doors."""
    size = len(picture)
    height, width = (rng.uniform(0.05, 0.7, 2) * size).astype(int) + 1
    top, left = (rng.uniform(-0.2, 0.9, 2) * size).astype(int)
    rows = slice(max(top, 0), max(top + height, 0))
    columns = slice(max(left, 0), max(left + width, 0))
    opacity, color = np.float32(rng.uniform(0.4, 1.0)), rng.random(3).astype(np.float32)
    picture[rows, columns] = (1 - opacity) * picture[rows, columns] + opacity * color
