"""Where the people of a stored photograph, and their 2D keypoints, come from."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mion_plugin.datasets.coco import CocoKeypointFile, CocoPerson, coco_person
from mion_plugin.datasets.image_names import name_parts, shared_end
from mion_plugin.datasets.openpose import OpenPoseFolder
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
        count = 0
        for name, people in CocoKeypointFile(path).images():
            rows[name].extend(range(count, count + len(people)))
            count += len(people)
            keypoints2d += [person.keypoints2d[None] for person in people]
            boxes += [person.bbox[None] for person in people]
        self._rows = {name: tuple(numbers) for name, numbers in rows.items()}
        self._by_last = defaultdict[str, list[str]](list)
        for name in self._rows:
            self._by_last["".join(name_parts(name)[-1:])].append(name)
        self._keypoints2d, self._boxes = np.concatenate(keypoints2d), np.concatenate(boxes)

    def __call__(self, photograph: StoredPhotograph, pixels: np.ndarray) -> list[CocoPerson]:
        """Those of the image whose name and the photograph's end alike.

        Another folder is another photograph: there is no list of all, by which to tell that it was renamed.
        """
        name = self._find(photograph.name)
        if not self._rows[name]:
            raise NobodyError(f"{self._path}: nobody in {name} has keypoints")
        return [CocoPerson(self._keypoints2d[row].copy(), self._boxes[row].copy()) for row in self._rows[name]]

    def _find(self, called: str) -> str:
        """What the file calls a photograph; of several names that its path ends in, the longest."""
        if called in self._rows:
            return called
        wanted = name_parts(called)
        near = [(known, name_parts(known)) for known in self._by_last.get("".join(wanted[-1:]), ())]
        alike = {known: shared_end(parts, wanted) for known, parts in near}
        fits = [known for known, parts in near if alike[known] in (len(parts), len(wanted))]
        best = [known for known in fits if alike[known] == max(alike[other] for other in fits)]
        if not best:
            told = f"; {near[0][0]} is in another folder" if near else ""
            raise NobodyError(f"{self._path}: none of its {len(self._rows)} images is called {called}{told}")
        if len(best) > 1:
            raise NobodyError(f"{self._path}: {called} may be {best[0]} and {best[1]} of its images")
        return best[0]


class KeypointFolder:
    """People of a folder of OpenPose's, by the photograph's name without its folder and ending; a ``PeopleOf``.

    Args:
        path: See ``OpenPoseFolder``, whose errors it raises.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._folder = OpenPoseFolder(path)

    def __call__(self, photograph: StoredPhotograph, pixels: np.ndarray) -> list[CocoPerson]:
        """See ``PeopleOf``."""
        try:
            return self._folder.people(photograph.name)
        except ValueError as error:
            raise NobodyError(str(error)) from None


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
