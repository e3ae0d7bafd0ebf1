"""Leaving out frames that no body can take: captured joints sometimes flip over."""

from __future__ import annotations

import numpy as np

from mion_plugin.asset_building.pool.smpl_skeleton import SMPL_JOINTS

# Degrees, generous: what dancers and contortionists reach, not what is usual. CMU has feet turned round by 180.
_LARGEST_ANGLE = {
    "spine_1": 80,
    "spine_2": 80,
    "spine_3": 80,
    "neck": 80,
    "head": 90,
    "hip": 160,
    "knee": 165,
    "ankle": 100,
    "foot": 90,
    "collar": 80,
    "elbow": 165,
    "wrist": 120,
}


def plausible_frames(poses: np.ndarray) -> np.ndarray:
    """Whether no joint is turned further than a body can turn it.

    Args:
        poses: (T, 24, 3) axis-angle. The global orientation, shoulders and hands may be anything.

    Returns:
        (T,) bool.
    """
    limits = [_LARGEST_ANGLE.get(name.removeprefix("left_").removeprefix("right_"), np.inf) for name in SMPL_JOINTS]
    angle = np.linalg.norm(poses, axis=-1) % (2 * np.pi)
    return (np.minimum(angle, 2 * np.pi - angle) <= np.radians(limits)).all(-1)
