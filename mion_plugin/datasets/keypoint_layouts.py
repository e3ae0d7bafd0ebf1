"""The 17 keypoints of COCO out of what pose estimators write: recognised by names or number, converted by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

COCO_17 = tuple(
    """
    nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist
    right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle
    """.split()
)
_FEET = tuple("left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel".split())
_BODY_25 = (
    *"nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip".split(),
    *"right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear".split(),
    *_FEET,
)
OPENPOSE_18 = tuple(name for name in _BODY_25[:19] if name != "mid_hip")
"""OpenPose's model COCO, in its own order, with a neck."""
_HALPE_26 = (
    *COCO_17,
    *"head neck hip left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel".split(),
)
_FACE_AND_HANDS = tuple(f"face_{n}" for n in range(68)) + tuple(f"hand_{n}" for n in range(42))
LAYOUTS = {
    17: ("COCO", COCO_17),
    25: ("OpenPose's BODY_25", _BODY_25),
    26: ("Halpe 26", _HALPE_26),
    133: ("COCO-WholeBody", (*COCO_17, *_FEET, *_FACE_AND_HANDS)),
    136: ("Halpe 136", (*_HALPE_26, *_FACE_AND_HANDS)),
}
"""Number of keypoints -> name and order, where the number tells them: 14, 15, 16 and 18 are several's."""
_LIMBS = COCO_17[5:]
_LIMB = re.compile("shoulder|elbow|wrist|hip|knee|ankle")


def layout_of(count: int, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The order of keypoints.

    Args:
        count: How many there are.
        names: What the file calls them, if it tells; they go before the number, unless they name nothing of a body.

    Raises:
        ValueError: The number is none of ``LAYOUTS`` and there are no names, or the names lack a limb's joint.
    """
    if names is not None and len(names) == count and any(_LIMB.search(_plain(name)) for name in names):
        plain = tuple(_plain(name) for name in names)
        missing = [name for name in _LIMBS if name not in plain]
        if missing:
            raise ValueError(f"{count} keypoints by name, but no {missing[0]} among them")
        return plain
    if count not in LAYOUTS:
        told = ", ".join(f"{number} ({name})" for number, (name, _) in LAYOUTS.items())
        raise ValueError(f"{count} keypoints, expected one of {told}, or their names")
    return LAYOUTS[count][1]


def to_coco(keypoints2d: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
    """COCO's 17 keypoints (..., 17, C) out of those of another order (..., K, C); zeros for those that it lacks.

    Hips of OpenPose and Halpe stand for COCO's, as everywhere.

    Args:
        keypoints2d: The keypoints.
        names: See ``layout_of``, whose errors it raises.
    """
    order = layout_of(keypoints2d.shape[-2], names)
    if order == COCO_17:
        return keypoints2d
    found = np.zeros((*keypoints2d.shape[:-2], len(COCO_17), keypoints2d.shape[-1]), keypoints2d.dtype)
    for row, name in enumerate(COCO_17):
        if name in order:
            found[..., row, :] = keypoints2d[..., order.index(name), :]
    return found


def is_persons(names: Sequence[str]) -> bool:
    """Whether keypoints of these names are a human body's: they have every joint of the limbs."""
    return set(_LIMBS) <= {_plain(name) for name in names}


def _plain(name: str) -> str:
    """``Left Hip``, ``left-hip``, ``l_hip`` and ``left_hip_extra`` -> left_hip."""
    joined = re.sub(r"[\s_-]+", "_", str(name).strip().lower()).removesuffix("_extra")
    return re.sub(r"^([lr])_", lambda side: {"l": "left_", "r": "right_"}[side[1]], joined)
