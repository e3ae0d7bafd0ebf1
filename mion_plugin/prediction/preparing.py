"""What data-loader workers do: read a photograph, find its people, and cut them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import DataLoader, Dataset

from mion_plugin.datasets.transforms.loading import BrokenImageError
from mion_plugin.inference.cropping import place_crop
from mion_plugin.inference.frames import NobodyError
from mion_plugin.inference.preparation import PersonCropper
from mion_plugin.prediction.keypoints import PeopleOf
from mion_plugin.prediction.photographs import StoredPhotograph
from mion_plugin.prediction.problems import IMAGE, NOBODY, PERSON, Problem

_AHEAD = 4  # photographs that a worker may be ahead of the networks


@dataclass(frozen=True)
class Task:
    """A photograph to prepare.

    Attributes:
        piece: Number of the piece that it is in.
        photograph: Which.
    """

    piece: int
    photograph: StoredPhotograph


@dataclass(frozen=True)
class PreparedPhotograph:
    """A photograph's people, cut out.

    Attributes:
        piece: As of its task.
        people: Samples of a ``PersonCropper``.
        problems: What was left out.
    """

    piece: int
    people: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class PhotographPreparer(Dataset):
    """From ``Task`` to ``PreparedPhotograph``: a data set whose indices are the tasks themselves.

    So the workers hold no list of photographs, which for millions would be copied into each.

    Attributes:
        people_of: Finds the people.
        cropper: Cuts them out.
        box: See ``place_crop``.
        box_scale: See ``place_crop``.
    """

    people_of: PeopleOf
    cropper: PersonCropper
    box: str = "keypoints"
    box_scale: float | None = None

    def __getitem__(self, task: Task) -> PreparedPhotograph:
        photograph, prepared = task.photograph, PreparedPhotograph(task.piece)
        try:
            pixels = photograph.read()
        except (BrokenImageError, FileNotFoundError) as error:
            prepared.problems.append(Problem(IMAGE, photograph.name, str(error)))
            return prepared
        try:
            everyone = self.people_of(photograph, pixels)
        except NobodyError as error:
            prepared.problems.append(Problem(NOBODY, photograph.name, str(error)))
            return prepared
        for number, person in enumerate(everyone):
            try:
                place = place_crop(person, self.box, self.box_scale)
            except ValueError as error:
                why = f"person {number} of {photograph.name}: {error}"
                prepared.problems.append(Problem(PERSON, photograph.name, why))
                continue
            sample = {"img": pixels, "known": person, "place": place, "person": number, "image_name": photograph.name}
            prepared.people.append(self.cropper(sample))
        return prepared


def prepare_photographs(
    preparer: PhotographPreparer, tasks: Iterable[Task], num_workers: int
) -> Iterable[PreparedPhotograph]:
    """Prepare photographs in worker processes, some ahead of the one that is asked for; in order.

    Args:
        preparer: Does it.
        tasks: Run through once, as they are needed.
        num_workers: 0 for this process.
    """
    return DataLoader(
        preparer,
        batch_size=None,
        sampler=tasks,
        num_workers=num_workers,
        prefetch_factor=_AHEAD if num_workers else None,
        collate_fn=_unchanged,  # numpy arrays travel through a pipe; every tensor would hold a file descriptor open
    )


def _unchanged(prepared: Any) -> Any:
    return prepared
