"""Symmetric simplification to exactly 6,890 vertices by half-edge collapses.

Half-edge collapses (one end moves onto the other) keep a subset of the source's vertices, so blend shapes, weights and
texture coordinates are copied, never interpolated. Only the left half is simplified and then mirrored, so symmetry is
exact. The cost is the quadric error of Garland and Heckbert, "Surface simplification using quadric error metrics",
SIGGRAPH 1997, plus a little edge length that keeps flat regions evenly meshed.

Lines (the mirror plane's rim and the cuts of the texture layout) are simplified along themselves only: a rim vertex
that left the plane would tear the body, a cut that moved would smear the texture.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

EDGE_LENGTH_WEIGHT = 3e-3
MAX_VALENCE = 9
MIN_SHAPE = 0.12  # twice the area over the longest edge squared; thinner faces shade badly
MIN_NORMAL_COSINE = 0.3  # a collapse must not turn a face by more than about 70 degrees


@dataclass(frozen=True)
class HalfMesh:
    """What the simplifier works on.

    Attributes:
        vertices: (n, 3) positions.
        faces: (h, 3) faces of the half, a disk-like surface whose rim lies on the mirror plane.
        rim: (n,) True on the mirror plane.
        seams: Edges (low, high) to keep as lines, besides the rim.
        locked: Vertices that must stay.
        importance: (n,) factor on the cost of removing a vertex.
    """

    vertices: np.ndarray
    faces: np.ndarray
    rim: np.ndarray
    seams: set[tuple[int, int]]
    locked: set[int]
    importance: np.ndarray


class Simplifier:
    """Collapses edges of a ``HalfMesh``, cheapest first, until the mirrored whole has the wanted size."""

    def __init__(self, mesh: HalfMesh) -> None:
        self.mesh = mesh
        self.faces = {i: tuple(face) for i, face in enumerate(mesh.faces.tolist())}
        self.faces_of: dict[int, set[int]] = {}
        for i, face in self.faces.items():
            for vertex in face:
                self.faces_of.setdefault(vertex, set()).add(i)
        self.rim = {v for v in self.faces_of if mesh.rim[v]}
        self.lines: dict[int, set[int]] = {}
        self._collect_lines()
        self.quadric = {v: np.zeros((4, 4)) for v in self.faces_of}
        self.area = dict.fromkeys(self.faces_of, 0.0)
        self._collect_quadrics()
        self.stamp = dict.fromkeys(self.faces_of, 0)
        self.heap: list[tuple[float, int, int, int, int]] = []

    def _collect_lines(self) -> None:
        for vertex in self.faces_of:
            for other in self.neighbours(vertex):
                edge = (min(vertex, other), max(vertex, other))
                if edge in self.mesh.seams or len(self.faces_of[vertex] & self.faces_of[other]) == 1:
                    self.lines.setdefault(vertex, set()).add(other)

    def _collect_quadrics(self) -> None:
        for face in self.faces.values():
            a, b, c = self.mesh.vertices[list(face)]
            normal = np.cross(b - a, c - a)
            length = float(np.linalg.norm(normal))
            if length < 1e-14:
                continue
            plane = np.append(normal, -normal @ a) / length
            for vertex in face:
                self.quadric[vertex] += 0.5 * length * np.outer(plane, plane)
                self.area[vertex] += 0.5 * length / 3.0

    def count(self) -> int:
        """Vertices of the mirrored whole."""
        return 2 * len(self.faces_of) - len(self.rim)

    def neighbours(self, vertex: int) -> set[int]:
        """Vertices that share a face with ``vertex``."""
        return {v for i in self.faces_of[vertex] for v in self.faces[i]} - {vertex}

    def cost(self, removed: int, kept: int) -> float:
        """Price of moving ``removed`` onto ``kept``."""
        target = self.mesh.vertices[kept]
        point = np.append(target, 1.0)
        error = float(point @ (self.quadric[removed] + self.quadric[kept]) @ point)
        length2 = float(((self.mesh.vertices[removed] - target) ** 2).sum())
        return float(
            self.mesh.importance[removed] * (max(error, 0.0) + EDGE_LENGTH_WEIGHT * length2 * self.area[removed])
        )

    def allowed(self, removed: int, kept: int) -> bool:
        """Whether the collapse keeps a manifold, the lines and decent faces."""
        return (
            removed not in self.mesh.locked
            and self._lines_allow(removed, kept)
            and self._topology_allows(removed, kept)
            and self._shapes_allow(removed, kept)
        )

    def _lines_allow(self, removed: int, kept: int) -> bool:
        line = self.lines.get(removed)
        return line is None or (len(line) == 2 and kept in line)

    def _topology_allows(self, removed: int, kept: int) -> bool:
        around, around_kept = self.neighbours(removed), self.neighbours(kept)
        common = around & around_kept
        shared = len(self.faces_of[removed] & self.faces_of[kept])
        if len(common) != shared or (removed in self.rim) != (shared == 1):
            return False
        if removed not in self.rim and kept in self.rim:
            # An inner edge between two rim vertices would meet its own mirror image.
            for other in around & self.rim - {kept}:
                if other not in common or len(self.faces_of[kept] & self.faces_of[other]) != 1:
                    return False
        if any(len(self.faces_of[v]) <= (2 if v in self.rim else 4) for v in common):
            return False
        return len(around | around_kept) - 2 <= MAX_VALENCE

    def _shapes_allow(self, removed: int, kept: int) -> bool:
        for i in self.faces_of[removed] - self.faces_of[kept]:
            old = self.faces[i]
            new = [kept if v == removed else v for v in old]
            if all(v in self.rim for v in new):
                return False
            before, _ = self._normal(old)
            after, longest2 = self._normal(new)
            length, length_after = np.linalg.norm(before), np.linalg.norm(after)
            if length_after < MIN_SHAPE * longest2:
                return False
            if before @ after < MIN_NORMAL_COSINE * length * length_after:
                return False
        return True

    def _normal(self, face: tuple[int, ...] | list[int]) -> tuple[np.ndarray, float]:
        a, b, c = self.mesh.vertices[list(face)]
        longest2 = max(((a - b) ** 2).sum(), ((b - c) ** 2).sum(), ((c - a) ** 2).sum())
        return np.cross(b - a, c - a), float(longest2)

    def collapse(self, removed: int, kept: int) -> None:
        """Move ``removed`` onto ``kept`` and queue the edges whose price changed."""
        changed = (self.neighbours(removed) | self.neighbours(kept)) - {removed}
        for i in self.faces_of[removed] & self.faces_of[kept]:
            for vertex in self.faces.pop(i):
                self.faces_of[vertex].discard(i)
        for i in self.faces_of.pop(removed):
            self.faces[i] = tuple(kept if v == removed else v for v in self.faces[i])
            self.faces_of[kept].add(i)
        self.rim.discard(removed)
        for other in self.lines.pop(removed, set()):
            self.lines[other].discard(removed)
            if other != kept:
                self.lines[other].add(kept)
                self.lines[kept].add(other)
        self.quadric[kept] += self.quadric.pop(removed)
        self.area[kept] += self.area.pop(removed)
        for vertex in changed:
            self.stamp[vertex] += 1
        for vertex in sorted(changed):
            self._push(vertex, both_ways=True, inside=changed)

    def _push(self, vertex: int, both_ways: bool = False, inside: frozenset[int] | set[int] = frozenset()) -> None:
        for other in self.neighbours(vertex):
            pairs = [(vertex, other)]
            if both_ways and other not in inside:
                pairs.append((other, vertex))
            for a, b in pairs:
                heapq.heappush(self.heap, (self.cost(a, b), a, b, self.stamp[a], self.stamp[b]))

    def run(self, target: int) -> np.ndarray:
        """Simplify until the mirrored whole has ``target`` vertices; returns the half's faces.

        Raises:
            RuntimeError: if no allowed collapse is left before that.
        """
        for vertex in sorted(self.faces_of):
            self._push(vertex)
        while self.count() > target:
            if not self.heap:
                raise RuntimeError(f"simplification stuck at {self.count()} vertices, wanted {target}")
            _, removed, kept, stamp_removed, stamp_kept = heapq.heappop(self.heap)
            if removed not in self.faces_of or kept not in self.faces_of:
                continue
            if self.stamp[removed] != stamp_removed or self.stamp[kept] != stamp_kept:
                continue
            if self.count() - target == 1 and removed not in self.rim:
                continue  # an inner vertex counts twice
            if self.allowed(removed, kept):
                self.collapse(removed, kept)
        return np.array([self.faces[i] for i in sorted(self.faces)], dtype=np.int64)


def mirrored_faces(half: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The half's faces and their mirror images, all wound the same way."""
    return np.concatenate([half, mirror[half][:, ::-1]])


def vertex_order(faces: np.ndarray, vertices: np.ndarray, numbered: dict[int, int]) -> np.ndarray:
    """Source vertex at each position of the new body.

    Landmarks take the numbers others know; the rest follow the two halves, each from head to toe, so that neighbours
    have nearby numbers (which also compresses better).
    """
    kept = np.unique(faces)
    taken = set(numbered.values())
    rest = [int(v) for v in kept if int(v) not in taken]
    rest.sort(key=lambda v: (vertices[v, 0] < 0, -round(float(vertices[v, 1]), 2), float(vertices[v, 2])))
    order = np.full(len(kept), -1, dtype=np.int64)
    for number, vertex in numbered.items():
        order[number] = vertex
    order[order < 0] = rest
    return order
