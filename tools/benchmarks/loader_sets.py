"""Photographs of the sizes that the data sets have, with people in them, as files that the loader reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mion_plugin.datasets import save_human_data
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.synthesis.photographs import BACKGROUND_FOLDER

ANN_FILE = "people.npz"
_NOISE = 7.0  # grey levels of a sensor; COCO then has 0.4 bytes a pixel, real ones about 0.5
_QUALITY = 95  # as tools/convert_dataset.py --extract-frames writes


@dataclass(frozen=True)
class PhotographSize:
    """What the loader's time depends on.

    Attributes:
        width, height: Pixels of a photograph.
        side: Of a person's square in pixels: assumed, from what the set's people and cameras are like.
        source: Of width and height.
    """

    width: int
    height: int
    side: int
    source: str


SETS = {
    "Human3.6M": PhotographSize(1000, 1000, 400, "its paper"),
    "MPI-INF-3DHP": PhotographSize(2048, 2048, 900, "its paper"),
    "COCO": PhotographSize(640, 480, 250, "its usual photograph"),
    "MPII": PhotographSize(1280, 720, 500, "its usual video frame"),
    "LSP": PhotographSize(150, 200, 180, "people of about 150 px, says its page"),
    "LSPET": PhotographSize(300, 300, 180, "people of about 150 px, says its page; the photograph is assumed"),
    "3DPW": PhotographSize(1080, 1920, 800, "its image files"),
    "UP-3D": PhotographSize(600, 500, 350, "assumed: photographs of LSP, LSPET and MPII"),
}
# SPIN's mixture, as configs/_base_/mixed_224.py: 0.6 for these four by their people, about 1, 10, 15 and 28 thousand
_ANNOTATED = {"LSP": 1, "LSPET": 10, "MPII": 15, "COCO": 28}
MIXTURE = {
    "Human3.6M": 0.3,
    "MPI-INF-3DHP": 0.1,
    **{name: 0.6 * count / sum(_ANNOTATED.values()) for name, count in _ANNOTATED.items()},
}


def write_photographs(folder: Path, size: PhotographSize, count: int, seed: int = 0) -> float:
    """Write a set in mmengine's layout, a person in each photograph; returns the mean length of a file in bytes."""
    rng = np.random.default_rng(seed)
    sources = sorted(BACKGROUND_FOLDER.glob("*.jpg"))
    folder.mkdir(parents=True)
    lengths, boxes = [], []
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        _photograph(rng, sources[int(rng.integers(len(sources)))], size).save(path, quality=_QUALITY)
        lengths.append(path.stat().st_size)
        room = np.array([size.width, size.height]) - size.side
        corner = np.where(room > 0, rng.uniform(size=2) * room, room / 2)
        boxes.append([*corner, size.side, size.side, 1.0])
    corners = np.array(boxes)[:, None, :2] + rng.uniform(size=(count, 17, 2)) * size.side
    content = {
        "image_path": [f"{number:04d}.jpg" for number in range(count)],
        "bbox_xywh": np.array(boxes),
        "keypoints2d": np.dstack([corners, np.ones((count, 17))]),
        "keypoints2d_convention": "coco",
    }
    save_human_data(folder / ANN_FILE, content)
    return float(np.mean(lengths))


def _photograph(rng: np.random.Generator, source: Path, size: PhotographSize) -> Image.Image:
    """A part of one of the package's photographs of places, of the wanted shape, enlarged and with a sensor's noise."""
    picture = Image.fromarray(read_image(source))
    scale = rng.uniform(0.5, 1.0) * min(picture.width / size.width, picture.height / size.height)
    wide, high = scale * size.width, scale * size.height
    left, top = rng.uniform() * (picture.width - wide), rng.uniform() * (picture.height - high)
    box = (left, top, left + wide, top + high)
    large = picture.resize((size.width, size.height), Image.Resampling.BICUBIC, box=box)
    noisy = np.asarray(large) + rng.normal(scale=_NOISE, size=(size.height, size.width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
