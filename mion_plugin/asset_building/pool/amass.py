"""Reading AMASS ``.npz`` files."""

from __future__ import annotations

import os
from pathlib import Path

from mion_plugin.asset_building.pool.motion import PoseSequence
from mion_plugin.asset_building.pool.smpl_arrays import smpl_poses
from mion_plugin.files.npz import npz_names, read_npz

_WIDTHS = (156, 165)  # SMPL+H, SMPL-X
_FPS_KEYS = ("mocap_framerate", "mocap_frame_rate")  # AMASS's SMPL+H and SMPL-X releases


def read_amass(path: str | os.PathLike[str], name: str | None = None) -> PoseSequence:
    """Read an AMASS sequence: ``poses`` (T, 156) or (T, 165), global orientation and 21 body joints first.

    The hands' 15 joints each have no place in SMPL's 24: SMPL's joints 22 and 23 stay zero.

    Args:
        path: The file.
        name: Name of the sequence; the path when left out.

    Raises:
        ValueError: No ``poses``, a wrong shape, or values that are no rotations.
    """
    path = Path(path)
    arrays = read_npz(path, "AMASS file", only=("poses", *_FPS_KEYS))
    if "poses" not in arrays:
        raise ValueError(f"no array 'poses' (it holds {', '.join(npz_names(path, 'AMASS file')) or 'nothing'})")
    poses = arrays["poses"]
    fps = next((float(arrays[key]) for key in _FPS_KEYS if key in arrays), None)
    if poses.ndim != 2 or poses.shape[1] not in _WIDTHS:
        raise ValueError(f"poses have shape {poses.shape}, expected (T, 156) or (T, 165)")
    if fps is not None and not fps > 0:
        raise ValueError(f"frame rate {fps}, expected a positive number")
    return PoseSequence(name=name or str(path), poses=smpl_poses(poses), fps=fps)
