"""Texture coordinates of the simplified body in the MakeHuman base mesh's layout."""

from __future__ import annotations

import itertools

import numpy as np


def corner_coordinates(
    faces: np.ndarray, source_vertices: np.ndarray, uv: np.ndarray, uv_of_vertex: list[list[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates of each face corner.

    A vertex on a cut of the layout has several; the corners of one face belong together, and since the pieces lie far
    apart in the layout, the right combination is the one with the least perimeter.

    Args:
        faces: (f, 3) faces of the body.
        source_vertices: (v,) source vertex of each body vertex.
        uv: (t, 2) the source's coordinates, u to the right and v upwards, both 0..1.
        uv_of_vertex: Rows of ``uv`` in use at each source vertex.

    Returns:
        ``uv`` (u, 2) without unused rows and ``faces_uv`` (f, 3) rows of it.
    """
    chosen = np.empty_like(faces)
    for i, face in enumerate(source_vertices[faces].tolist()):
        combinations = list(itertools.product(*(uv_of_vertex[vertex] for vertex in face)))
        corners = uv[np.array(combinations)]
        perimeter = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).sum(axis=1)
        chosen[i] = combinations[int(perimeter.argmin())]
    rows, faces_uv = np.unique(chosen, return_inverse=True)
    return uv[rows], faces_uv.reshape(faces.shape)
