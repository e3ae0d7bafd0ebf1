"""Writing a picture."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from mion_plugin.files.images import write_image


def save_picture(picture: np.ndarray, path: str | os.PathLike[str]) -> Path:
    """Write a picture (H, W, 3) uint8 RGB, whole or not at all, in the format that the path ends in; the path."""
    path = Path(path)
    write_image(Image.fromarray(picture), path, quality=92)  # of JPEG
    return path
