"""The people of photographs one after the other, with their bodies out of one or several files scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.inference.cropping import place_crop, visible_box
from mion_plugin.inference.frames import NobodyError, PeopleFinder
from mion_plugin.inference.sources import Frame
from mion_plugin.scoring.hypotheses import Hypotheses
from mion_plugin.scoring.people import RowsOfImages, match_people
from mion_plugin.scoring.placing import PosedBodies
from mion_plugin.scoring.scorer import BodyScorer, ScoredBodies
from mion_plugin.scoring.truth import JOINTS, Truth, true_errors


@dataclass(frozen=True)
class ScoredPerson:
    """One person.

    Attributes:
        number: Which of the photograph's people, from 0.
        person: Its 2D keypoints.
        scored: N bodies.
        sources: Of each body its file, and which of the person's bodies there it is.
        errors: Name of an error -> (N,) millimetres; None where the truth is not known.
    """

    number: int
    person: CocoPerson
    scored: ScoredBodies
    sources: list[tuple[str, int]]
    errors: dict[str, np.ndarray] | None


@dataclass(frozen=True)
class ScoredPhotograph:
    """A photograph's people, and what was left out."""

    frame: Frame
    people: list[ScoredPerson] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class PhotographScorer:
    """Scores photographs one after the other.

    Args:
        scorer: Scores bodies.
        files: Of bodies.
        paths: Of all photographs.
        find: Finds the people; None to take the keypoints that the files of bodies hold.
        truth: Of the same people; its joints are asked of ``scorer`` as ``wanted``.

    Raises:
        ValueError: No names of photographs where there are several, or nothing tells of 2D keypoints.
    """

    def __init__(
        self,
        scorer: BodyScorer,
        files: Sequence[Hypotheses],
        paths: Sequence[Path],
        find: PeopleFinder | None,
        truth: Truth | None = None,
    ) -> None:
        self.scorer, self.truth, self.find = scorer, truth, find
        self.files = list(files) if find is not None else [_numbered(one) for one in files]
        self.rows = [RowsOfImages(one.image_name, len(one), one.source, paths) for one in files]
        self.true_rows = (
            None if truth is None else RowsOfImages(truth.image_name, len(truth.joints), truth.source, paths)
        )
        if find is None and not any(one.keypoints2d is not None for one in files):
            raise ValueError(f"{files[0].source} has no keypoints2d, and no other 2D keypoints are given")

    def __call__(self, frames: Iterable[Frame]) -> Iterator[ScoredPhotograph]:
        """The photographs' people; one result for each frame, in order."""
        for frame in frames:
            yield self._score(frame)

    def _score(self, frame: Frame) -> ScoredPhotograph:
        result = ScoredPhotograph(frame)
        if frame.pixels is None:
            result.problems.append(frame.problem)
            return result
        try:
            posed = self._pose(frame, frame.pixels)
            people = (
                self._held_people(frame, result.problems) if self.find is None else dict(enumerate(self.find(frame)))
            )
            whose = self._match(posed, self._croppable(people, frame, result.problems), result.problems)
        except NobodyError as error:
            result.problems.append(str(error))
            return result
        except ValueError as error:
            result.problems.append(f"{frame.name}: {error}")
            return result
        for number, parts in sorted(whose.items()):
            try:
                result.people.append(self._score_person(frame, number, people[number], parts))
            except ValueError as error:
                result.problems.append(f"person {number} of {frame.name}: {error}")
        return result

    def _pose(self, frame: Frame, image: np.ndarray) -> list[dict[int, PosedBodies]]:
        """Of each file, row -> bodies, of the photograph's rows."""
        where = frame.name if frame.path is None else frame.path
        posed = [
            {row: self.scorer.pose(file, row, image) for row in rows.find(where)}
            for file, rows in zip(self.files, self.rows, strict=True)
        ]
        if not any(posed):
            raise ValueError(f"no bodies of it in {', '.join(str(file.source) for file in self.files)}")
        return posed

    def _croppable(self, people: Mapping[int, CocoPerson], frame: Frame, problems: list[str]) -> dict[int, CocoPerson]:
        """Those with keypoints to crop by."""
        found = {}
        for number, person in people.items():
            try:
                place_crop(person, self.scorer.inferencer.box, self.scorer.inferencer.box_scale)
                found[number] = person
            except ValueError as error:
                problems.append(f"person {number} of {frame.name}: {error}")
        return found

    def _match(
        self, posed: list[dict[int, PosedBodies]], people: Mapping[int, CocoPerson], problems: list[str]
    ) -> dict[int, list[tuple[int, PosedBodies]]]:
        """Number of a person -> file, and bodies out of it."""
        whose: dict[int, list[tuple[int, PosedBodies]]] = {}
        for index, (file, rows) in enumerate(zip(self.files, posed, strict=True)):
            if not rows:
                continue
            matched, lost = match_people(file, rows, people)
            problems += lost
            for row, number in matched.items():
                whose.setdefault(number, []).append((index, rows[row]))
        return whose

    def _score_person(
        self, frame: Frame, number: int, person: CocoPerson, parts: list[tuple[int, PosedBodies]]
    ) -> ScoredPerson:
        posed = [bodies for _, bodies in parts]
        scored = self.scorer.score(frame.pixels, frame.name, person, posed)  # type: ignore[arg-type]  # it was read
        sources = [(self.files[index].source.name, n) for index, bodies in parts for n in range(len(bodies.vertices))]
        return ScoredPerson(number, person, scored, sources, self._errors(frame, number, posed))

    def _errors(self, frame: Frame, number: int, posed: list[PosedBodies]) -> dict[str, np.ndarray] | None:
        if self.truth is None or self.true_rows is None:
            return None
        row = self.truth.row_of(self.true_rows.find(frame.name if frame.path is None else frame.path), number)
        if row is None:
            return None
        parts = [true_errors(bodies.keypoints[JOINTS], self.truth.joints[row]) for bodies in posed]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _held_people(self, frame: Frame, problems: list[str]) -> dict[int, CocoPerson]:
        """Number -> person, of those whose keypoints the first file that knows of the photograph's people holds."""
        where = frame.name if frame.path is None else frame.path
        for file, rows in zip(self.files, self.rows, strict=True):
            found = rows.find(where) if file.keypoints2d is not None else []
            if found:
                return _people_of(file, found, frame.name, problems)
        raise NobodyError(f"{frame.name}: no keypoints2d of it in the files of bodies")


def _people_of(bodies: Hypotheses, rows: list[int], name: str, problems: list[str]) -> dict[int, CocoPerson]:
    """Number -> person, of rows of a file that has ``keypoints2d`` and ``person``."""
    people = {}
    for row in rows:
        number, keypoints2d = int(bodies.person[row]), bodies.keypoints2d[row]  # type: ignore[index]
        try:
            people[number] = CocoPerson(keypoints2d, visible_box(keypoints2d))
        except ValueError as error:
            problems.append(f"person {number} of {name}: {error}")
    return people


def _numbered(bodies: Hypotheses) -> Hypotheses:
    """The same with ``person``: by a file's own keypoints, its rows of one photograph are people in their order."""
    if bodies.person is not None or bodies.keypoints2d is None:
        return bodies
    names = bodies.image_name or ("",) * len(bodies)
    before: Counter[str] = Counter()
    numbers = []
    for name in names:
        numbers.append(before[name])
        before[name] += 1
    return replace(bodies, person=np.array(numbers))
