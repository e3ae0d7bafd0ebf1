"""Left and right of a person in a video, where a detector exchanged them in some frames."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from mion_plugin.geometry.boxes import keypoint_box
from mion_plugin.geometry.keypoints import as_written, flip_permutation, keypoint_names

Item = TypeVar("Item")
LOOK_AHEAD = 10
"""Frames after one that are seen before its sides are settled."""
_LARGEST_GAP = 3  # frames to the next one with the person across which motion still tells something
_STEP = 0.5  # seconds, of somebody who walks: legs seen no more than twice in it seem to exchange places as they swing
_REMEMBERED = 30  # settled frames that tell how much a detector jitters
_MOST = 0.3  # of a person's size: more than that is another event than an exchange, and counts no more
# What an exchange of everything at once, which is how a back is taken for a front, costs in swap costs, and what arms
# or legs alone: so chosen that those of the tests and of the clip of docs/real.md are put back.
_WHOLE, _PARTIAL = 0.3, 1.25
# What detectors exchange at once, outer joints alone or with those that they hang on; and how far apart the two sides
# are, compared with those of arms and legs.
_PARTS = (
    ((("eye", "ear"),), 0.4),
    ((("shoulder", "elbow", "wrist"), ("elbow", "wrist")), 1.0),
    ((("hip", "knee", "ankle"), ("knee", "ankle")), 1.0),
)


@dataclass
class _Track:
    """What is kept of one person: the frames that are not settled, and before them at most two that are."""

    largest_gap: int = _LARGEST_GAP
    frames: list[int] = field(default_factory=list)
    keypoints2d: list[np.ndarray] = field(default_factory=list)
    settled: int = 0  # how many of them are
    jitter: defaultdict[int, deque[float]] = field(  # by part: how uneven settled frames are
        default_factory=lambda: defaultdict(lambda: deque(maxlen=_REMEMBERED))
    )

    def forget(self) -> None:
        """Drop settled frames that no later one needs."""
        spare = max(0, self.settled - 2)
        del self.frames[:spare], self.keypoints2d[:spare]
        self.settled -= spare


class SideSwapGuard:
    """Says for every frame of a person which sides to exchange, so that the keypoints move evenly.

    Head, arms and legs each are taken as given, exchanged as a whole, or in their outer joints alone. Over a window of
    frames, the choices are taken whose sum of

    - how far the keypoints of each frame are from where the two before lead to, in shares of the person's size, for
      each part the mean over its keypoints, each at most ``_MOST``;
    - half of how uneven frames usually are, for each part whose choice differs from that of the frame before, so that
      jitter exchanges nothing where the sides pass each other;
    - ``swap_cost`` for each part of each frame that is not taken as given; the whole body costs less than arms or legs
      alone, since a detector that takes a back for a front exchanges all; and
    - how much farther than as given shoulders and hips of each frame point opposite ways, as they seem to where the
      arms alone are put back of a back that was taken for a front. Where they point so less than as given, arms or legs
      cost less, but never less than the whole body: a twisted trunk is as given, too, unless motion says otherwise

    is lowest: exactly, by dynamic programming. Somebody who turns moves evenly as given, also when the sides pass each
    other in the picture; so does one whose sides are exchanged in every frame, whom no motion gives away. Pairs of
    which one keypoint is absent tell nothing.

    Args:
        swap_cost: See above. The larger, the shorter the runs of exchanged frames that are put back.
        frame_rate: Frames per second; None where they are many. Of at most 4, motion tells nothing of the sides, and
            all are taken as given.

    Raises:
        ValueError: ``swap_cost`` or ``frame_rate`` is not positive.
    """

    def __init__(self, swap_cost: float = 0.02, frame_rate: float | None = None) -> None:
        for name, value in (("swap_cost", swap_cost), ("frame_rate", 30.0 if frame_rate is None else frame_rate)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} is {value}, expected a positive number")
        self.swap_cost = swap_cost
        followed = np.inf if frame_rate is None else np.ceil(_STEP / 2 * frame_rate) - 1  # less than half a step
        self._largest_gap = int(min(_LARGEST_GAP, followed))
        self._tracks: dict[int, _Track] = {}

    def see(self, frame: int, number: int, keypoints2d: np.ndarray) -> None:
        """Take note of the keypoints (17, 3), COCO order, of person ``number`` in a frame later than the last one."""
        track = self._tracks.setdefault(number, _Track(self._largest_gap))
        track.frames.append(frame)
        track.keypoints2d.append(as_written(keypoints2d))

    def settle(self, frame: int, number: int) -> np.ndarray:
        """Settle the first open frame of a person by all that has been seen: which keypoint (17,) belongs where.

        Raises:
            ValueError: ``frame`` is not that person's first open one.
        """
        track = self._tracks.get(number, _Track())
        if track.frames[track.settled : track.settled + 1] != [frame]:
            raise ValueError(f"frame {frame} of person {number} is not the first that is open")
        order = np.arange(len(keypoint_names("coco")))
        for variants, state in zip(_VARIANTS, _STATES[self._choice(track)], strict=True):
            order = order[variants[state]]
        track.keypoints2d[track.settled] = track.keypoints2d[track.settled][order]
        _close(track)
        return order

    def recall(self, frame: int, number: int, keypoints2d: np.ndarray) -> None:
        """Take note of a frame that an earlier run settled, the keypoints (17, 3) with their sides as it gave them.

        After all of its frames in order, the next ones are settled as that run would have settled them.
        """
        self.see(frame, number, keypoints2d)
        _close(self._tracks[number])

    def _choice(self, track: _Track) -> int:
        """Which of the body's states the first open frame takes: Viterbi over pairs of neighbouring frames."""
        first = track.settled
        if len(track.frames) < 3:
            return 0
        parts = [[_unevenness(track, one, last) for last in range(2, len(track.frames))] for one in _VARIANTS]
        usual = [
            float(np.median([*track.jitter[part], *(table[0, 0, 0] for table in tables)]))
            for part, tables in enumerate(parts)
        ]
        against = np.stack([_turned_trunk(places) for places in track.keypoints2d])
        allowed = self.swap_cost * _STATE_COSTS + (against[:, _OPPOSED] - against[:, :1])
        allowed = np.maximum(allowed, self.swap_cost * np.minimum(_STATE_COSTS, _WHOLE))
        changed = 0.5 * (_STATES[:, None] != _STATES) @ usual  # into a run of exchanged frames, and out of it
        allowed[:first, 1:] = np.inf  # settled frames stay as they are
        cost = allowed[0][:, None] + allowed[1] + changed
        came_from: list[np.ndarray] = []
        for last in range(2, len(track.frames)):
            uneven = sum(
                tables[last - 2][np.ix_(state, state, state)] for tables, state in zip(parts, _STATES.T, strict=True)
            )
            total = cost[..., None] + uneven + allowed[last] + changed
            came_from.append(total.argmin(axis=0))
            cost = total.min(axis=0)
        before, here = np.unravel_index(int(cost.argmin()), cost.shape)
        path = [int(here), int(before)]
        for table in reversed(came_from):
            path.append(int(table[path[-1], path[-2]]))
        return path[::-1][first]


def _close(track: _Track) -> None:
    """Count the first open frame as settled, as it is stored."""
    if track.settled == 2:
        for part, variants in enumerate(_VARIANTS):
            track.jitter[part].append(float(_unevenness(track, variants, 2)[0, 0, 0]))
    track.settled += 1
    track.forget()


def _unevenness(track: _Track, variants: np.ndarray, last: int) -> np.ndarray:
    """(S, S, S): how far a part of a frame is from where the two before lead to, for each variant of each of them."""
    places, times = np.stack(track.keypoints2d[last - 2 : last + 1]), np.diff(track.frames[last - 2 : last + 1])
    moving = (variants[1:] != variants[0]).any(axis=0)  # the part's keypoints
    mirrored = np.array(flip_permutation("coco"))
    known = (places[..., 2] > 0).all(axis=0) & moving
    known &= known[mirrored]
    boxes = [keypoint_box(place) for place in places]
    if not known.any() or times.max() > track.largest_gap or any(box is None for box in boxes):
        return np.zeros((len(variants),) * 3)
    size = max(float(box[2:].max()) for box in boxes if box is not None)
    a, b, c = (place[variants][:, known, :2] for place in places)  # (S, K, 2)
    led_to = b[None] + (b[None] - a[:, None]) * (times[1] / times[0])
    away = np.linalg.norm(c[None, None] - led_to[:, :, None], axis=-1) / size
    return np.minimum(away, _MOST).mean(axis=-1)


def _turned_trunk(keypoints2d: np.ndarray) -> np.ndarray:
    """(2,) how far shoulders and hips of (17, 3) point opposite ways, with the sides of both as given, and of one
    exchanged: the part of the shorter one's length, in shares of the person's size, that is against the other."""
    box = keypoint_box(keypoints2d)
    if box is None or not (keypoints2d[[*_SHOULDERS, *_HIPS], 2] > 0).all():
        return np.zeros(2)
    across = [keypoints2d[left, :2] - keypoints2d[right, :2] for left, right in (_SHOULDERS, _HIPS)]
    longer = max(float(np.linalg.norm(one)) for one in across)
    along = float(across[0] @ across[1]) / max(longer, 1e-9) / float(box[2:].max())
    return np.array([max(-along, 0.0), max(along, 0.0)])


def tells_sides(keypoints2d: np.ndarray) -> bool:
    """Whether a frame's keypoints (17, 3) of a person are worth noting: two are there, apart."""
    return keypoint_box(as_written(keypoints2d)) is not None


def seen_ahead(items: Iterable[Item], see: Callable[[Item], None]) -> Iterator[Item]:
    """The items, each once ``LOOK_AHEAD`` later ones have been seen, or all that there are."""
    waiting: deque[Item] = deque()
    for item in items:
        see(item)
        waiting.append(item)
        if len(waiting) > LOOK_AHEAD:
            yield waiting.popleft()
    yield from waiting


def _variants(parts: Sequence[Sequence[str]]) -> np.ndarray:
    """(S, 17) orders of the keypoints: as given, and with the sides of each of the parts exchanged."""
    names, mirrored = keypoint_names("coco"), np.array(flip_permutation("coco"))
    orders = [np.arange(len(names))]
    for part in parts:
        chosen = np.array([any(joint in name for joint in part) for name in names])
        orders.append(np.where(chosen, mirrored, orders[0]))
    return np.stack(orders)


_NAMES = keypoint_names("coco")
_VARIANTS = [_variants(joints) for joints, _ in _PARTS]
# What may have happened to a frame: a variant of each part, as given first; and how unlikely that is.
_STATES = np.array(list(itertools.product(*(range(len(variants)) for variants in _VARIANTS))))
_STATE_COSTS = _PARTIAL * ((_STATES > 0) @ np.array([distance for _, distance in _PARTS]))
_STATE_COSTS[(_STATES == 1).all(axis=1)] = _WHOLE
_SHOULDERS, _HIPS = (
    (_NAMES.index(f"left_{joint}"), _NAMES.index(f"right_{joint}")) for joint in ("shoulder", "hip_extra")
)
_OPPOSED = ((_STATES[:, 1] == 1) != (_STATES[:, 2] == 1)).astype(int)  # shoulders exchanged and hips not, or hips alone
