"""Writing a body's surface as a file that modelling programs open: OBJ, PLY or glTF.

All three hold the body in metres with y up and z towards the viewer, glTF's axes: the camera's frame turned by 180
degrees about x, so that an upright person in the photograph stands upright. Faces are counter-clockwise from outside.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np

from mion_plugin.files import atomic_path

FORMATS = ("obj", "glb", "ply")
_TO_Y_UP = np.array([1.0, -1.0, -1.0], dtype=np.float32)
_GLB_JSON, _GLB_BINARY = 0x4E4F534A, 0x004E4942  # "JSON", "BIN\0"
_FLOAT, _UINT = 5126, 5125  # glTF's component types
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
    points, corners = vertices.astype("<f4").tobytes(), faces.astype("<u4").tobytes()
    accessor = {"byteOffset": 0, "componentType": _FLOAT, "count": len(vertices), "type": "VEC3"}
    bounds = {"min": vertices.min(axis=0).tolist(), "max": vertices.max(axis=0).tolist()}
    index = {"byteOffset": 0, "componentType": _UINT, "count": faces.size, "type": "SCALAR"}
    views = [
        {"buffer": 0, "byteOffset": 0, "byteLength": len(points), "target": _VERTEX_BUFFER},
        {"buffer": 0, "byteOffset": len(points), "byteLength": len(corners), "target": _INDEX_BUFFER},
    ]
    description = {
        "asset": {"version": "2.0", "generator": "mion_plugin"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [{"bufferView": 0, **accessor, **bounds}, {"bufferView": 1, **index}],
        "bufferViews": views,
        "buffers": [{"byteLength": len(points) + len(corners)}],
    }
    text = json.dumps(description).encode()
    text += b" " * (-len(text) % 4)  # chunks are multiples of four bytes; floats and indices are
    chunks = [(_GLB_JSON, text), (_GLB_BINARY, points + corners)]
    body = b"".join(struct.pack("<II", len(data), kind) + data for kind, data in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
