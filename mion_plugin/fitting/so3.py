"""Turns about three axes: the exponential map and its derivative, sound at and near zero; mean rotations."""

from __future__ import annotations

import torch
from torch import Tensor

# Below this angle, radians, series replace the quotients that lose their digits there; their next terms are below the
# rounding of float64 times the quotient's own size.
_SMALL = 1e-2


def cross_matrix(vector: Tensor) -> Tensor:
    """Matrices [v]x (..., 3, 3) with [v]x u = v x u, of vectors (..., 3)."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def exponential(rotvec: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations of rotation vectors, and how they turn when the vector changes.

    With v = ``rotvec``, a = |v|: exp = I + sin(a)/a [v]x + (1 - cos a)/a^2 [v]x^2 (Rodrigues), and
    exp(v + dv) = exp(v) exp(T dv) to first order with the right Jacobian
    T = I - (1 - cos a)/a^2 [v]x + (a - sin a)/a^3 [v]x^2 (Chirikjian, 2012, section 10.8).

    Args:
        rotvec: (..., 3) radians.

    Returns:
        Rotations and T, (..., 3, 3) each.
    """
    sine, versine, cubic = _quotients(rotvec.square().sum(-1)[..., None, None])
    cross = cross_matrix(rotvec)
    squared = cross @ cross
    identity = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return identity + sine * cross + versine * squared, identity - versine * cross + cubic * squared


def nearest_rotation(matrices: Tensor) -> Tensor:
    """Rotations (..., 3, 3) nearest to matrices in the Frobenius norm: of a mean of rotations, their chordal mean."""
    left, _, right = torch.linalg.svd(matrices)
    signs = torch.ones_like(matrices[..., 0])
    signs[..., 2] = torch.linalg.det(left @ right)
    return left * signs[..., None, :] @ right


def _quotients(square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """sin(a)/a, (1 - cos a)/a^2 and (a - sin a)/a^3 of squared angles."""
    small = square < _SMALL**2
    angle = torch.where(small, 1.0, square).sqrt()
    sine, half_sine = angle.sin() / angle, (angle / 2).sin() / angle
    return (
        torch.where(small, 1 - square / 6 * (1 - square / 20 * (1 - square / 42)), sine),
        torch.where(small, 0.5 - square / 24 * (1 - square / 30 * (1 - square / 56)), 2 * half_sine.square()),
        torch.where(small, 1 / 6 - square / 120 * (1 - square / 42 * (1 - square / 72)), (1 - sine) / angle.square()),
    )
