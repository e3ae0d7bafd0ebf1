"""Reading arrays of SMPL, SMPL+H or SMPL-X poses: plain ones, and all releases of AMASS."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from mion_plugin.asset_building.pool.motion import NUM_SMPL_JOINTS, PoseSequence
from mion_plugin.asset_building.pool.rotations import rotmat_to_rotvec
from mion_plugin.body.arrays import SMPL_PARENTS
from mion_plugin.files.npz import npz_names, read_npy, read_npz

_KIND = "file of poses"
POSE_KEYS = ("poses", "pose", "fullpose", "smpl_pose")
_BODY_KEYS = ("body_pose", "pose_body")
_ROOT_KEYS = ("global_orient", "root_orient")
# AMASS's SMPL+H and SMPL-X releases, and what others made of them
FPS_KEYS = ("mocap_framerate", "mocap_frame_rate", "fps", "frame_rate", "framerate")
# joints in the array -> leading joints that are SMPL's: 22 of SMPL+H (52) and SMPL-X (55), whose hands differ
_SHARED_JOINTS = {24: 24, 22: 22, 52: 22, 55: 22}
# no source writes angles beyond two turns: larger values are degrees, positions or noise
_LARGEST_ANGLE = 4 * np.pi
_RIGID = 0.02  # change of a bone's length over the motion of the joints, below which bones are rigid


def read_smpl_array(path: str | os.PathLike[str], name: str | None = None) -> PoseSequence:
    """Read poses from ``.npy``, or from ``.npz`` with one of the keys ``POSE_KEYS`` or ``body_pose``/``global_orient``.

    AMASS calls the latter ``pose_body`` and ``root_orient``. The frame rate is that of one of ``FPS_KEYS``, unknown
    without. The hands' 15 joints each of SMPL+H and SMPL-X have no place in SMPL's 24: joints 22 and 23 stay zero.

    Args:
        path: The file.
        name: Name of the sequence; the path when left out.

    Raises:
        ValueError: No pose array, a wrong shape, values that are no rotations, or a frame rate that is none.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        return PoseSequence(name=name or str(path), poses=smpl_poses(read_npy(path, _KIND)))
    arrays = read_npz(path, _KIND, only=(*POSE_KEYS, *_BODY_KEYS, *_ROOT_KEYS, *FPS_KEYS))
    key = next((key for key in POSE_KEYS if key in arrays), None)
    if key is not None:
        poses = smpl_poses(arrays[key])
    else:
        body_key = next((key for key in _BODY_KEYS if key in arrays), None)
        if body_key is None:
            raise ValueError(f"no pose array among its keys ({', '.join(npz_names(path, _KIND)) or 'none'})")
        root_key = next((key for key in _ROOT_KEYS if key in arrays), None)
        poses = _join(arrays[body_key], None if root_key is None else arrays[root_key])
    return PoseSequence(name=name or str(path), poses=poses, fps=_frame_rate(arrays))


def _frame_rate(arrays: dict[str, np.ndarray]) -> float | None:
    """Frames per second, None if the file does not tell."""
    key = next((key for key in FPS_KEYS if key in arrays), None)
    if key is None:
        return None
    try:
        fps = float(arrays[key].item())
    except (TypeError, ValueError):
        raise ValueError(f"{key} is no single number") from None
    if not 0 < fps < np.inf:
        raise ValueError(f"frame rate {fps}, expected a positive number")
    return fps


def smpl_poses(array: np.ndarray) -> np.ndarray:
    """SMPL poses from an array of some pose model.

    Args:
        array: (T, J * 3) or (T, J, 3) axis-angle or (T, J, 3, 3) matrices, J = 22, 24 (SMPL), 52 (SMPL+H) or 55
            (SMPL-X), global orientation first. Without the T, one pose.

    Returns:
        (T, 24, 3) float32 axis-angle; joints 22 and 23 are zero unless J is 24.

    Raises:
        ValueError: Another shape, or values that are not finite or no rotations, such as positions of joints.
    """
    shape = array.shape
    if array.dtype.kind not in "fiu":
        raise ValueError(f"array of type {array.dtype}, expected numbers")
    if array.ndim == 1 or (array.ndim == 2 and shape[1] == 3) or (array.ndim == 3 and shape[1:] == (3, 3)):
        array = array[None]  # one pose
    if array.ndim == 4 and array.shape[2:] == (3, 3):
        array = _matrices_to_rotvec(array)
    elif array.ndim == 2 and array.shape[1] % 3 == 0:
        array = array.reshape(len(array), -1, 3)
    if array.ndim != 3 or array.shape[2] != 3 or array.shape[1] not in _SHARED_JOINTS:
        raise ValueError(
            f"array of shape {shape}, expected (T, J * 3), (T, J, 3) or (T, J, 3, 3) "
            f"with J one of {', '.join(map(str, sorted(_SHARED_JOINTS)))}"
        )
    if not np.isfinite(array).all():
        raise ValueError("poses hold NaN or infinite values")
    if array.size and np.linalg.norm(array, axis=-1).max() > _LARGEST_ANGLE:
        raise ValueError(f"angles up to {np.linalg.norm(array, axis=-1).max():.4g}, expected axis-angle in radians")
    if _are_positions(array):
        raise ValueError("the distances between joints stay the same: positions of joints, expected their rotations")
    shared = _SHARED_JOINTS[array.shape[1]]
    poses = np.zeros((len(array), NUM_SMPL_JOINTS, 3), np.float32)
    poses[:, :shared] = array[:, :shared]
    return poses


def _are_positions(array: np.ndarray) -> bool:
    """Whether (T, J, 3) holds joints in space, as files of J joints in metres do: what moves, but not its bones' ends
    against each other."""
    bones = np.linalg.norm(array[:, 1:22] - array[:, SMPL_PARENTS[1:22]], axis=-1)
    return bool(np.ptp(bones, axis=0).max(initial=0.0) < _RIGID * np.ptp(array[:, 1:], axis=0).max(initial=0.0))


def _join(body: np.ndarray, root: np.ndarray | None) -> np.ndarray:
    """Poses from ``body_pose`` (T, 69 or 63) and ``global_orient`` (T, 3), zero when left out."""
    body = np.asarray(body, np.float64).reshape(len(body), -1)
    root = np.zeros((len(body), 3)) if root is None else np.asarray(root, np.float64).reshape(len(root), -1)
    if root.shape != (len(body), 3):
        raise ValueError(f"global_orient has shape {root.shape}, expected {(len(body), 3)}")
    return smpl_poses(np.concatenate([root, body], axis=1))


def _matrices_to_rotvec(matrices: np.ndarray) -> np.ndarray:
    """Axis-angle of (T, J, 3, 3) rotation matrices."""
    matrices = matrices.astype(np.float64)
    error = np.abs(matrices @ np.swapaxes(matrices, -1, -2) - np.eye(3)).max(initial=0.0)
    if not error < 1e-3 or (np.linalg.det(matrices) < 0).any():
        raise ValueError(f"matrices are no rotations (R R^T differs from the identity by {error:.2g})")
    return rotmat_to_rotvec(matrices)
