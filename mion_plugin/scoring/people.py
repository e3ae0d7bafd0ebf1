"""Whose bodies are whose: the people of a photograph, and the rows of a file of bodies.

A file may number its people as the keypoints do (``person``). Other methods find people on their own and in their own
order: their bodies go to those whose keypoints they come nearest to. Where there is one person and one row, that is it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.image_names import ImageNames
from mion_plugin.inference.cropping import place_crop
from mion_plugin.scoring.hypotheses import Hypotheses
from mion_plugin.scoring.placing import PosedBodies

COCO = "coco"  # the order of a ``CocoPerson``'s keypoints
_FARTHEST = 0.25  # of the crop's side: bodies whose keypoints lie further off are somebody else's


class RowsOfImages:
    """The rows of a file that are of one photograph.

    Args:
        image_name: (P,) names, or None where the file tells none, which is for a single photograph.
        count: P.
        source: The file, for errors.
        paths: Of all photographs.

    Raises:
        ValueError: No names, but several photographs.
    """

    def __init__(
        self,
        image_name: Iterable[str] | None,
        count: int,
        source: str | os.PathLike[str],
        paths: Iterable[str | os.PathLike[str]],
    ) -> None:
        self._count, paths = count, list(paths)
        if image_name is None and len(paths) != 1:
            raise ValueError(f"{source} has no image_name, and there are {len(paths)} photographs")
        self._names = None if image_name is None else ImageNames(image_name, source, paths)

    def find(self, path: str | os.PathLike[str]) -> list[int]:
        """The rows of a photograph; errors as ``ImageNames.find``."""
        return list(range(self._count)) if self._names is None else self._names.find(path)


def match_people(
    bodies: Hypotheses, posed: Mapping[int, PosedBodies], people: Mapping[int, CocoPerson]
) -> tuple[dict[int, int], list[str]]:
    """Which row is which person of a photograph.

    Args:
        bodies: A file.
        posed: Row -> bodies, of the rows of the photograph, with the keypoints ``coco``.
        people: Number -> person.

    Returns:
        Row -> number, and what to tell of rows that are nobody.

    Raises:
        ValueError: Nothing tells whose the bodies are, or two rows are one person's.
    """
    rows = list(posed)
    if bodies.person is not None:
        return _by_number(bodies, rows, people)
    if len(rows) == len(people) == 1:
        return {rows[0]: next(iter(people))}, []
    if any(posed[row].camera is None for row in rows):
        raise ValueError(
            f"{bodies.source}: there are {len(people)} people and bodies of {len(rows)}, and neither person nor a "
            "camera says whose they are"
        )
    return _by_place(bodies, posed, people)


def _by_number(
    bodies: Hypotheses, rows: list[int], people: Mapping[int, CocoPerson]
) -> tuple[dict[int, int], list[str]]:
    numbers = {row: int(bodies.person[row]) for row in rows}  # type: ignore[index]
    if len(set(numbers.values())) < len(numbers):
        raise ValueError(f"{bodies.source}: several rows are of one person of one photograph")
    known = {row: number for row, number in numbers.items() if number in people}
    unknown = [number for number in numbers.values() if number not in people]
    told = ", ".join(map(str, people))
    return known, [f"{bodies.source}: there is no person {number}, only {told}" for number in unknown]


def _by_place(
    bodies: Hypotheses, posed: Mapping[int, PosedBodies], people: Mapping[int, CocoPerson]
) -> tuple[dict[int, int], list[str]]:
    """The assignment of the least distances, in crops, between keypoints of bodies and of people."""
    rows, numbers = list(posed), list(people)
    apart = np.array([[_distance(posed[row], people[number]) for number in numbers] for row in rows])
    # all that is too far is equally far: bodies on nobody must not push others off their people
    pairs = zip(*linear_sum_assignment(np.minimum(apart, _FARTHEST)), strict=True)
    found = {rows[one]: numbers[other] for one, other in pairs if apart[one, other] < _FARTHEST}
    lost = [row for row in rows if row not in found]
    return found, [f"{bodies.source}: the bodies of row {row} lie on nobody" for row in lost]


def _distance(bodies: PosedBodies, person: CocoPerson) -> float:
    """Mean distance from the person's visible keypoints, of the nearest body, as a share of the crop's side."""
    points = bodies.keypoints[COCO] + bodies.transl[:, None]  # type: ignore[index]
    pixels = bodies.camera.project(points).numpy()  # type: ignore[union-attr]
    confidence = person.keypoints2d[:, 2]
    distances = np.linalg.norm(pixels - person.keypoints2d[None, :, :2], axis=-1)
    mean = (distances * confidence).sum(axis=1) / max(confidence.sum(), np.finfo(np.float64).tiny)
    return float(min(mean.min() / place_crop(person).side, 1e6))
