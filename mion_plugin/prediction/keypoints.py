"""Where the people of a stored photograph, and their 2D keypoints, come from."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import numpy as np

from mion_plugin.datasets.coco import CocoKeypointFile, CocoPerson, coco_person
from mion_plugin.detection.people import PersonDetector
from mion_plugin.inference.frames import NobodyError
from mion_plugin.prediction.photographs import StoredPhotograph

PeopleOf: TypeAlias = Callable[[StoredPhotograph, np.ndarray], list[CocoPerson]]
"""From a photograph and its pixels (H, W, 3) to its people; raises ``NobodyError``, with the reason, where there are
none. The workers of a data loader have one each."""


class KeypointTable:
    """People of a COCO keypoint annotation file, kept as arrays: millions of dictionaries would not fit into memory.

    Args:
        path: See ``CocoKeypointFile``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a JSON file, or an annotation is malformed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        keypoints2d, boxes, rows = [np.zeros((0, 17, 3))], [np.zeros((0, 4))], defaultdict[str, list[int]](list)
        self._same_name: dict[str, str | None] = {}
        count = 0
        for name, people in CocoKeypointFile(path).images():
            known = self._same_name.setdefault(PurePosixPath(name).name, name)
            if known != name:
                self._same_name[PurePosixPath(name).name] = None
            rows[name].extend(range(count, count + len(people)))
            count += len(people)
            keypoints2d += [person.keypoints2d[None] for person in people]
            boxes += [person.bbox[None] for person in people]
        self._rows = {name: tuple(numbers) for name, numbers in rows.items()}
        self._keypoints2d, self._boxes = np.concatenate(keypoints2d), np.concatenate(boxes)

    def __call__(self, photograph: StoredPhotograph, pixels: np.ndarray) -> list[CocoPerson]:
        """Those of the image of the photograph's name, or else of its name without folders, if that is one image's."""
        name = photograph.name
        if name not in self._rows:
            name = PurePosixPath(name).name
            if name not in self._same_name:
                raise NobodyError(f"{self._path}: none of its {len(self._rows)} images is called {photograph.name}")
            known = self._same_name[name]
            if known is None:
                raise NobodyError(f"{self._path}: several images in other folders are called {name}")
            name = known
        if not self._rows[name]:
            raise NobodyError(f"{self._path}: nobody in {name} has keypoints")
        return [CocoPerson(self._keypoints2d[row].copy(), self._boxes[row].copy()) for row in self._rows[name]]


def members_beside(photograph: StoredPhotograph, pixels: np.ndarray) -> list[CocoPerson]:
    """People of the member beside a photograph in a tar; a ``PeopleOf``.

    JSON: a list of COCO's annotations with ``keypoints`` and ``bbox``, or an object that has it as ``annotations``.
    """
    where = f"the keypoints of {photograph.name}"
    if photograph.keypoints is None:
        raise NobodyError(f"{where}: no such member beside it")
    try:
        content = json.loads(photograph.keypoints.read(photograph.path))
        entries = content.get("annotations") if isinstance(content, dict) else content
        people = _labelled_people(entries, where)
    except (OSError, ValueError, RecursionError) as error:
        raise NobodyError(f"{where} cannot be read: {error}") from None
    if not people:
        raise NobodyError(f"{where}: nobody has any")
    return people


def _labelled_people(entries: Any, where: str) -> list[CocoPerson]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("expected a list of COCO annotations")
    labelled = [entry for entry in entries if isinstance(entry.get("keypoints"), list) and any(entry["keypoints"])]
    return [coco_person(entry, f"person {number}") for number, entry in enumerate(labelled)]


class DetectedPeople:
    """People by a detector that is made at first use: its threads and memory do not pass into another process.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], PersonDetector]) -> None:
        self._make = make
        self._detector: PersonDetector | None = None

    def __call__(self, photograph: StoredPhotograph, pixels: np.ndarray) -> list[CocoPerson]:
        """See ``PeopleOf``."""
        if self._detector is None:
            self._detector = self._make()
        people = self._detector(pixels)
        if not people:
            raise NobodyError(f"{photograph.name}: nobody was found in it")
        return people
