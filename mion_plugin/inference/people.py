"""The photographs and the people in them, from the forms that a user may give them in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.datasets.coco import LARGEST_SCORE, CocoPerson, require_pixels
from mion_plugin.datasets.keypoint_layouts import LAYOUTS, to_coco
from mion_plugin.datasets.openpose import open_keypoint_file
from mion_plugin.datasets.transforms.loading import list_images, read_image
from mion_plugin.inference.cropping import visible_box


@dataclass(frozen=True)
class Photograph:
    """An image, read when asked for.

    Attributes:
        name: What to call it; of a file, its name without folder.
        path: File, or None.
        pixels: (H, W, 3) uint8 RGB, or None for those of the file.
    """

    name: str
    path: Path | None = None
    pixels: np.ndarray | None = None

    def read(self) -> np.ndarray:
        """The pixels (H, W, 3) uint8 RGB; errors as ``read_image``."""
        return self.pixels if self.path is None else read_image(self.path)  # type: ignore[return-value]


def list_photographs(inputs: Any) -> list[Photograph]:
    """Photographs of a path, a folder (its image files in order of their names), an array (H, W, 3), or a list of them.

    What is a ``Photograph`` already stays as it is.

    Raises:
        FileNotFoundError: No such file.
        ValueError: None of these, an array of another shape or type, or a folder without images.
    """
    entries = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    photographs: list[Photograph] = []
    for entry in entries:
        if isinstance(entry, (str, os.PathLike)):
            photographs += [Photograph(path.name, path=path) for path in list_images(Path(entry))]
        elif isinstance(entry, Photograph):
            photographs.append(entry)
        else:
            photographs.append(Photograph(f"image_{len(photographs)}", pixels=_checked_pixels(entry)))
    return photographs


def is_single(inputs: Any) -> bool:
    """Whether inputs name one photograph and not several."""
    if isinstance(inputs, (str, os.PathLike)):
        return not Path(inputs).is_dir()
    return not isinstance(inputs, (list, tuple))


def for_each_photograph(keypoints2d: Any, single: bool) -> Any:
    """Keypoints in the form that ``find_people`` takes: those of a single photograph as the only entry of a list."""
    names_its_photographs = keypoints2d is None or isinstance(keypoints2d, (str, os.PathLike))
    return [keypoints2d] if single and not names_its_photographs else keypoints2d


def find_people(keypoints2d: Any, photographs: Sequence[Photograph]) -> list[list[CocoPerson]]:
    """The people of each photograph.

    Args:
        keypoints2d: A COCO keypoint annotation file that names the photographs, or a folder of OpenPose's; or for each
            photograph (17, 3) x, y in pixels of the image and confidence, (P, 17, 3), or a list of ``CocoPerson``. In
            place of COCO's 17 keypoints there may be those of another order of ``LAYOUTS``, told by their number.
            Confidences above 1 count as 1.
        photographs: Of ``list_photographs``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The keypoints are in none of these forms, or a photograph is not in the file.
    """
    if keypoints2d is None:
        raise ValueError("keypoints2d is None, expected a COCO keypoint file, or (17, 3) or (P, 17, 3) for each image")
    if isinstance(keypoints2d, (str, os.PathLike)):
        unnamed = [photograph.name for photograph in photographs if photograph.path is None]
        if unnamed:
            raise ValueError(f"keypoints2d is the file {keypoints2d}, but {unnamed[0]} is an array without a name")
        paths = [str(photograph.path) for photograph in photographs]
        file = open_keypoint_file(keypoints2d, paths)
        return [file.people(path) for path in paths]
    if len(keypoints2d) != len(photographs):
        raise ValueError(
            f"keypoints2d has {len(keypoints2d)} entries for {len(photographs)} images, expected one for each"
        )
    return [_people(entry, photograph.name) for entry, photograph in zip(keypoints2d, photographs, strict=True)]


def _checked_pixels(entry: Any) -> np.ndarray:
    sound = isinstance(entry, np.ndarray) and entry.ndim == 3 and entry.shape[2] == 3 and entry.dtype == np.uint8
    if not sound or not entry.size:
        told = f"{entry.dtype} {entry.shape}" if isinstance(entry, np.ndarray) else type(entry).__name__
        raise ValueError(f"an image is {told}, expected a path or an RGB array (H, W, 3) of uint8")
    return entry


def _people(entry: Any, name: str) -> list[CocoPerson]:
    if isinstance(entry, (list, tuple)) and all(isinstance(person, CocoPerson) for person in entry):
        return list(entry)
    try:
        values = np.asarray(entry, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: keypoints2d is not an array of numbers: {error}") from None
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[1] not in LAYOUTS or values.shape[2] != 3:
        raise ValueError(
            f"{name}: keypoints2d has shape {values.shape}, expected (17, 3) or (P, 17, 3) in COCO order, or one of "
            f"{', '.join(told for told, _ in LAYOUTS.values() if told != 'COCO')}"
        )
    values = to_coco(values)
    if not np.isfinite(values[..., 2]).all():
        raise ValueError(f"{name}: keypoints2d holds a confidence that is NaN or infinite")
    if not np.isfinite(values[values[..., 2] > 0]).all():
        raise ValueError(f"{name}: keypoints2d holds NaN or infinite values where the confidence is above 0")
    if values.size and values[..., 2].max() > LARGEST_SCORE:
        raise ValueError(
            f"{name}: keypoints2d holds a confidence of {values[..., 2].max():g}, expected 0 to 1, or a visibility"
        )
    # as of files: visible and hidden keypoints count alike, and a heatmap's peak may pass 1
    values = np.where(values[..., 2:] > 0, np.minimum(values, [np.inf, np.inf, 1.0]), 0.0)
    for keypoints2d in values:
        require_pixels(keypoints2d, name)
    return [CocoPerson(person, _box(person, f"{name}, person {n}")) for n, person in enumerate(values)]


def _box(keypoints2d: np.ndarray, where: str) -> np.ndarray:
    try:
        return visible_box(keypoints2d)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
