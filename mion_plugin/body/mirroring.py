"""SMPL's poses in a mirror across x = 0, which exchanges a body's left and right."""

from __future__ import annotations

import numpy as np

from mion_plugin.geometry.keypoints import flip_permutation

# Joint 0..23 -> its counterpart on the other side, itself for those in the middle
MIRRORED_JOINTS = np.array(flip_permutation("smpl"))
# The same for the rows of a body pose, which has none for the root: row 0 is joint 1
MIRRORED_BODY_POSE = MIRRORED_JOINTS[1:] - 1
# A rotation vector in the mirror: M R M with M = diag(-1, 1, 1) turns about a pseudovector
MIRRORED_ROTVEC = (1.0, -1.0, -1.0)


def mirror_poses(poses: np.ndarray) -> np.ndarray:
    """Poses of the mirror image (x -> -x) of a body: left and right joints swapped, y and z components negated.

    Args:
        poses: (..., 24, 3) axis-angle, or (..., 23, 3) without the global orientation.

    Returns:
        The same shape. Mirroring twice gives the input.

    Raises:
        ValueError: Another shape.
    """
    if poses.ndim < 2 or poses.shape[-2:] not in ((24, 3), (23, 3)):
        raise ValueError(f"poses have shape {poses.shape}, expected (..., 24, 3) or (..., 23, 3)")
    swap = MIRRORED_JOINTS if poses.shape[-2] == len(MIRRORED_JOINTS) else MIRRORED_BODY_POSE
    return mirror_orientations(poses[..., swap, :])


def mirror_orientations(orientations: np.ndarray) -> np.ndarray:
    """Axis-angle (..., 3) of rotations seen in a mirror across x = 0: M R M with M = diag(-1, 1, 1)."""
    return orientations * np.array(MIRRORED_ROTVEC, dtype=orientations.dtype)
