"""A run over many photographs: workers prepare, networks take batches, every piece becomes a file when it is done."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mion_plugin.constants import NEUTRAL
from mion_plugin.files import remove_leftovers
from mion_plugin.inference import MIONInferencer
from mion_plugin.prediction.keypoints import PeopleOf
from mion_plugin.prediction.preparing import PhotographPreparer, PreparedPhotograph, Task, prepare_photographs
from mion_plugin.prediction.problems import PERSON, Problem
from mion_plugin.prediction.records import Records, collect_records
from mion_plugin.prediction.shards import write_shard
from mion_plugin.prediction.sources import Piece


@dataclass(frozen=True)
class Pace:
    """How fast a run may go.

    Attributes:
        batch_size: People at once in the networks. Batches never cross pieces, so that a piece's file has the same
            bytes whatever was done before it.
        num_workers: Processes that read and cut; 0 for none but this one.
    """

    batch_size: int = 16
    num_workers: int = 2

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_workers < 0:
            raise ValueError(
                f"batch size {self.batch_size} and {self.num_workers} workers, expected at least 1 and at least 0"
            )


@dataclass(frozen=True)
class PieceDone:
    """What became of a piece.

    Attributes:
        name: The piece's.
        num_photographs: Photographs in it.
        num_people: People with bodies.
        num_problems: What was left out.
    """

    name: str
    num_photographs: int
    num_people: int
    num_problems: int


@dataclass(frozen=True)
class _Findings:
    """Of one piece."""

    records: list[Records] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def predict(
    inferencer: MIONInferencer,
    pieces: Iterable[Piece],
    people_of: PeopleOf,
    folder: Path,
    pace: Pace | None = None,
    tell: Callable[[PieceDone], None] = lambda done: None,
) -> list[str]:
    """Find the bodies of every piece whose file is not in the folder, and write that file.

    Args:
        inferencer: Finds the bodies.
        pieces: Run through once, as they are needed.
        people_of: Finds the people.
        folder: For the files ``PIECE.npz``; see ``Predictions``.
        pace: Batches and workers.
        tell: Called for each file written.

    Returns:
        The names of all pieces, done now or before.

    Raises:
        ValueError: The inferencer puts bodies on another gender's: files hold those of the model's own body.
    """
    if inferencer.gender != NEUTRAL:
        raise ValueError(f"the inferencer's gender is {inferencer.gender}; predict writes the bodies of neutral ones")
    pace = pace or Pace()
    names: list[str] = []
    waiting: dict[int, Piece] = {}
    preparer = PhotographPreparer(people_of, inferencer.cropper, inferencer.box, inferencer.box_scale)
    tasks = _tasks(pieces, folder, names, waiting)
    prepared = prepare_photographs(preparer, tasks, pace.num_workers)
    for number, members in itertools.groupby(prepared, key=lambda one: one.piece):
        _finish(inferencer, waiting.pop(number), members, folder, pace.batch_size, tell)
        _finish_empty(inferencer, waiting, number, folder, tell)
    _finish_empty(inferencer, waiting, len(names), folder, tell)
    return names


def _tasks(pieces: Iterable[Piece], folder: Path, names: list[str], waiting: dict[int, Piece]) -> Iterator[Task]:
    """The photographs of the pieces to do, which are noted in ``waiting``; ``names`` gets those of all."""
    for number, piece in enumerate(pieces):
        names.append(piece.name)
        path = _path(folder, piece)
        if not path.exists():
            remove_leftovers(path)
            waiting[number] = piece
            for photograph in piece.photographs:
                yield Task(number, photograph)


def _finish(
    inferencer: MIONInferencer,
    piece: Piece,
    members: Iterable[PreparedPhotograph],
    folder: Path,
    batch_size: int,
    tell: Callable[[PieceDone], None],
) -> None:
    """Run the networks over a piece and write its file."""
    found = _Findings(problems=list(piece.problems))
    people = _people(members, found.problems)
    for start in itertools.count(0, batch_size):
        batch = list(itertools.islice(people, batch_size))
        if not batch:
            break
        _infer(inferencer, batch, start, found)
    camera, count = inferencer.model.camera, len(piece.photographs)
    choice = inferencer.rule, inferencer.choice_unit
    write_shard(_path(folder, piece), found.records, camera, count, found.problems, *choice)
    num_people = sum(len(records["person"]) for records in found.records)
    tell(PieceDone(piece.name, count, num_people, len(found.problems)))


def _finish_empty(
    inferencer: MIONInferencer,
    waiting: dict[int, Piece],
    before: int,
    folder: Path,
    tell: Callable[[PieceDone], None],
) -> None:
    """Write the files of pieces without photographs: of archives that cannot be read."""
    for number in [number for number, piece in waiting.items() if number < before and not piece.photographs]:
        _finish(inferencer, waiting.pop(number), (), folder, 1, tell)


def _people(members: Iterable[PreparedPhotograph], problems: list[Problem]) -> Iterator[dict[str, Any]]:
    for photograph in members:
        problems += photograph.problems
        yield from photograph.people


def _infer(inferencer: MIONInferencer, batch: Sequence[dict[str, Any]], start: int, found: _Findings) -> None:
    """Add what the networks find of a batch of people, the first of them number ``start`` of its piece."""
    packed = [
        inferencer.pack({**person, "image_index": 0, "sample_idx": start + row}) for row, person in enumerate(batch)
    ]
    samples = inferencer.estimate(inferencer.collate_fn(packed))
    records, valid = collect_records(inferencer, samples)
    for person in itertools.compress(batch, ~valid):
        name = person["image_name"]
        why = f"person {person['person']} of {name}: the keypoints fit no body; at least 3 must be visible, apart"
        found.problems.append(Problem(PERSON, name, why))
    if valid.any():
        found.records.append({name: values[valid] for name, values in records.items()})


def _path(folder: Path, piece: Piece) -> Path:
    return folder / f"{piece.name}.npz"
