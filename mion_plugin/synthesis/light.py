"""Light as in SURREAL: colourless spherical harmonics up to second order."""

from __future__ import annotations

import numpy as np

# Ramamoorthi and Hanrahan 2001, "An efficient representation for irradiance environment maps", eq. 12.
_C1, _C2, _C3, _C4, _C5 = 0.429043, 0.511664, 0.743125, 0.886227, 0.247708
# Irradiance is never negative, but coefficients drawn independently can make it so; some light is everywhere.
_DARKEST = 0.15


def draw_light(rng: np.random.Generator) -> np.ndarray:
    """Nine coefficients in the order L00, L1-1, L10, L11, L2-2, L2-1, L20, L21, L22.

    SURREAL's distribution (Varol et al. 2017, section 3): uniform in ±0.7, but 0.5..1.4 for the ambient term and
    -0.7..0 for L1-1. With y down that light comes from above.
    """
    coefficients = 0.7 * (2.0 * rng.random(9) - 1.0)
    coefficients[0] = 0.5 + 0.9 * rng.random()
    coefficients[1] = -0.7 * rng.random()
    return coefficients


def irradiance(normals: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Brightness of a matt surface of albedo 1.

    Args:
        normals: (..., 3) unit normals in the camera frame (x right, y down, z into the scene).
        coefficients: (9,) from ``draw_light``.

    Returns:
        (...) at least 0.15.
    """
    l00, l1m1, l10, l11, l2m2, l2m1, l20, l21, l22 = (normals.dtype.type(value) for value in coefficients)
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    brightness = (
        _C1 * l22 * (x * x - y * y)
        + _C3 * l20 * z * z
        + (_C4 * l00 - _C5 * l20)
        + 2 * _C1 * (l2m2 * x * y + l21 * x * z + l2m1 * y * z)
        + 2 * _C2 * (l11 * x + l1m1 * y + l10 * z)
    )
    return np.maximum(brightness, _DARKEST)
