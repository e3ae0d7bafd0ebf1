"""A plain twin of the rasteriser: one ray per pixel centre against every triangle, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Hit:
    """What one pixel sees.

    Attributes:
        face: Nearest face, -1 for none.
        depth: Its z.
        weights: Its barycentric weights.
        doubtful: True if rounding may decide: the ray passes an edge, or two faces are about equally near.
    """

    face: int = -1
    depth: float = np.inf
    weights: tuple[float, float, float] = (0.0, 0.0, 0.0)
    doubtful: bool = False


def cast_rays(
    vertices: np.ndarray,
    faces: np.ndarray,
    focal_length: tuple[float, float],
    principal_point: tuple[float, float],
    image_size: tuple[int, int],
    near: float,
    tolerance: float = 1e-4,
) -> list[list[Hit]]:
    """Hits [row][column] of one mesh, by the Moeller-Trumbore intersection."""
    corners = vertices.astype(np.float64)[faces]
    height, width = image_size
    return [
        [
            _cast_ray(
                np.array(
                    [
                        (column + 0.5 - principal_point[0]) / focal_length[0],
                        (row + 0.5 - principal_point[1]) / focal_length[1],
                        1.0,
                    ]
                ),
                corners,
                near,
                tolerance,
            )
            for column in range(width)
        ]
        for row in range(height)
    ]


def _cast_ray(direction: np.ndarray, corners: np.ndarray, near: float, tolerance: float) -> Hit:
    hit = Hit()
    for face, (a, b, c) in enumerate(corners):
        if min(a[2], b[2], c[2]) < near:
            continue
        normal = np.cross(direction, c - a)
        determinant = normal @ (b - a)
        if determinant == 0:
            continue
        second = normal @ -a / determinant
        normal = np.cross(-a, b - a)
        third = normal @ direction / determinant
        depth = normal @ (c - a) / determinant
        weights = (1 - second - third, second, third)
        if min(weights) < -tolerance:
            continue
        if min(weights) < tolerance or abs(depth - hit.depth) < tolerance * depth:
            hit.doubtful = True
        if min(weights) >= 0 and depth < hit.depth:
            hit.face, hit.depth, hit.weights = face, float(depth), weights
    return hit
