"""Where MediaPipe puts COCO's keypoints on a person, and where the body model has those of the same names.

MediaPipe sees hips 2 to 3 cm higher and nearer to each other than the body's, ankles 3 to 4 cm higher, shoulders and
elbows 1 to 2 cm inwards. Its thigh is as long as its shank, the body's 0.84 times as long: a straight leg whose
keypoints are taken for the body's has to be bent out of the picture. So MediaPipe's keypoint is written as the body's
and shares of the ways from there to other keypoints of the body, which hold in pictures (weak perspective) as in space.

The shares are those of ``tools/benchmark.py places``: synthetic people in poses of the training recordings, with the
stand-in's body, whose hips and ankles other bodies of SMPL's layout need not have.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from mion_plugin.body.depths import hip_indices
from mion_plugin.geometry.keypoints import keypoint_names, mirrored_name

CONVENTION = "coco"
# Keypoint -> (keypoint, share of the way there), left to left; OTHER is on the other side of the body. A negative share
# leads away. Knees, wrists and face are left: there it is less than 1 cm, or the synthetic people are least like real.
OTHER = "other "
SHARES: dict[str, dict[str, float]] = {
    "shoulder": {OTHER + "shoulder": 0.062, "hip_extra": -0.024},
    "elbow": {"shoulder": 0.080},
    "hip_extra": {OTHER + "hip_extra": 0.087, "shoulder": 0.052},
    "ankle": {"knee": 0.082},
}


def to_mediapipe_places(points: np.ndarray) -> np.ndarray:
    """A body's keypoints, moved to where MediaPipe would put them.

    Args:
        points: (..., 17, D) COCO's 17 of a body model, pixels or metres, in any frame.
    """
    return _to_mediapipe() @ points


def to_body_places(points: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """MediaPipe's keypoints, moved to where the body model has those of the same names.

    Args:
        points: (..., 17, D) COCO's 17 among MediaPipe's landmarks, pixels or metres, in any frame.
        known: (..., 17) bool, False where a point is absent; what depends on an absent one stays where it is.
    """
    matrix = _to_body()
    moved = matrix @ points
    if known is None:
        return moved
    needed = np.abs(matrix) > 1e-9
    complete = ~(needed & ~known[..., None, :]).any(axis=-1)
    return np.where(complete[..., None], moved, points)


def to_body_depths(depths: np.ndarray) -> np.ndarray:
    """``CocoPerson.depths`` (17, 2) of MediaPipe's keypoints, as those of the body's; 0 is unknown in both.

    They are relative to the middle of the body's hips, where both are known.
    """
    known = depths[:, 1] > 0
    metres = to_body_places(depths[:, :1], known)[:, 0]
    hips = list(hip_indices(CONVENTION))
    if known[hips].all():
        metres = (metres - metres[hips].mean()) * known
    return np.column_stack([metres, depths[:, 1]])


def index_towards(side: str, towards: str) -> int:
    """Where the keypoint that a way of ``SHARES`` leads to stands in COCO's order, of a keypoint on ``side``."""
    name = f"{side}_{towards.removeprefix(OTHER)}"
    return keypoint_names(CONVENTION).index(mirrored_name(name) if towards.startswith(OTHER) else name)


@cache
def _to_body() -> np.ndarray:
    return np.linalg.inv(_to_mediapipe())


@cache
def _to_mediapipe() -> np.ndarray:
    """(17, 17), rows that sum to 1."""
    names = keypoint_names(CONVENTION)
    matrix = np.eye(len(names))
    for row, name in enumerate(names):
        side, _, part = name.partition("_")
        for towards, share in SHARES.get(part, {}).items():
            matrix[row, index_towards(side, towards)] += share
            matrix[row, row] -= share
    return matrix
