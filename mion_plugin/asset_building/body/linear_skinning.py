"""Linear blend skinning of many shapes at once, for the build's samples (no pose correctives)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import roma
import torch


def skin(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, poses: np.ndarray, parents: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Pose bodies.

    Args:
        vertices: (s, v, 3) rest shapes.
        joints: (s, j, 3) their joints.
        weights: (v, j) skinning weights.
        poses: (s, j, 3) axis-angle rotations relative to the parent.
        parents: (j,) parent joints, -1 for the root, each before its children.

    Returns:
        (s, v, 3) posed vertices and (s, j, 3) posed joints, float64.
    """
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(np.asarray(poses, dtype=np.float64))).numpy()
    turn = rotations.copy()
    posed = joints.astype(np.float64).copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            turn[:, joint] = turn[:, parent] @ rotations[:, joint]
            bone = (joints[:, joint] - joints[:, parent])[..., None]
            posed[:, joint] = posed[:, parent] + (turn[:, parent] @ bone)[..., 0]
    shift = posed - np.einsum("sjab,sjb->sja", turn, joints)
    blended = np.einsum("vj,sjab->svab", weights, turn, optimize=True)
    moved = np.einsum("svab,svb->sva", blended, vertices, optimize=True)
    return moved + np.einsum("vj,sja->sva", weights, shift, optimize=True), posed
