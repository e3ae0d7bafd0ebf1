"""Dual-quaternion skinning: every vertex moves rigidly, so nothing collapses or stretches at a joint.

Kavan, Collins, Zara, O'Sullivan: "Skinning with dual quaternions", I3D 2007. With fixed rotations the blended motion
is linear in the translations, hence shapes that were linear before it stay linear after it.
"""

from __future__ import annotations

import numpy as np
import roma
import torch


def blend_rotations(weights: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation of each vertex and the map from bone translations to its translation.

    Args:
        weights: (v, b) skinning weights.
        rotations: (b, 3, 3) rotation of each bone, less than half a turn each.

    Returns:
        (v, 3, 3) rotations R, and T (v, b, 3, 3) such that a bone motion ``x -> R_b x + t_b`` moves vertex v by
        ``R_v x + sum_b T_vb t_b``.
    """
    real = roma.rotmat_to_unitquat(torch.from_numpy(rotations))  # (b, 4), xyzw
    real = torch.where(real[:, 3:] < 0, -real, real)
    blended = torch.from_numpy(weights) @ real
    norm = blended.norm(dim=-1, keepdim=True)
    unit = blended / norm
    # The dual part of bone b is 0.5 (t_b, 0) q_b; the vertex's translation is 2 d conj(q), summed over bones.
    basis = torch.eye(4, dtype=torch.float64)[:3]
    dual = roma.quat_product(basis[None].expand(len(real), 3, 4), real[:, None].expand(-1, 3, 4))  # (b, 3, 4)
    conjugate = roma.quat_conjugation(unit)
    columns = roma.quat_product(
        dual[None].expand(len(unit), -1, -1, -1).contiguous(),
        conjugate[:, None, None].expand(-1, len(real), 3, 4).contiguous(),
    )[..., :3]
    scale = torch.from_numpy(weights) / norm
    maps = columns.transpose(-1, -2) * scale[:, :, None, None]
    return roma.unitquat_to_rotmat(unit).numpy(), maps.numpy()
