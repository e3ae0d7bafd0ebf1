"""Reading skeletal animation exported to ``.npz`` with FBX's terms (names, parents, pre-rotation, Euler angles)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mion_plugin.asset_building.pool.motion import Motion, global_rotations
from mion_plugin.asset_building.pool.rotations import euler_to_rotmat
from mion_plugin.files.npz import read_npz

REQUIRED_KEYS = ("names", "parents", "pre_rot_deg", "rest_rot_deg", "rest_pos", "rot_deg", "fps")


def read_skeleton_npz(path: str | os.PathLike[str], name: str | None = None) -> Motion:
    """Read an animation with the keys ``REQUIRED_KEYS``.

    Local rotation = pre-rotation times R(rot_deg), each R = Rz Ry Rx of (J, 3) degrees x, y, z. Two poses may be the
    T-pose and both are passed on: all-zero angles (pre-rotation alone), and ``rest_rot_deg``.

    Args:
        path: The file.
        name: Name of the motion; the path when left out.

    Raises:
        ValueError: Damaged, or with rotation orders or post-rotations, which are not supported.
    """
    path = Path(path)
    arrays = read_npz(path, "skeletal animation")
    missing = [key for key in REQUIRED_KEYS if key not in arrays]
    if missing:
        raise ValueError(f"no skeletal animation: {', '.join(missing)} missing")
    for key in ("post_rot_deg", "rot_order"):
        if np.any(arrays.get(key, 0)):
            raise ValueError(f"{key} other than zero is not supported")
    parents, angles = arrays["parents"].astype(np.int64), arrays["rot_deg"]
    if angles.ndim != 3 or angles.shape[1:] != (len(parents), 3):
        raise ValueError(f"rot_deg has shape {angles.shape}, expected (T, {len(parents)}, 3)")
    stacked = np.concatenate([np.zeros_like(angles[:1]), arrays["rest_rot_deg"][None], angles])
    local = _rotation(arrays["pre_rot_deg"]) @ _rotation(stacked)
    rotations = global_rotations(parents, local)
    offsets = np.where(parents[:, None] < 0, 0.0, arrays["rest_pos"])
    return Motion(
        name=name or str(path),
        joint_names=tuple(str(joint) for joint in arrays["names"]),
        parents=parents,
        offsets=offsets,
        rotations=rotations[2:],
        rest_rotations=rotations[:2],
        fps=float(arrays["fps"]),
    )


def _rotation(degrees_xyz: np.ndarray) -> np.ndarray:
    """R = Rz Ry Rx of angles (..., 3) in the order x, y, z."""
    return euler_to_rotmat("ZYX", np.asarray(degrees_xyz, np.float64)[..., ::-1])
