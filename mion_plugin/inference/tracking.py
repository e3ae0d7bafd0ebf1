"""Who is who from one frame of a video to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.keypoint_similarity import object_keypoint_similarity
from mion_plugin.geometry.boxes import seen_keypoints
from mion_plugin.geometry.keypoints import as_written

_USUAL_RATE = 30.0  # frames per second


@dataclass
class _Track:
    """What is kept of one person: the keypoints last seen, and how they moved, in pixels a frame."""

    number: int
    keypoints2d: np.ndarray
    last_frame: int
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def see(self, keypoints2d: np.ndarray, frame: int) -> None:
        """Note a later frame's."""
        known = seen_keypoints(self.keypoints2d) & seen_keypoints(keypoints2d)
        if known.any():
            moved = (keypoints2d - self.keypoints2d)[known, :2].mean(axis=0) / (frame - self.last_frame)
            self.velocity = (self.velocity + moved) / 2
        self.keypoints2d, self.last_frame = keypoints2d, frame

    def similarities(self, keypoints2d: np.ndarray, frame: int) -> tuple[float, float]:
        """To where the person was last seen, and would be at the same pace: who passes another goes on."""
        ahead = self.keypoints2d.copy()
        ahead[:, :2] += (frame - self.last_frame) * self.velocity
        return similarity(keypoints2d, self.keypoints2d), similarity(keypoints2d, ahead)


class KeypointTracker:
    """Gives people numbers that stay theirs, by how alike their keypoints are to those last seen of each.

    And to where these would be by now, had they gone on moving. The pair that is most similar in both is joined first.
    Who is like nobody in either gets a new number. See ``similarity``.

    Args:
        min_similarity: Of one person in two frames, in either, in 0..1.
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
        joined = self._join(people, frame)
        for index, person in enumerate(people):
            keypoints2d = as_written(person.keypoints2d)
            if index in joined:
                joined[index].see(keypoints2d, frame)
            else:
                joined[index] = _Track(self._next, keypoints2d, frame)
                self._tracks.append(joined[index])
                self._next += 1
        return [joined[index].number for index in range(len(people))]

    def recall(self, known: Mapping[int, np.ndarray], frame: int) -> None:
        """Note a frame whose people have their numbers already, from an earlier run; the next call goes on from it.

        Args:
            known: Number -> keypoints (17, 3), as they were found, of all who were numbered.
            frame: Its index.
        """
        tracks = {track.number: track for track in self._tracks}
        for number, keypoints2d in known.items():
            if number in tracks:
                tracks[number].see(as_written(keypoints2d), frame)
            else:
                self._tracks.append(_Track(number, as_written(keypoints2d), frame))
        self._next = max(self._next, *(number + 1 for number in known)) if known else self._next

    def _join(self, people: Sequence[CocoPerson], frame: int) -> dict[int, _Track]:
        """The known track of each person who has one."""
        pairs = [
            (track.similarities(person.keypoints2d, frame), index, track)
            for index, person in enumerate(people)
            for track in self._tracks
        ]
        joined: dict[int, _Track] = {}
        taken: set[int] = set()
        for alike, index, track in sorted(pairs, key=lambda pair: -sum(pair[0])):
            if max(alike) >= self.min_similarity and index not in joined and track.number not in taken:
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
