"""Backgrounds, skins, and what spoils pictures."""

import numpy as np
import pytest
from PIL import Image

from mion_plugin.body.stand_in import StandInSurface
from mion_plugin.datasets.transforms import BrokenImageError
from mion_plugin.synthesis.backgrounds import FolderBackground, ProceduralBackground
from mion_plugin.synthesis.degradation import Degradation
from mion_plugin.synthesis.skins import SkinTextures
from mion_plugin.synthesis.texture_map import TextureMap


def test_procedural_backgrounds_repeat_and_vary():
    background = ProceduralBackground()
    first = background.draw(np.random.default_rng(0), 64)
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, background.draw(np.random.default_rng(0), 64))
    assert (first != background.draw(np.random.default_rng(1), 64)).mean() > 0.5


def test_folder_backgrounds_are_crops_of_the_images(tmp_path):
    ramp = np.zeros((90, 120, 3), np.uint8)
    ramp[..., 0] = np.arange(120)  # red tells the column, green the row
    ramp[..., 1] = np.arange(90)[:, None]
    (tmp_path / "room").mkdir()
    Image.fromarray(ramp).save(tmp_path / "room" / "a.png")
    (tmp_path / "list.txt").write_text("not an image")
    background = FolderBackground(tmp_path)
    flipped = 0
    for seed in range(20):
        crop = background.draw(np.random.default_rng(seed), 48).astype(int)
        columns, rows = crop[:, :, 0].mean(axis=0), crop[:, :, 1].mean(axis=1)
        flipped += columns[0] > columns[-1]
        assert abs(np.ptp(columns) - np.ptp(rows)) < 3  # square, so nothing is stretched
        assert 0.3 * 90 < np.ptp(rows) <= 90
    assert 0 < flipped < 20


def test_backgrounds_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        FolderBackground(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no image"):
        FolderBackground(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not a JPEG")
    with pytest.raises(BrokenImageError, match=r"broken\.jpg"):
        FolderBackground(tmp_path).draw(np.random.default_rng(0), 32)


def test_skins_are_looked_up_with_v_up(tmp_path):
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[0, 3] = 255  # top right: u near 1, v near 1
    Image.fromarray(texture).save(tmp_path / "skin.png")
    uv = np.array([[0.9, 0.9], [0.1, 0.9], [0.9, 0.1]], np.float32)
    surface = StandInSurface(uv, np.tile([0, 1, 2], (13776, 1)), np.arange(6890))
    texture_map = TextureMap.of_stand_in(surface)
    color = SkinTextures(tmp_path, texture_map).sample(np.random.default_rng(0), np.array([0, 0, 0]), np.eye(3))
    np.testing.assert_array_equal(color, [[1, 1, 1], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(FileNotFoundError, match="skin texture folder"):
        SkinTextures(tmp_path / "nowhere")


def test_pictures_are_left_alone_by_default():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Degradation().apply(image, np.random.default_rng(1)), image)
    assert not Degradation().occlude(image.copy(), np.full((5, 2), 16.0), np.random.default_rng(1)).any()


@pytest.mark.parametrize("kind", ["blur_prob", "noise_prob", "jpeg_prob"])
def test_each_degradation_changes_the_picture_a_little(kind):
    image = ProceduralBackground().draw(np.random.default_rng(0), 64)
    spoilt = Degradation(**{kind: 1.0}).apply(image, np.random.default_rng(1))
    assert spoilt.shape == image.shape
    assert spoilt.dtype == np.uint8
    difference = np.abs(spoilt.astype(int) - image.astype(int))
    assert 0 < difference.mean() < 20


def test_occluders_cover_a_keypoint_with_one_color():
    for seed in range(10):
        image = np.zeros((64, 64, 3), np.uint8)
        covered = Degradation(occluder_prob=1.0).occlude(image, np.array([[32.0, 32.0]]), np.random.default_rng(seed))
        assert 0 < covered.sum() < 0.36**2 * 64**2 + 64
        assert len(np.unique(image[covered], axis=0)) == 1
        assert (image[~covered] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"blur_prob": 2.0}, "blur_prob 2.0, expected 0 to 1"), ({"jpeg_quality": (90, 30)}, "jpeg_quality")],
)
def test_degradations_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Degradation(**arguments)
