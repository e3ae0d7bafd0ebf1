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


def test_another_format(mesh, tmp_path):
    with pytest.raises(ValueError, match=r"body\.stl: expected a name that ends in obj, glb, ply"):
        save_mesh(tmp_path / "body.stl", *mesh)
    assert not list(tmp_path.iterdir())
