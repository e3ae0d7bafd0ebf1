"""Writing a body's surface as a file that modelling programs open: OBJ, PLY or glTF, by trimesh (extra ``[mesh]``).

All three hold the body in metres with y up and z towards the viewer, glTF's axes: the camera's frame turned by 180
degrees about x, so that an upright person in the photograph stands upright. Faces are counter-clockwise from outside;
every vertex has a normal. glTF also holds a matt grey, since viewers draw what has no material as a mirror.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mion_plugin.constants import MESH_FORMATS as FORMATS
from mion_plugin.files import atomic_path
from mion_plugin.rendering.shading import vertex_normals

REMEDY = "pip install 'mion-plugin[mesh]'"
TO_Y_UP = np.array([1.0, -1.0, -1.0], dtype=np.float32)  # times a point of the camera's frame
MATT = {"baseColorFactor": [0.5, 0.56, 0.64, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
_OPTIONS: dict[str, dict[str, Any]] = {
    "obj": {"include_normals": True, "header": None, "digits": 6, "write_texture": False},
    "glb": {"include_normals": True},
    "ply": {"vertex_normal": True},
}


def save_mesh(path: str | os.PathLike[str], vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a mesh in the format that the path ends in.

    Args:
        path: File ending in one of ``FORMATS``.
        vertices: (V, 3) metres, camera frame (x right, y down, z into the scene).
        faces: (F, 3) vertex indices.

    Raises:
        ValueError: Another ending.
        ImportError: trimesh is not installed.
    """
    suffix = Path(path).suffix.removeprefix(".").lower()
    if suffix not in _OPTIONS:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    turned = np.ascontiguousarray(vertices, dtype=np.float32) * TO_Y_UP
    content = _mesh(turned, faces, with_material=suffix == "glb").export(file_type=suffix, **_OPTIONS[suffix])
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def unit_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals (V, 3) float32 of unit length; of vertices without a face (0, 0, 1), since glTF knows no other length."""
    points = torch.from_numpy(np.asarray(vertices, np.float32))[None]
    normals = vertex_normals(points, torch.from_numpy(np.asarray(faces, np.int64)))[0].numpy()
    normals[~normals.any(axis=1)] = (0, 0, 1)
    return normals


def _mesh(vertices: np.ndarray, faces: np.ndarray, with_material: bool) -> Any:
    trimesh = _trimesh()
    mesh = trimesh.Trimesh(
        vertices, np.asarray(faces, np.int64), vertex_normals=unit_normals(vertices, faces), process=False
    )
    if with_material:
        mesh.visual = trimesh.visual.TextureVisuals(material=trimesh.visual.material.PBRMaterial(**MATT))
    return mesh


@functools.cache
def _trimesh() -> Any:
    try:
        import trimesh
    except ImportError as error:
        raise ImportError(f"mesh files need trimesh ({error}): {REMEDY}") from error
    return trimesh
