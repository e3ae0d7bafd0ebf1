"""Where on the body a pixel is: rest-pose coordinates in which clothes are cut."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.keypoints import keypoint_names


@dataclass(frozen=True)
class BodySurface:
    """The surface of a body model in its rest pose (T-pose, y up, z forward), and the marks that clothes refer to.

    Attributes:
        rest: (V, 3) float32 metres, the template's vertices.
        faces: (F, 3) int64.
        corners: (F, 3, 3) float32, ``rest`` at the corners of each face.
        adjacency: (V, F) sparse, 1 where a vertex is a corner of a face.
        marks: Name -> (3,) rest position of SMPL's joints and of the points of the face (nose, eyes, ears, headtop).
    """

    rest: np.ndarray
    faces: np.ndarray
    corners: np.ndarray
    adjacency: torch.Tensor
    marks: dict[str, np.ndarray]

    @classmethod
    @torch.no_grad()
    def of(cls, body: SMPLBody) -> BodySurface:
        """The surface of a body model."""
        output = body(body.v_template.new_zeros(24, 3))
        points = body.keypoints(output, "smpl_45").cpu().numpy()
        marks = dict(zip(keypoint_names("smpl_45"), points, strict=True))
        # Copies: a tensor that is sent to a spawned worker moves to shared memory, and what looked at it then looks at
        # memory that was given back.
        rest, faces = body.v_template.cpu().numpy().copy(), body.faces.cpu().numpy().copy()
        marks["headtop"] = rest[rest[:, 1].argmax()]
        return cls(rest, faces, rest[faces], _adjacency(faces, len(rest)), marks)

    def __getstate__(self) -> dict[str, Any]:
        """Without the sparse matrix, which torch passes to other processes with warnings; it is made anew there."""
        return {name: value for name, value in self.__dict__.items() if name != "adjacency"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, adjacency=_adjacency(state["faces"], len(state["rest"])))

    def vertex_normals(self, vertices: torch.Tensor) -> np.ndarray:
        """Outward normals (V, 3) at vertices (V, 3), averaged over the adjacent faces by area; not of unit length.

        As ``rendering.shading.vertex_normals``, five times as fast: the sum over adjacent faces is a sparse product.
        """
        a, b, c = vertices[torch.from_numpy(self.faces.T)]
        return (self.adjacency @ torch.linalg.cross(b - a, c - a)).numpy()


def _adjacency(faces: np.ndarray, num_vertices: int) -> torch.Tensor:
    """(V, F) sparse float32 matrix, 1 where a vertex is a corner of a face."""
    indices = np.stack([faces.ravel(), np.repeat(np.arange(len(faces)), 3)])
    shape, ones = (num_vertices, len(faces)), torch.ones(faces.size)
    with warnings.catch_warnings():  # torch calls its CSR format a beta state
        warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
        matrix = torch.sparse_coo_tensor(torch.from_numpy(indices), ones, shape, check_invariants=True)
        return matrix.to_sparse_csr()


@dataclass(frozen=True)
class SurfacePoints:
    """Points on the surface in coordinates that garments are cut in; all arrays (n,) float32.

    Attributes:
        x, y, z: Rest-pose coordinates in metres.
        arm: Along the arm: below 0 on the trunk, 0 shoulder, 1 elbow, 2 wrist.
        leg: Along the leg: below 0 above the hips, 0 hip, 1 knee, 2 ankle.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    arm: np.ndarray
    leg: np.ndarray

    @classmethod
    def of(cls, surface: BodySurface, rest: np.ndarray) -> SurfacePoints:
        """From rest-pose positions (n, 3)."""
        x, y, z = rest.T
        shoulder, elbow, wrist = (surface.marks[f"left_{name}"][0] for name in ("shoulder", "elbow", "wrist"))
        hip, knee, ankle = (surface.marks[f"left_{name}"][1] for name in ("hip", "knee", "ankle"))
        return cls(x, y, z, _along(np.abs(x), shoulder, elbow, wrist), _along(-y, -hip, -knee, -ankle))


def _along(position: np.ndarray, first: float, second: float, third: float) -> np.ndarray:
    """0 at the first mark, 1 at the second, 2 at the third; linear between them and beyond."""
    upper, lower = (position - first) / (second - first), 1 + (position - second) / (third - second)
    return np.where(position < second, upper, lower)
