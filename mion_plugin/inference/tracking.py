"""Who is who from one frame of a video to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.keypoint_similarity import object_keypoint_similarity
from mion_plugin.geometry.boxes import seen_keypoints
from mion_plugin.geometry.keypoints import as_written

_USUAL_RATE = 30.0  # frames per second


@dataclass
class _Track:
    number: int
    keypoints2d: np.ndarray
    last_frame: int


class KeypointTracker:
    """Gives people numbers that stay theirs, by how alike their keypoints are to those last seen of each.

    The most similar pair is joined first. Who is like nobody gets a new number. See ``similarity``.

    Args:
        min_similarity: Of one person in two frames, in 0..1.
        max_gap: Frames after which someone who was not seen is forgotten.
        frame_rate: Frames per second; with more than 30, ``max_gap`` grows as they do. None for 30.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, min_similarity: float = 0.15, max_gap: int = 15, frame_rate: float | None = None) -> None:
        if not 0 < min_similarity <= 1 or max_gap < 1:
            raise ValueError(
                f"min_similarity is {min_similarity} and max_gap {max_gap}, expected a number in 0..1 and at least 1"
            )
        self.min_similarity = min_similarity
        self.max_gap = round(max_gap * max(1.0, (frame_rate or _USUAL_RATE) / _USUAL_RATE))
        self._tracks: list[_Track] = []
        self._next = 0

    def __call__(self, people: Sequence[CocoPerson], frame: int) -> list[int]:
        """The number of each of a frame's people, from 0 on; ``frame`` grows from call to call."""
        self._tracks = [track for track in self._tracks if frame - track.last_frame <= self.max_gap]
        joined = self._join(people)
        for index, person in enumerate(people):
            if index not in joined:
                joined[index] = _Track(self._next, person.keypoints2d, frame)
                self._tracks.append(joined[index])
                self._next += 1
            joined[index].keypoints2d, joined[index].last_frame = as_written(person.keypoints2d), frame
        return [joined[index].number for index in range(len(people))]

    def recall(self, known: Mapping[int, np.ndarray], frame: int) -> None:
        """Note a frame whose people have their numbers already, from an earlier run; the next call goes on from it.

        Args:
            known: Number -> keypoints (17, 3), as they were found, of all who were numbered.
            frame: Its index.
        """
        self._tracks = [track for track in self._tracks if track.number not in known]
        self._tracks += [_Track(number, as_written(keypoints2d), frame) for number, keypoints2d in known.items()]
        self._next = max(self._next, *(number + 1 for number in known)) if known else self._next

    def _join(self, people: Sequence[CocoPerson]) -> dict[int, _Track]:
        """The known track of each person who has one."""
        pairs = [
            (similarity(person.keypoints2d, track.keypoints2d), index, track)
            for index, person in enumerate(people)
            for track in self._tracks
        ]
        joined: dict[int, _Track] = {}
        taken: set[int] = set()
        for alike, index, track in sorted(pairs, key=lambda pair: -pair[0]):
            if alike >= self.min_similarity and index not in joined and track.number not in taken:
                joined[index] = track
                taken.add(track.number)
        return joined


def similarity(keypoints2d: np.ndarray, reference: np.ndarray) -> float:
    """How likely two sets of keypoints (17, 3) are one person's, in 0..1.

    The mean of COCO's object keypoint similarity, which tells people apart who stand before each other, and of the
    overlap of the boxes around them (intersection over union), which bears a larger movement. 0 without keypoints.
    """
    if not keypoints2d[:, 2].any() or not reference[:, 2].any():
        return 0.0
    return (object_keypoint_similarity(keypoints2d, reference) + _overlap(keypoints2d, reference)) / 2.0


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    boxes = [points[seen_keypoints(points), :2] for points in (a, b)]
    low = np.maximum(*(points.min(axis=0) for points in boxes))
    high = np.minimum(*(points.max(axis=0) for points in boxes))
    common = (high - low).clip(min=0).prod()
    total = sum(np.ptp(points, axis=0).prod() for points in boxes) - common
    return float(common / total) if total > 0 else 0.0
