"""From frames to bodies, some at a time, so that long videos and large folders need no more memory than short ones."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.openpose import open_keypoint_file
from mion_plugin.detection.people import PersonDetector
from mion_plugin.inference.cropping import place_crop
from mion_plugin.inference.inferencer import MIONInferencer
from mion_plugin.inference.people import Photograph
from mion_plugin.inference.results import PersonBodies
from mion_plugin.inference.side_swaps import SideSwapGuard, seen_ahead, tells_sides
from mion_plugin.inference.sources import Frame

PeopleFinder: TypeAlias = Callable[[Frame], list[CocoPerson]]
"""From a frame that could be read to its people; raises ``NobodyError`` where there are none."""
PeopleNumberer: TypeAlias = Callable[[Sequence[CocoPerson], int], list[int]]
"""From a frame's people and its index to a number for each of them; see ``KeypointTracker``."""


class NobodyError(ValueError):
    """A frame without people."""


@dataclass(frozen=True)
class FramePeople:
    """A frame and what was found in it.

    Attributes:
        frame: The frame.
        people: Those for whom there are bodies, in the order of their numbers, ``PersonBodies.person``.
        problems: Why the frame, or some of its people, were left out.
        others: Number -> keypoints (17, 3) of those who were numbered and have no body, as they were found.
        exchanged: Number -> which of the keypoints that were found belongs where, (17,), of those whose sides a
            ``SideSwapGuard`` put back.
    """

    frame: Frame
    people: list[PersonBodies] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: dict[int, np.ndarray] = field(default_factory=dict)
    exchanged: dict[int, np.ndarray] = field(default_factory=dict)


def find_in_file(path: str | os.PathLike[str], names: Iterable[str | Path] = ()) -> PeopleFinder:
    """People from a file of keypoints or a folder of OpenPose's, by the frame's path or name.

    A malformed annotation leaves out its frame, as one without people.

    Args:
        path: See ``open_keypoint_file``.
        names: Of the frames, as far as is known: a photograph's path, the name of a video's.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a JSON file, or a folder without one for any of the frames.
    """
    file = open_keypoint_file(path, names)

    def find(frame: Frame) -> list[CocoPerson]:
        try:
            return file.people(frame.name if frame.path is None else frame.path, frame.name)
        except ValueError as error:
            raise NobodyError(str(error)) from None

    return find


def find_by_detector(detector: PersonDetector) -> PeopleFinder:
    """People from a detector, the first of its list as number 0."""

    def find(frame: Frame) -> list[CocoPerson]:
        people = [] if frame.pixels is None else detector(frame.pixels)
        if not people:
            raise NobodyError(f"{frame.name}: nobody was found in it")
        return people

    return find


def number_in_order(people: Sequence[CocoPerson], frame: int) -> list[int]:
    """Number a frame's people from 0 on, whatever other frames show."""
    return list(range(len(people)))


def person_missing(number: int, frame: Frame, numbers: Iterable[int]) -> str:
    """What to say of a frame whose people have other numbers than the one that was asked for."""
    shown = [str(one) for one in sorted(numbers)]
    return f"--person {number}: {frame.name} shows {'person' if len(shown) == 1 else 'people'} {', '.join(shown)}"


def infer_frames(
    inferencer: MIONInferencer,
    frames: Iterable[Frame],
    find: PeopleFinder,
    number: PeopleNumberer = number_in_order,
    only: int | None = None,
    batch_size: int = 8,
    sides: SideSwapGuard | None = None,
) -> Iterator[FramePeople]:
    """The bodies of each frame's people; one result for each frame, in order.

    Args:
        inferencer: Finds the bodies.
        frames: Read as they are needed.
        find: Finds the people.
        number: Numbers them.
        only: The number of the only one to look at; None for all.
        batch_size: Frames, and people, at once.
        sides: Exchanges left and right of people where a detector had them the wrong way round. For a video whose
            people ``number`` follows, and not a live one: it looks ``LOOK_AHEAD`` frames ahead.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    everyone: Iterator[_Found] = (_find(inferencer, frame, find, number, only) for frame in frames)
    if sides is not None:
        everyone = _with_their_sides(everyone, sides)
    while found := list(itertools.islice(everyone, batch_size)):
        photographs = [Photograph(one.frame.name, pixels=one.frame.pixels) for one in found]
        people = [list(one.people.values()) for one in found]
        groups = inferencer(photographs, keypoints2d=people, batch_size=batch_size)["predictions"]
        for one, group in zip(found, groups, strict=True):
            yield _collect(one, group)


@dataclass(frozen=True)
class _Found:
    """The people of a frame by their numbers: those to look at, and all."""

    frame: Frame
    people: dict[int, CocoPerson]
    problems: list[str]
    everyone: dict[int, CocoPerson] = field(default_factory=dict)
    exchanged: dict[int, np.ndarray] = field(default_factory=dict)


def _with_their_sides(everyone: Iterable[_Found], sides: SideSwapGuard) -> Iterator[_Found]:
    """The people of each frame, ``LOOK_AHEAD`` frames late, with left and right as ``sides`` settles them.

    Depths are dropped where a side was exchanged: a detector that takes the back for the front has the others' depths.
    """

    def see(found: _Found) -> None:
        for number, person in found.people.items():
            if tells_sides(person.keypoints2d):
                sides.see(found.frame.index, number, person.keypoints2d)

    for found in seen_ahead(everyone, see):
        yield _settled(found, sides)


def _settled(found: _Found, sides: SideSwapGuard) -> _Found:
    people, exchanged = dict(found.people), {}
    for number, person in found.people.items():
        if not tells_sides(person.keypoints2d):
            continue
        order = sides.settle(found.frame.index, number)
        if (order != np.arange(len(order))).any():
            unknown = None if person.depths is None else np.zeros_like(person.depths)
            people[number] = dataclasses.replace(person, keypoints2d=person.keypoints2d[order], depths=unknown)
            exchanged[number] = order
    return dataclasses.replace(found, people=people, exchanged=exchanged)


def _find(
    inferencer: MIONInferencer, frame: Frame, find: PeopleFinder, number: PeopleNumberer, only: int | None
) -> _Found:
    if frame.pixels is None:
        return _Found(frame, {}, [frame.problem])
    try:
        everyone = find(frame)
    except NobodyError as error:
        return _Found(frame, {}, [str(error)])
    numbered = dict(zip(number(everyone, frame.index), everyone, strict=True))
    if only is not None and only not in numbered:
        return _Found(frame, {}, [person_missing(only, frame, numbered)], numbered)
    people, problems = {}, []
    for index in sorted(numbered) if only is None else [only]:
        try:
            place_crop(numbered[index], inferencer.box, inferencer.box_scale)
            people[index] = numbered[index]
        except ValueError as error:
            problems.append(f"person {index} of {frame.name}: {error}")
    return _Found(frame, people, problems, numbered)


def _collect(found: _Found, group: Sequence[PersonBodies]) -> FramePeople:
    """The bodies with their people's numbers; those that fit no body become problems."""
    result = FramePeople(found.frame, problems=list(found.problems), exchanged=found.exchanged)
    for number, person in zip(found.people, group, strict=True):
        if person.valid:
            result.people.append(dataclasses.replace(person, person=number))
        else:
            result.problems.append(
                f"person {number} of {Path(found.frame.name).name}: the keypoints fit no body; at least 3 must be "
                "visible, apart"
            )
    with_body = {person.person for person in result.people}
    for number, known in found.everyone.items():
        if number not in with_body:
            result.others[number] = known.keypoints2d
    count = len(result.people)
    return dataclasses.replace(result, people=[dataclasses.replace(one, num_people=count) for one in result.people])
