"""Turns about three axes: the exponential map and its derivative, sound at and near zero; mean rotations."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Below this angle, radians, a series replaces the quotient that loses its digits there; its next term is below the
# rounding of float64 times the quotient's own size.
_SMALL = 1e-2
_LEAST = 1e-36  # radians^2; at zero the square root has no derivative


def cross_matrix(vector: Tensor) -> Tensor:
    """Matrices [v]x (..., 3, 3) with [v]x u = v x u, of vectors (..., 3)."""
    axes = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return torch.linalg.cross(vector[..., None], axes.expand(*vector.shape, 3), dim=-2)


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
    square = square.clamp(min=_LEAST)
    angle = square.sqrt()
    sine, half = torch.sinc(angle / math.pi), torch.sinc(angle / (2.0 * math.pi))
    series = 1 / 6 - square * (1 / 120 - square / 5040)
    return sine, half.square() / 2.0, torch.where(square < _SMALL**2, series, (1.0 - sine) / square)
