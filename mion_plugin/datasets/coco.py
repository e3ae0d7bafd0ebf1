"""People with 2D keypoints from a COCO annotation file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.files.json_files import read_json

NUM_KEYPOINTS = 17


@dataclass(frozen=True)
class CocoPerson:
    """One annotated person.

    Attributes:
        keypoints2d: (17, 3) float64 x, y in pixels of the image (pixel centres at integer + 0.5) and confidence: 1
            where COCO's visibility flag is 1 or 2, else 0 with x = y = 0.
        bbox: (4,) x, y of the top left corner, width, height in pixels.
        depths: (17, 2) what is known of the keypoints' depths: metres behind the middle of the hips, z into the scene
            along the line of sight to the person, and the precision of that, one over its mean error, 1 / metres; 0
            is unknown. None where nothing is: COCO's files know of none.
    """

    keypoints2d: np.ndarray
    bbox: np.ndarray
    depths: np.ndarray | None = None


def load_coco_people(path: str | os.PathLike[str], image_name: str) -> list[CocoPerson]:
    """The people with at least one labelled keypoint in one image of a COCO keypoint annotation file.

    Args:
        path: JSON with ``images`` (``id``, ``file_name``) and ``annotations`` (``image_id``, ``keypoints`` as 51
            numbers x, y, visibility, ``bbox``).
        image_name: File name of the image, as in ``images``.

    Returns:
        The people in the order of the file; never empty.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a JSON file, the image is not in it, or nobody in it has keypoints.
    """
    return load_coco_people_of(path, [image_name])[0]


def load_coco_people_of(path: str | os.PathLike[str], image_names: Iterable[str]) -> list[list[CocoPerson]]:
    """``load_coco_people`` for several images, reading the file once; errors as there."""
    file = CocoKeypointFile(path)
    found = []
    for name in image_names:
        if name not in file:
            raise ValueError(f"{path}: none of its {len(file)} images is called {name}")
        people = file.people(name)
        if not people:
            raise ValueError(f"{path}: nobody in {name} has keypoints")
        found.append(people)
    return found


class CocoKeypointFile:
    """A COCO keypoint annotation file, read once, to be asked for one image after the other.

    Args:
        path: See ``load_coco_people``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a JSON file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        content = read_json(self._path, "keypoint file")
        images, annotations = (_entries(content, key, self._path) for key in ("images", "annotations"))
        require_ids(images, annotations, self._path)
        self._images = [(str(image.get("file_name")), image.get("id")) for image in images]
        self._image_ids, self._by_image = defaultdict(list), defaultdict(list)
        for image in images:
            self._image_ids[Path(str(image.get("file_name"))).name].append(image.get("id"))
        for entry in annotations:
            keypoints = entry.get("keypoints")
            if not isinstance(keypoints, list | None):
                raise ValueError(f"{path}: annotation {entry.get('id', '?')}: keypoints must be a list of numbers")
            if any(keypoints or []):
                self._by_image[entry.get("image_id")].append(entry)

    def __len__(self) -> int:
        """How many images the file lists."""
        return len(self._images)

    def __contains__(self, image_name: str) -> bool:
        return image_name in self._image_ids

    def people(self, image_name: str) -> list[CocoPerson]:
        """The people of an image with at least one labelled keypoint, in the order of the file; [] where none is.

        Raises:
            ValueError: An annotation is malformed.
        """
        return [person for image_id in self._image_ids.get(image_name, []) for person in self._people_of(image_id)]

    def images(self) -> Iterator[tuple[str, list[CocoPerson]]]:
        """Every image's ``file_name``, as it is written there, and its people, in the order of the file.

        Raises:
            ValueError: An annotation is malformed.
        """
        for name, image_id in self._images:
            yield name, self._people_of(image_id)

    def _people_of(self, image_id: Any) -> list[CocoPerson]:
        entries = self._by_image.get(image_id, [])
        return [coco_person(entry, f"{self._path}: annotation {entry.get('id', '?')}") for entry in entries]


def require_ids(images: Iterable[dict[str, Any]], annotations: Iterable[dict[str, Any]], path: Path) -> None:
    """Raise ValueError if an ``id`` of images, or ``image_id`` of annotations, is not a number or text."""
    for key, entries in (("id", images), ("image_id", annotations)):
        for entry in entries:
            if not isinstance(entry.get(key), int | str):
                raise ValueError(f"{path}: {key} is {entry.get(key)!r}, expected the number of an image")


def _entries(content: Any, key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under ``key``."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(
            f"{path} has no list {key!r}; expected COCO keypoint annotations, such as person_keypoints_val2017.json"
        )
    return entries


def coco_person(entry: dict[str, Any], where: str) -> CocoPerson:
    """The person of a COCO annotation with ``keypoints`` and ``bbox``.

    Raises:
        ValueError: It is malformed; the message begins with ``where``.
    """
    try:
        numbers = np.array(entry["keypoints"], dtype=np.float64)
        bbox = np.array(entry["bbox"], dtype=np.float64)
    except KeyError as error:
        raise ValueError(f"{where} has no {error.args[0]!r}") from None
    except (TypeError, ValueError, OverflowError):  # the latter of whole numbers with hundreds of digits
        raise ValueError(f"{where}: keypoints and bbox must be lists of numbers") from None
    if numbers.shape != (3 * NUM_KEYPOINTS,) or bbox.shape != (4,):
        raise ValueError(
            f"{where} has {numbers.size} keypoint numbers and {bbox.size} bbox numbers, expected 51 (x, y, visibility "
            "of 17 keypoints) and 4"
        )
    if not (np.isfinite(numbers).all() and np.isfinite(bbox).all() and (bbox[2:] > 0).all()):
        raise ValueError(f"{where}: keypoints and bbox must be finite, and the box must have a size")
    return CocoPerson(with_confidence(numbers.reshape(NUM_KEYPOINTS, 3)), bbox)


def with_confidence(keypoints2d: np.ndarray) -> np.ndarray:
    """COCO's keypoints (..., 17, 3), pixel indices and visibility, as those of a ``CocoPerson``."""
    visible = keypoints2d[..., 2:] > 0
    centres = keypoints2d[..., :2] + 0.5  # COCO gives the pixel's index, we its centre
    return np.where(visible, np.concatenate([centres, np.ones_like(centres[..., :1])], axis=-1), 0.0)
