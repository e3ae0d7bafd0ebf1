"""Writing a body's surface as a file that modelling programs open: OBJ, PLY or glTF.

All three hold the body in metres with y up and z towards the viewer, glTF's axes: the camera's frame turned by 180
degrees about x, so that an upright person in the photograph stands upright. Faces are counter-clockwise from outside.
glTF also holds normals and a matt grey, since viewers draw what has neither in facets, as a mirror.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import torch

from mion_plugin.constants import MESH_FORMATS as FORMATS
from mion_plugin.files import atomic_path
from mion_plugin.rendering.shading import vertex_normals

_TO_Y_UP = np.array([1.0, -1.0, -1.0], dtype=np.float32)
_GLB_JSON, _GLB_BINARY = 0x4E4F534A, 0x004E4942  # "JSON", "BIN\0"
_FLOAT, _UINT = 5126, 5125  # glTF's component types
_MATT = {"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.56, 0.64, 1], "metallicFactor": 0, "roughnessFactor": 0.8}}
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963


def save_mesh(path: str | os.PathLike[str], vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a mesh in the format that the path ends in.

    Args:
        path: File ending in one of ``FORMATS``.
        vertices: (V, 3) metres, camera frame (x right, y down, z into the scene).
        faces: (F, 3) vertex indices.

    Raises:
        ValueError: Another ending.
    """
    writers = {"obj": _obj, "glb": _glb, "ply": _ply}
    suffix = Path(path).suffix.removeprefix(".").lower()
    if suffix not in writers:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    turned = np.ascontiguousarray(vertices, dtype=np.float32) * _TO_Y_UP
    content = writers[suffix](turned, np.ascontiguousarray(faces, dtype=np.uint32))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _obj(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()]  # counted from 1
    return ("\n".join(lines) + "\n").encode()


def _ply(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    header = f"""ply
format binary_little_endian 1.0
element vertex {len(vertices)}
property float x
property float y
property float z
element face {len(faces)}
property list uchar int vertex_indices
end_header
"""
    rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    return header.encode() + vertices.astype("<f4").tobytes() + rows.tobytes()


def _glb(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    """Binary glTF 2.0: a JSON chunk that describes the binary chunk."""
    normals = vertex_normals(torch.from_numpy(vertices)[None], torch.from_numpy(faces.astype(np.int64)))[0].numpy()
    normals[~normals.any(axis=1)] = (0, 0, 1)  # of vertices without a face; glTF wants unit length
    parts = [vertices.astype("<f4").tobytes(), normals.astype("<f4").tobytes(), faces.astype("<u4").tobytes()]
    views, offset = [], 0
    for part, target in zip(parts, (_VERTEX_BUFFER, _VERTEX_BUFFER, _INDEX_BUFFER), strict=True):
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(part), "target": target})
        offset += len(part)
    vector = {"componentType": _FLOAT, "count": len(vertices), "type": "VEC3"}
    bounds = {"min": vertices.min(axis=0).tolist(), "max": vertices.max(axis=0).tolist()}
    index = {"componentType": _UINT, "count": faces.size, "type": "SCALAR"}
    primitive = {"attributes": {"POSITION": 0, "NORMAL": 1}, "indices": 2, "material": 0}
    description = {
        "asset": {"version": "2.0", "generator": "mion_plugin"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [_MATT],
        "accessors": [{"bufferView": 0, **vector, **bounds}, {"bufferView": 1, **vector}, {"bufferView": 2, **index}],
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }
    text = json.dumps(description).encode()
    text += b" " * (-len(text) % 4)  # chunks are multiples of four bytes; floats and indices are
    chunks = [(_GLB_JSON, text), (_GLB_BINARY, b"".join(parts))]
    body = b"".join(struct.pack("<II", len(data), kind) + data for kind, data in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
