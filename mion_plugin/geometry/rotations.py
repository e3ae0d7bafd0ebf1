"""Rotations, computed by the ``roma`` package, which is imported at first use.

Importing roma imports torch's compiler, which takes as long as torch itself: ``import mion_plugin`` should not. Shapes
and names are roma's: rotvec (..., 3) axis-angle in radians, rotmat (..., 3, 3), unitquat (..., 4) with the real part
last.
"""

from __future__ import annotations

from torch import Tensor


def rotvec_to_rotmat(rotvec: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3)."""
    import roma

    return roma.rotvec_to_rotmat(rotvec)


def rotmat_to_rotvec(rotmat: Tensor) -> Tensor:
    """Axis-angle vectors (..., 3) of rotation matrices (..., 3, 3); angles in 0..pi."""
    import roma

    return roma.rotmat_to_rotvec(rotmat)


def rotvec_to_unitquat(rotvec: Tensor) -> Tensor:
    """Unit quaternions (..., 4), real part last, of axis-angle vectors (..., 3)."""
    import roma

    return roma.rotvec_to_unitquat(rotvec)


def rotvec_slerp(start: Tensor, end: Tensor, steps: Tensor) -> Tensor:
    """Axis-angle vectors on the shortest path from ``start`` to ``end`` (..., 3) at ``steps`` (S,): (S, ..., 3)."""
    import roma

    return roma.rotvec_slerp(start, end, steps)


def special_gramschmidt(columns: Tensor, epsilon: float = 0.0) -> Tensor:
    """Rotation matrices (..., 3, 3) from two columns each (..., 3, 2) (Zhou et al., 2019)."""
    import roma

    return roma.special_gramschmidt(columns, epsilon=epsilon)
