"""Motion as binary glTF: the body as a rigged mesh with an animation, written by pygltflib (extra ``[mesh]``)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.body.arrays import SMPL_PARENTS
from mion_plugin.files import atomic_path
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.inference.meshes import MATT, REMEDY, unit_normals
from mion_plugin.inference.motion.recording import Y_UP, BodyMotion, RestShape

_FLOAT, _UINT, _BYTE = 5126, 5125, 5121  # glTF's component types
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963
_INFLUENCES = 4  # joints per vertex: what every viewer takes, and what SMPL has


def write_gltf(path: Path, motion: BodyMotion, shape: RestShape) -> None:
    """Write ``.glb``: metres, y up, x right and z towards the camera, the origin at the camera.

    One node for each of SMPL's 24 joints, by its name; a skin of them; an animation that turns them all and moves the
    pelvis, in seconds from the first pose. The mesh is the body at rest. Viewers skin it linearly, without SMPL's
    pose-dependent correctives. Weights beyond a vertex's four largest are left out, the rest sum to 1.

    Raises:
        ImportError: pygltflib is not installed.
    """
    content = _Content()
    names, count = keypoint_names("smpl"), len(SMPL_PARENTS)
    offsets = shape.joints - np.where(np.arange(count)[:, None] > 0, shape.joints[list(SMPL_PARENTS)], 0)
    gltf = _pygltflib()
    nodes = [
        gltf.Node(
            name=name,
            translation=offset.tolist(),
            children=[child for child, parent in enumerate(SMPL_PARENTS) if parent == joint],
        )
        for joint, (name, offset) in enumerate(zip(names, offsets, strict=True))
    ]
    nodes.append(gltf.Node(name=f"person{motion.person}", mesh=0, skin=0))
    primitive = _primitive(content, shape)
    inverse_bind = np.tile(np.eye(4), (count, 1, 1))
    inverse_bind[:, 3, :3] = -shape.joints  # by columns, as glTF writes matrices
    skin = gltf.Skin(
        joints=list(range(count)), skeleton=0, inverseBindMatrices=content.add(inverse_bind.reshape(-1, 16), "MAT4")
    )
    document = gltf.GLTF2(
        asset=gltf.Asset(version="2.0", generator="mion_plugin"),
        scene=0,
        scenes=[gltf.Scene(nodes=[0, count])],
        nodes=nodes,
        meshes=[gltf.Mesh(name=f"person{motion.person}", primitives=[primitive])],
        materials=[gltf.Material(name="matt", pbrMetallicRoughness=gltf.PbrMetallicRoughness(**MATT))],
        skins=[skin],
        animations=[_animation(content, motion, shape)],
        accessors=content.accessors,
        bufferViews=content.views,
        buffers=[gltf.Buffer(byteLength=len(content.data))],
    )
    document.set_binary_blob(bytes(content.data))
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(document.save_to_bytes()))


def _primitive(content: _Content, shape: RestShape) -> Any:
    joints = np.argsort(-shape.weights, axis=1, kind="stable")[:, :_INFLUENCES]
    weights = np.take_along_axis(shape.weights, joints, axis=1)
    joints[weights == 0] = 0  # glTF's rule for joints without weight
    gltf = _pygltflib()
    attributes = gltf.Attributes(
        POSITION=content.add(shape.vertices, "VEC3", target=_VERTEX_BUFFER, bounds=True),
        NORMAL=content.add(unit_normals(shape.vertices, shape.faces), "VEC3", target=_VERTEX_BUFFER),
        JOINTS_0=content.add(joints, "VEC4", _BYTE, target=_VERTEX_BUFFER),
        WEIGHTS_0=content.add(weights / weights.sum(axis=1, keepdims=True), "VEC4", target=_VERTEX_BUFFER),
    )
    faces = content.add(shape.faces.reshape(-1), "SCALAR", _UINT, target=_INDEX_BUFFER)
    return gltf.Primitive(attributes=attributes, indices=faces, material=0)


def _animation(content: _Content, motion: BodyMotion, shape: RestShape) -> Any:
    pose, transl = motion.in_world(Y_UP, shape.joints[0])
    times = content.add(motion.times, "SCALAR", bounds=True)
    outputs = [("translation", 0, content.add(transl + shape.joints[0], "VEC3"))]
    for joint in range(pose.shape[1]):
        outputs.append(("rotation", joint, content.add(_quaternions(pose[:, joint]), "VEC4")))
    gltf = _pygltflib()
    return gltf.Animation(
        name="motion",
        samplers=[gltf.AnimationSampler(input=times, output=output, interpolation="LINEAR") for *_, output in outputs],
        channels=[
            gltf.AnimationChannel(sampler=index, target=gltf.AnimationChannelTarget(node=node, path=kind))
            for index, (kind, node, _) in enumerate(outputs)
        ],
    )


def _quaternions(rotations: np.ndarray) -> np.ndarray:
    """Quaternions (T, 4) x, y, z, w of rotations (T, 3, 3), each on the same half of the sphere as the one before."""
    quaternions = Rotation.from_matrix(rotations).as_quat()
    opposite = (quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0
    signs = np.cumprod(np.concatenate([[1.0], np.where(opposite, -1.0, 1.0)]))
    return quaternions * signs[:, None]


class _Content:
    """The binary part of a document, and what describes it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[Any] = []
        self.accessors: list[Any] = []

    def add(
        self, values: np.ndarray, kind: str, component: int = _FLOAT, target: int | None = None, bounds: bool = False
    ) -> int:
        """Append rows of values; the number of their accessor."""
        gltf = _pygltflib()
        rows = np.ascontiguousarray(values, {_FLOAT: "<f4", _UINT: "<u4", _BYTE: "u1"}[component])
        limits = {}
        if bounds:
            columns = rows.reshape(len(rows), -1)
            limits = {"min": columns.min(axis=0).tolist(), "max": columns.max(axis=0).tolist()}
        self.views.append(gltf.BufferView(buffer=0, byteOffset=len(self.data), byteLength=rows.nbytes, target=target))
        self.accessors.append(
            gltf.Accessor(bufferView=len(self.views) - 1, componentType=component, count=len(rows), type=kind, **limits)
        )
        self.data += rows.tobytes()
        self.data += bytes(-len(self.data) % 4)
        return len(self.accessors) - 1


@functools.cache
def _pygltflib() -> Any:
    try:
        import pygltflib
    except ImportError as error:
        raise ImportError(f"animated glTF needs pygltflib ({error}): {REMEDY}") from error
    return pygltflib
