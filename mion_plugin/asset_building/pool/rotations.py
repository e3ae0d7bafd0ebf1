"""Rotations of numpy arrays, computed by ``roma``: float64, any number of leading dimensions, radians."""

from __future__ import annotations

import numpy as np
import roma
import torch


def rotvec_to_rotmat(rotvec: np.ndarray) -> np.ndarray:
    """Axis-angle (..., 3) to matrices (..., 3, 3)."""
    return roma.rotvec_to_rotmat(_tensor(rotvec)).numpy()


def rotmat_to_rotvec(rotmat: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) to axis-angle (..., 3) of at most pi."""
    return roma.rotmat_to_rotvec(_tensor(rotmat)).numpy()


def quat_to_rotmat(quat: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) in the order x, y, z, w, of any length but zero, to matrices (..., 3, 3)."""
    return roma.unitquat_to_rotmat(roma.quat_normalize(_tensor(quat))).numpy()


def euler_to_rotmat(order: str, degrees: np.ndarray) -> np.ndarray:
    """Intrinsic Euler angles to matrices.

    Args:
        order: Axes in the order of multiplication: ``"ZYX"`` gives R = Rz Ry Rx.
        degrees: (..., len(order)) angles in that order.

    Returns:
        (..., 3, 3).
    """
    if not order:
        return np.broadcast_to(np.eye(3), (*degrees.shape[:-1], 3, 3)).copy()
    # roma squeezes single angles, so it is given a flat batch
    flat = _tensor(degrees).reshape(-1, len(order))
    return roma.euler_to_rotmat(order.upper(), flat, degrees=True).reshape(*degrees.shape[:-1], 3, 3).numpy()


def interpolate_rotation(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """The rotations (..., 3, 3) at a fraction of the shorter way between two."""
    way = rotmat_to_rotvec(np.swapaxes(start, -1, -2) @ end)
    return start @ rotvec_to_rotmat(fraction * way)


def aligning_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotations that turn the directions ``start`` (..., 3) into the directions ``end``.

    Opposite directions, for which the axis is not defined, turn about an axis across ``start``; a zero vector has no
    direction and gives the identity.
    """
    start, end = np.broadcast_arrays(unit(start), unit(end))
    sine_axis = np.cross(start, end)
    cosine = (start * end).sum(-1, keepdims=True)
    angle = np.arctan2(np.linalg.norm(sine_axis, axis=-1, keepdims=True), cosine)
    # where the two are opposite the cross product vanishes: take any axis across, via the smallest coordinate
    across = unit(np.cross(start, np.eye(3)[np.abs(start).argmin(-1)]))
    opposite = np.linalg.norm(sine_axis, axis=-1, keepdims=True) < 1e-9
    axis = np.where(opposite, np.where(cosine < 0, across, 0.0), unit(sine_axis))
    return rotvec_to_rotmat(axis * angle)


def mean_rotation(rotmat: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) nearest to many (N, 3, 3) in the chordal sense."""
    return roma.special_procrustes(_tensor(rotmat).mean(0)).numpy()


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length 1; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def frame_from_axes(primary: np.ndarray, secondary: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) whose first column is ``primary``, and whose second is ``secondary`` made perpendicular."""
    first = unit(primary)
    second = unit(secondary - (secondary * first).sum(-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
