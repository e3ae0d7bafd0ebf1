"""Textures in another layout than the stand-in's, for another body."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.real_layout import another_body

from mion_plugin.body import SMPLBody
from mion_plugin.synthesis import SURREALSynthesisDataset
from mion_plugin.synthesis.recipes import read_looks
from mion_plugin.synthesis.skins import SkinTextures
from mion_plugin.synthesis.texture_map import TextureMap

OBJ = """# two triangles of a square
v 0 0 0
vt 0.0 0.0
vt 1.0 0.0
vt 1.0 1.0
vt 0.0 1.0
f 1/1/1 2/2/1 3/3/1
f 1/1 3/3 4/4
"""
FACES = np.array([[0, 1, 2], [0, 2, 3]])
CORNERS = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]])


@pytest.fixture
def square(tmp_path):
    (tmp_path / "square.obj").write_text(OBJ)
    return TextureMap.read_obj(tmp_path / "square.obj")


def test_an_obj_file(square):
    np.testing.assert_array_equal(square.faces, FACES)
    np.testing.assert_array_equal(square.corners, CORNERS)


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_the_bodys_faces_may_come_in_another_order_and_begin_elsewhere(square, turn):
    """Against a plain look-up of each corner's vertex; in this map a vertex has one place."""
    faces = np.roll(FACES, turn, axis=1)[::-1]
    place = {0: (0, 0), 1: (1, 0), 2: (1, 1), 3: (0, 1)}
    expected = [[place[vertex] for vertex in face] for face in faces.tolist()]
    np.testing.assert_array_equal(square.on(faces), expected)


def test_faces_turned_inside_out_are_another_bodys(square):
    with pytest.raises(ValueError, match=r"square\.obj has 2 of 2 faces of the body not"):
        square.on(FACES[:, ::-1])


@pytest.mark.parametrize(
    "text",
    [
        "\n",
        "vt 0 0\n",
        "vt 0 0\nf 1/1 2/1\n",
        "vt 0 0\nf 1/1 2/1 3/2\n",
        "vt 0 0\nf 1 2 3\n",
        "vt 0 x\nf 1/1 2/1 3/1\n",
    ],
)
def test_files_that_are_no_such_map(tmp_path, text):
    (tmp_path / "a.obj").write_text(text)
    with pytest.raises(ValueError, match=r"skin_uv .*a\.obj: expected an OBJ file with vt lines and triangles"):
        TextureMap.read_obj(tmp_path / "a.obj")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.obj does not exist; SMPL's site offers it"):
        TextureMap.read_obj(tmp_path / "none.obj")


class TestSkins:
    @pytest.fixture
    def folder(self, tmp_path):
        rng = np.random.default_rng(0)
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "skin.png")
        return tmp_path

    def test_a_point_has_its_colour_whatever_the_order_of_the_faces(self, folder):
        own, other = SMPLBody().arrays, another_body("neutral")
        rng, skins = np.random.default_rng(0), SkinTextures(folder)
        face, barycentric = rng.integers(0, len(own.faces), 50), rng.dirichlet(np.ones(3), 50)
        expected = skins.sample(np.random.default_rng(0), face, barycentric)
        skins.lay_on(other)  # faces in reverse, each beginning with its last corner
        turned = skins.sample(np.random.default_rng(0), len(own.faces) - 1 - face, np.roll(barycentric, 1, axis=1))
        np.testing.assert_array_equal(turned, expected)
        skins.lay_on(own)
        np.testing.assert_array_equal(skins.sample(np.random.default_rng(0), face, barycentric), expected)

    def test_a_body_with_other_faces_is_refused(self):
        body = SMPLBody()
        body.arrays = replace(body.arrays, name="smpl.pkl", faces=body.arrays.faces[:, ::-1])
        with pytest.raises(
            ValueError, match=r"skins .* do not suit the body smpl\.pkl: .* Give looks skin_uv=FILE\.obj"
        ):
            SURREALSynthesisDataset(2, body=body, looks={"recipe": "training"})

    def test_the_layout_needs_textures(self, folder):
        (folder / "square.obj").write_text(OBJ)
        assert read_looks(skins=folder, skin_uv=folder / "square.obj")["skins"].folder == folder
        with pytest.raises(ValueError, match="but skins is 'makehuman', expected a folder of such textures"):
            read_looks(recipe="training", skin_uv=folder / "square.obj")
