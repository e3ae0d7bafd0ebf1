import json
import struct

import numpy as np
import pytest

from mion_plugin.body import SMPLBody
from mion_plugin.inference.meshes import FORMATS, save_mesh

trimesh = pytest.importorskip("trimesh")  # an independent reader


@pytest.fixture(scope="module")
def mesh():
    body = SMPLBody()
    vertices = body.v_template.numpy() * [1, -1, -1]  # y down, z into the scene: facing the camera
    return vertices, body.faces.numpy()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_reader_finds_the_body_upright_and_right_side_out(mesh, suffix, tmp_path):
    vertices, faces = mesh
    path = tmp_path / "meshes" / f"body.{suffix}"
    save_mesh(path, vertices, faces)
    loaded = trimesh.load(path, process=False, force="mesh")
    np.testing.assert_allclose(loaded.vertices, vertices * [1, -1, -1], atol=1e-6)
    np.testing.assert_array_equal(loaded.faces, faces)
    assert loaded.vertices[:, 1].argmax() == SMPLBody().v_template[:, 1].argmax()  # the top of the head
    assert loaded.volume > 0.03  # cubic metres; negative inside out
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def read_gltf(path):
    """The description and the normals (V, 3), which trimesh does not read."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    description, data = json.loads(content[20 : 20 + length]), content[28 + length :]
    accessors = description["accessors"]
    accessor = accessors[description["meshes"][0]["primitives"][0]["attributes"]["NORMAL"]]
    view = description["bufferViews"][accessor["bufferView"]]
    normals = np.frombuffer(data, "<f4", 3 * accessor["count"], view["byteOffset"]).reshape(-1, 3)
    return description, normals


def test_gltf_is_drawn_smooth_and_matt(mesh, tmp_path):
    vertices, faces = mesh
    save_mesh(tmp_path / "body.glb", vertices, faces)
    description, normals = read_gltf(tmp_path / "body.glb")
    loaded = trimesh.load(tmp_path / "body.glb", process=False, force="mesh")
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert (normals * loaded.vertex_normals).sum(-1).mean() > 0.98  # trimesh weights by angle
    assert description["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0


def test_a_vertex_of_no_face_has_a_normal_in_gltf(tmp_path):
    vertices = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [5, 5, 5]])
    save_mesh(tmp_path / "one.glb", vertices, np.array([[0, 2, 1]]))
    np.testing.assert_array_equal(read_gltf(tmp_path / "one.glb")[1], [[0, 0, 1]] * 4)


def test_another_format(mesh, tmp_path):
    with pytest.raises(ValueError, match=r"body\.stl: expected a name that ends in obj, glb, ply"):
        save_mesh(tmp_path / "body.stl", *mesh)
    assert not list(tmp_path.iterdir())
