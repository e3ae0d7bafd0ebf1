"""Pictures to see whether truth and projections are right; they show the clip, so they stay in the work folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from benchmarks.real import joints
from benchmarks.real.methods import Answers
from benchmarks.real.views import Views
from PIL import Image, ImageDraw

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.inference.cropping import place_crop
from mion_plugin.visualization.pictures import save_picture

SIZE = 448
_BONES = ((0, 1), (0, 2), (2, 4), (1, 3), (3, 5), (0, 6), (1, 7), (6, 7), (6, 8), (8, 10), (7, 9), (9, 11))
_SCALE = SIZE / 2.4  # pixels a metre: a man with raised arms fits
_TRUTH, _BODY = (0, 150, 0), (210, 0, 0)


def write_sheets(
    views: Views, exact: Views, answers: Sequence[Answers], pictures: Iterable[np.ndarray], folder: Path, every: int
) -> None:
    """One sheet for one view of ``every``: the crop with the given (red) and exact (green) keypoints; truth and the
    last answers' first body from the camera and from the side. Left limbs are thick, depth goes to the right.
    """
    for index, picture in enumerate(pictures):
        if index % every:
            continue
        sets = [(views.truth[index], _TRUTH), (answers[-1].joints[index, 0], _BODY)]
        panels = [
            _crop(picture, views.people[index], [(exact.people[index], _TRUTH), (views.people[index], _BODY)]),
            _sticks([(points[:, :2], colour) for points, colour in sets]),
            _sticks([(points[:, [2, 1]], colour) for points, colour in sets]),
        ]
        name = f"camera{views.cameras[index] + 1}_frame{views.frames[index]:03d}.jpg"
        save_picture(np.concatenate(panels, axis=1), folder / name)


def _crop(
    picture: np.ndarray, person: CocoPerson, sets: Sequence[tuple[CocoPerson, tuple[int, int, int]]]
) -> np.ndarray:
    place = place_crop(person)
    canvas = Image.fromarray(place.cut(picture, SIZE))
    for shown, colour in sets:
        keypoints2d = place.to_crop(shown.keypoints2d, SIZE)[joints.FIRST :]
        _draw(canvas, keypoints2d[:, :2], keypoints2d[:, 2] > 0, colour)
    return np.asarray(canvas)


def _sticks(sets: Sequence[tuple[np.ndarray, tuple[int, int, int]]]) -> np.ndarray:
    canvas = Image.new("RGB", (SIZE, SIZE), "white")
    for points, colour in sets:
        _draw(canvas, points * _SCALE + SIZE / 2, np.ones(len(points), bool), colour)
    return np.asarray(canvas)


def _draw(canvas: Image.Image, points: np.ndarray, there: np.ndarray, colour: tuple[int, int, int]) -> None:
    pen = ImageDraw.Draw(canvas)
    for first, second in _BONES:
        if there[first] and there[second]:
            width = 2 if joints.NAMES[second].startswith("right") else 5
            pen.line([tuple(points[first]), tuple(points[second])], fill=colour, width=width)
