"""Closing the source mesh: its left half with eyes and mouth zipped, open only at the mirror plane."""

from __future__ import annotations

import numpy as np

CENTRE_TOLERANCE = 1e-7  # metres; the base mesh has its centre line at exactly 0


def largest_component(faces: np.ndarray) -> np.ndarray:
    """Faces of the connected piece with the most faces."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = int(faces.max()) + 1
    rows, columns = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    label = connected_components(graph, directed=False)[1][faces[:, 0]]
    return faces[label == np.bincount(label).argmax()]


def boundary_loops(faces: np.ndarray) -> list[list[int]]:
    """Loops of edges with one face only, each in the direction in which its faces run through it."""
    edges = {(a, b) for face in faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)}
    following: dict[int, list[int]] = {}
    for a, b in sorted(edges):
        if (b, a) not in edges:
            following.setdefault(a, []).append(b)
    loops = []
    while following:
        start = next(iter(following))
        loop: list[int] = []
        current = start
        while not loop or current != start:
            loop.append(current)
            choices = following[current]
            successor = choices.pop()
            if not choices:
                del following[current]
            current = successor
        loops.append(loop)
    return loops


def zip_chain(chain: list[int], vertices: np.ndarray) -> list[tuple[int, int, int]]:
    """Close the polygon ``chain`` with the triangles of least total edge length.

    Least length pairs the nearest points of the two rims of a slit, which is what closing a mouth or an eye means.
    The triangles run against the chain, so they continue faces whose boundary the chain follows.
    """
    points, size = vertices[chain], len(chain)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    cost = np.zeros((size, size))
    apex = np.zeros((size, size), dtype=int)
    for gap in range(2, size):
        for i in range(size - gap):
            j = i + gap
            middle = np.arange(i + 1, j)
            total = cost[i, middle] + cost[middle, j] + distance[i, middle] + distance[middle, j]
            best = int(total.argmin())
            cost[i, j], apex[i, j] = total[best] + distance[i, j], middle[best]
    triangles, open_spans = [], [(0, size - 1)]
    while open_spans:
        i, j = open_spans.pop()
        if j - i > 1:
            k = int(apex[i, j])
            triangles.append((chain[i], chain[j], chain[k]))
            open_spans += [(i, k), (k, j)]
    return triangles


def close_half(faces: np.ndarray, template: np.ndarray, shut: np.ndarray) -> np.ndarray:
    """Left half of ``faces`` with the eye and the mouth zipped.

    Args:
        faces: (m, 3) faces of the open body, no face crossing the mirror plane.
        template: (n, 3) symmetric vertices that define the plane.
        shut: (n, 3) vertices with the eyelids shut, for choosing which rim points meet.

    Raises:
        ValueError: if a face crosses the mirror plane.
    """
    x = template[faces, 0]
    if ((x > CENTRE_TOLERANCE).any(1) & (x < -CENTRE_TOLERANCE).any(1)).any():
        raise ValueError("a face of the source mesh crosses the mirror plane")
    half = faces[(x > -CENTRE_TOLERANCE).all(1)]
    centre = np.abs(template[:, 0]) < CENTRE_TOLERANCE
    patches: list[tuple[int, int, int]] = []
    for loop in boundary_loops(half):
        for chain in chains_off_centre(loop, centre):
            patches += zip_chain(chain, shut)
    return largest_component(np.concatenate([half, np.array(patches, dtype=np.int64).reshape(-1, 3)]))


def chains_off_centre(loop: list[int], centre: np.ndarray) -> list[list[int]]:
    """Parts of a boundary loop to be zipped: the whole loop off the plane, or its runs between two plane points."""
    on_plane = [bool(centre[vertex]) for vertex in loop]
    if not any(on_plane):
        return [loop]
    start = on_plane.index(True)
    loop, on_plane = loop[start:] + loop[:start], on_plane[start:] + on_plane[:start]
    chains, current = [], [loop[0]]
    for vertex, on in zip(loop[1:] + loop[:1], on_plane[1:] + on_plane[:1], strict=True):
        current.append(vertex)
        if on:
            if len(current) > 2:
                chains.append(current)
            current = [vertex]
    return chains
