"""People with 2D keypoints from a COCO annotation file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.datasets.coco_documents import PersonCategories, as_coco, id_key, require_ids
from mion_plugin.datasets.image_names import ImageNames
from mion_plugin.datasets.keypoint_layouts import to_coco
from mion_plugin.files.json_files import read_json
from mion_plugin.geometry.boxes import LEAST_SCORE, keypoint_box

NUM_KEYPOINTS = 17
LARGEST_SCORE = 2.0  # of detectors: a heatmap's peak may pass 1


@dataclass(frozen=True)
class CocoPerson:
    """One annotated person.

    Attributes:
        keypoints2d: (17, 3) float64 x, y in pixels of the image (pixel centres at integer + 0.5) and confidence: 1
            where COCO's visibility flag is 1 or 2, a detector's score where the file holds scores, else 0 with
            x = y = 0.
        bbox: (4,) x, y of the top left corner, width, height in pixels; that of the keypoints where the file has none.
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
            numbers x, y, visibility, ``bbox`` if there is one); or what AlphaPose and OpenPose write. Instead of
            visibilities there may be scores, and instead of COCO's keypoints those of ``keypoint_layouts``.
        image_name: Path of the image, or its name as in ``images``; see ``ImageNames``.

    Returns:
        The people in the order of the file; never empty.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a JSON file, the image is not in it, or nobody in it has keypoints.
    """
    return load_coco_people_of(path, [image_name])[0]


def load_coco_people_of(path: str | os.PathLike[str], image_names: Iterable[str]) -> list[list[CocoPerson]]:
    """``load_coco_people`` for several images, reading the file once; errors as there."""
    names = list(image_names)
    file = CocoKeypointFile(path, names)
    return [file.people(name) for name in names]


class CocoKeypointFile:
    """A COCO keypoint annotation file, read once, to be asked for one image after the other.

    Args:
        path: See ``load_coco_people``.
        image_names: Those that will be asked for, as far as is known; see ``ImageNames``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a JSON file.
    """

    def __init__(self, path: str | os.PathLike[str], image_names: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._path = Path(path)
        content = as_coco(read_json(self._path, "keypoint file"), self._path)
        images, annotations = (_entries(content, key, self._path) for key in ("images", "annotations"))
        require_ids(images, annotations, self._path)
        self._categories = PersonCategories(content)
        self._image_ids = [id_key(image["id"]) for image in images]
        self._names = ImageNames((str(image.get("file_name")) for image in images), path, image_names)
        self._file_names = [str(image.get("file_name")) for image in images]
        self._by_image = defaultdict(list)
        for entry in annotations:
            if self._categories.include(entry) and _is_labelled(entry.get("keypoints")):
                self._by_image[id_key(entry["image_id"])].append(entry)
        self._scored = any(holds_scores(entry["keypoints"]) for people in self._by_image.values() for entry in people)

    def __len__(self) -> int:
        """How many images the file lists, each once."""
        return len(set(self._image_ids))

    def people(self, image_name: str | os.PathLike[str], called: str = "") -> list[CocoPerson]:
        """The people of an image with at least one keypoint that was seen, in the order of the file; never empty.

        Args:
            image_name: See ``load_coco_people``.
            called: What to call it in errors; as it is given where left out.

        Raises:
            ValueError: The image is not in the file, or several may be it; nobody in it has keypoints; or an annotation
                is malformed.
        """
        called = called or os.fspath(image_name)
        numbers = self._names.find(image_name)
        if not numbers:
            raise ValueError(f"{self._path}: none of its {len(self)} images is called {called}")
        ids = dict.fromkeys(self._image_ids[number] for number in numbers)
        people = [person for image_id in ids for person in self._people(image_id)]
        if not people:
            others = self._categories.others
            told = f"; its {', '.join(others[:3])} are no people" if others else ""
            raise ValueError(f"{self._path}: nobody in {called} has keypoints{told}")
        return people

    def images(self) -> Iterator[tuple[str, list[CocoPerson]]]:
        """Every image's ``file_name``, as it is written there, and its people, in the order of the file.

        Raises:
            ValueError: An annotation is malformed.
        """
        for name, image_id in zip(self._file_names, self._image_ids, strict=True):
            yield name, self._people(image_id)

    def _people(self, image_id: str) -> list[CocoPerson]:
        people = [self._person(entry) for entry in self._by_image.get(image_id, [])]
        return [person for person in people if person.keypoints2d[:, 2].any()]  # low scores alone show nobody

    def _person(self, entry: dict[str, Any]) -> CocoPerson:
        where = f"{self._path}: annotation {entry.get('id', '?')}"
        keypoints2d = read_keypoints(entry["keypoints"], self._categories.keypoint_names(entry), self._scored, where)
        return CocoPerson(keypoints2d, _read_box(entry.get("bbox"), keypoints2d, where))


def _entries(content: Any, key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under ``key``."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(
            f"{path} has no list {key!r}; expected COCO keypoint annotations, such as person_keypoints_val2017.json"
        )
    return entries


def coco_person(entry: Mapping[str, Any], where: str) -> CocoPerson:
    """The person of one annotation with ``keypoints`` and perhaps ``bbox``, of a file that tells no more.

    Raises:
        ValueError: It is malformed; the message begins with ``where``.
    """
    if "keypoints" not in entry:
        raise ValueError(f"{where} has no 'keypoints'")
    keypoints2d = read_keypoints(entry["keypoints"], None, holds_scores(entry["keypoints"]), where)
    return CocoPerson(keypoints2d, _read_box(entry.get("bbox"), keypoints2d, where))


def _is_labelled(keypoints: Any) -> bool:
    """Whether there is anything but zeros; what is no list is told of when its image is asked for."""
    return any(keypoints) if isinstance(keypoints, list) else keypoints is not None


def holds_scores(keypoints: Any) -> bool:
    """Whether the third numbers are scores of a detector: visibilities are 0, 1 or 2."""
    try:
        flags = _triples(keypoints)[:, 2]
    except (TypeError, ValueError, OverflowError):
        return False  # which is told of when its image is asked for
    return bool((~np.isin(flags, (0, 1, 2)) & np.isfinite(flags)).any())


def _triples(keypoints: Any) -> np.ndarray:
    """(K, 3) of a list of 3 K numbers, or of K lists of 3."""
    numbers = np.array(keypoints, dtype=np.float64)
    if numbers.ndim == 1 and numbers.size % 3 == 0:
        numbers = numbers.reshape(-1, 3)
    if numbers.ndim != 2 or numbers.shape[1] != 3:
        raise ValueError(f"{numbers.size} numbers are no triples")
    return numbers


def read_keypoints(keypoints: Any, names: Sequence[str] | None, scored: bool, where: str) -> np.ndarray:
    """An annotation's keypoints as those of a ``CocoPerson``.

    Args:
        keypoints: What stands in the file.
        names: What the file calls them, if it does.
        scored: The third numbers are scores, not visibilities. Keypoints with scores below ``LEAST_SCORE`` are absent.
        where: Whose they are, for errors.

    Returns:
        (17, 3).

    Raises:
        ValueError: No such numbers, or keypoints of an order that is not known.
    """
    try:
        triples = _triples(keypoints)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}: keypoints must be a list of numbers: x, y, visibility of each") from None
    try:
        triples = to_coco(triples, names)
    except ValueError as error:
        raise ValueError(f"{where} has {error}") from None
    if not np.isfinite(triples).all():
        raise ValueError(f"{where}: keypoints hold NaN or infinite values")
    if triples[:, 2].max() > LARGEST_SCORE:
        raise ValueError(
            f"{where}: keypoint {int(triples[:, 2].argmax())} has {triples[:, 2].max():g} as third number, expected a "
            "visibility (0, 1 or 2) or a score (0 to 1)"
        )
    require_pixels(triples, where)
    return with_confidence(triples, scored)


def require_pixels(keypoints2d: np.ndarray, where: str) -> None:
    """Raise ValueError for a person's keypoints (K, 3) that are told in shares of the image: all within a pixel."""
    places = keypoints2d[keypoints2d[:, 2] > 0, :2]
    if len(places) > 1 and (places != places[0]).any() and np.abs(places).max() <= 1:
        raise ValueError(f"{where}: keypoints are between -1 and 1, expected pixels (OpenPose's --keypoint_scale 0)")


def _read_box(bbox: Any, keypoints2d: np.ndarray, where: str) -> np.ndarray:
    """The annotated box (4,), else that of the keypoints; zeros where these have none, which no crop is made of."""
    if bbox is None or bbox == []:
        box = keypoint_box(keypoints2d)
        return np.zeros(4) if box is None else box
    try:
        numbers = np.array(bbox, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}: bbox must be a list of numbers") from None
    if numbers.shape != (4,):
        raise ValueError(f"{where} has {numbers.size} bbox numbers, expected 4")
    if not (np.isfinite(numbers).all() and (numbers[2:] > 0).all()):
        raise ValueError(f"{where}: bbox must be finite, and the box must have a size")
    return numbers


def with_confidence(keypoints2d: np.ndarray, scored: bool = False) -> np.ndarray:
    """COCO's keypoints (..., 17, 3), pixel indices and visibility or score, as those of a ``CocoPerson``."""
    third = keypoints2d[..., 2:]
    seen = third >= LEAST_SCORE if scored else third > 0
    confidence = np.minimum(third, 1.0) if scored else np.ones_like(third)
    centres = keypoints2d[..., :2] + 0.5  # COCO gives the pixel's index, we its centre
    return np.where(seen, np.concatenate([centres, confidence], axis=-1), 0.0)
