"""What the methods are asked and what is right: keypoints of some frames, and the truth in the frame of their crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.real import joints
from benchmarks.real.detection import Detections
from benchmarks.real.truth import Truth, exact_keypoints

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.mediapipe_places import to_body_depths, to_body_places
from mion_plugin.inference.cropping import place_crop, visible_box

DETECTED, EXACT = "MediaPipe's 2D", "exact 2D"
_FEWEST = 6  # of the twelve joints, for a person to count as found
_SAME_MAN = 0.3  # of the box's longer side: how far the detection's middle may be from the truth's


@dataclass(frozen=True)
class Views:
    """S frames, camera by camera, with one source of keypoints.

    Attributes:
        cameras: (S,) indices.
        frames: (S,) numbers.
        people: S, the keypoints (17, 3) in pixels of the frame, moved to where the body model has them unless left
            as MediaPipe has them, their box, and MediaPipe's depths, likewise, whatever the source.
        truth: (S, 12, 3) root-aligned joints in metres; axes of a camera that looks at the middle of the crop, which
            is how every method sees the man.
        landmarks3d: (S, 17, 3) MediaPipe's, in the same axes.
    """

    cameras: np.ndarray
    frames: np.ndarray
    people: list[CocoPerson]
    truth: np.ndarray
    landmarks3d: np.ndarray


def make_views(
    truth: Truth, detections: Sequence[Detections], every: int, *, own_places: bool = False
) -> dict[str, Views]:
    """The same frames, one of ``every``, with detected and with exact keypoints; with ``own_places`` not moved.

    Frames in which MediaPipe did not find the man, or gave no landmarks, are left out of both.
    """
    parts: dict[str, list[Views]] = {DETECTED: [], EXACT: []}
    for view, found in enumerate(detections):
        frames = np.arange(0, len(found.keypoints2d), every)
        exact = exact_keypoints(truth, view, frames)
        kept = _found(found.keypoints2d[frames], exact) & np.isfinite(found.landmarks3d[frames]).all(axis=(1, 2))
        frames, exact = frames[kept], exact[kept]
        for source, keypoints2d in ((DETECTED, found.keypoints2d[frames]), (EXACT, exact)):
            pairs = zip(keypoints2d, found.depths[frames], strict=True)
            people = [_as_they_are(*one) if own_places else _for_the_body(*one) for one in pairs]
            parts[source].append(_views_of(truth, view, people, frames, found))
    return {source: _join(views) for source, views in parts.items()}


def _found(detected: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(S,) bool: enough joints were seen, and where the man is; keypoints (S, 17, 3) each."""
    seen = detected[:, joints.FIRST :, 2] > 0
    enough = seen.sum(axis=1) >= _FEWEST
    offset = (detected[:, joints.FIRST :, :2] - exact[:, joints.FIRST :, :2]) * seen[..., None]
    distance = np.linalg.norm(offset.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)[:, None], axis=-1)
    size = np.ptp(exact[:, joints.FIRST :, :2], axis=1).max(axis=-1)
    return enough & (distance < _SAME_MAN * size)


def _as_they_are(keypoints2d: np.ndarray, depths: np.ndarray) -> CocoPerson:
    return CocoPerson(keypoints2d, visible_box(keypoints2d), depths)


def _for_the_body(keypoints2d: np.ndarray, depths: np.ndarray) -> CocoPerson:
    """Keypoints (17, 3) and depths (17, 2) as ``MediaPipeDetector`` gives them, from MediaPipe's own places."""
    pixels = to_body_places(keypoints2d[:, :2], keypoints2d[:, 2] > 0)
    return _as_they_are(np.column_stack([pixels, keypoints2d[:, 2]]), to_body_depths(depths))


def _views_of(truth: Truth, view: int, people: list[CocoPerson], frames: np.ndarray, found: Detections) -> Views:
    camera = truth.cameras[view]
    turns = np.stack([camera.looking_at(place_crop(person).center) for person in people])
    in_camera = camera.to_camera(truth.seen_by(view, frames))
    # MediaPipe looked at the middle of its own keypoints
    looked = np.stack([camera.looking_at(middle) for middle in found.crops[frames, :2]])
    landmarks3d = found.landmarks3d[frames] @ looked @ turns.transpose(0, 2, 1)
    return Views(
        np.full(len(frames), view), frames, people, joints.scored(in_camera @ turns.transpose(0, 2, 1)), landmarks3d
    )


def _join(parts: Sequence[Views]) -> Views:
    return Views(
        np.concatenate([part.cameras for part in parts]),
        np.concatenate([part.frames for part in parts]),
        [person for part in parts for person in part.people],
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.landmarks3d for part in parts]),
    )
