"""Views into panoramas, colours, motion, things in front: against plain geometry and invariants."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mion_plugin.synthesis.degradation import Degradation
from mion_plugin.synthesis.effects import motion_blur, recolor
from mion_plugin.synthesis.occluders import cover_with_thing, cut_off
from mion_plugin.synthesis.photographs import PhotographBackground, perspective_view

NEW = ("color_prob", "motion_prob", "small_prob")


def directions(height=256):
    """A panorama whose red is the longitude and whose green is the latitude, as 0..255."""
    panorama = np.zeros((height, 2 * height, 3), np.uint8)
    panorama[..., 0] = np.arange(2 * height) * 256 // (2 * height)
    panorama[..., 1] = (np.arange(height) * 256 // height)[:, None]
    return panorama


def seen(view, row, column):
    """(longitude, latitude) in degrees, right and down, that a pixel shows."""
    return view[row, column, 0] / 256 * 360 - 180, view[row, column, 1] / 256 * 180 - 90


def test_a_view_shows_what_a_pinhole_camera_sees():
    view = perspective_view(directions(), 64, np.deg2rad(90)).astype(float)
    assert seen(view, 32, 32) == pytest.approx((0, 0), abs=3)
    assert seen(view, 32, 63) == pytest.approx((45, 0), abs=3)
    assert seen(view, 0, 32) == pytest.approx((0, -45), abs=3)
    corner = np.rad2deg(np.arctan(1 / np.sqrt(2)))  # 45 degrees aside, and up by the longer way to it
    assert seen(view, 0, 63) == pytest.approx((45, -corner), abs=3)


@pytest.mark.parametrize(
    ("turn", "expected"), [({"yaw": 0.5}, (28.6, 0)), ({"pitch": 0.5}, (0, -28.6)), ({"roll": 1.0}, (0, 0))]
)
def test_the_camera_turns_right_and_up(turn, expected):
    view = perspective_view(directions(), 65, np.deg2rad(60), **turn).astype(float)
    assert seen(view, 32, 32) == pytest.approx(expected, abs=3)


def test_a_quarter_roll_turns_the_view_by_a_quarter():
    level = perspective_view(directions(), 32, 1.0).astype(int)
    rolled = perspective_view(directions(), 32, 1.0, roll=np.pi / 2).astype(int)
    assert np.abs(np.rot90(level) - rolled).max() <= 2


def test_recoloring_by_nothing_leaves_the_picture():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    same = recolor(picture, np.random.default_rng(1), strength=0.0)
    assert np.abs(np.asarray(same).astype(int) - np.asarray(picture)).max() <= 1
    assert (np.asarray(recolor(picture, np.random.default_rng(1), 1.0)) != np.asarray(picture)).any()


def test_motion_smears_along_its_direction():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 210
    across, down = motion_blur(image, 6.0, 0.0), motion_blur(image, 6.0, np.pi / 2)
    assert (np.flatnonzero(across[:, :, 0].any(axis=1)) == [10]).all()
    assert across.sum() == pytest.approx(image.sum(), rel=0.05)
    assert (across > 0)[10, :, 0].sum() == 7
    np.testing.assert_array_equal(across, down.transpose(1, 0, 2))


def painted(seed, size, cut, value):
    """A plain picture behind an occluder, and the pixels that are told to be hidden."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), value, np.uint8)
    return image, cut_off(image, 0.35, rng) if cut else cover_with_thing(image, rng.random(2) * size, rng)


@example(seed=364, size=16, cut=False)  # thinner than a pixel: it shades some and hides none
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(16, 120), cut=st.booleans())
def test_what_an_occluder_hides_is_what_it_covers_by_more_than_half(seed, size, cut):
    (black, covered), (white, _) = (painted(seed, size, cut, value) for value in (0, 255))
    opacity = 1 - (white.astype(int) - black).mean(axis=2) / 255  # of the white that is behind, what is left
    assert covered[opacity > 0.5 + 1 / 255].all()
    assert not covered[opacity < 0.5 - 1 / 255].any()
    assert covered.mean() < (0.6 if cut else 0.75)
    if cut:
        assert covered.any()


@pytest.mark.parametrize("kind", NEW)
def test_each_fault_changes_the_picture_and_keeps_its_size(kind):
    image = PhotographBackground(0.0).draw(np.random.default_rng(0), 112)
    spoilt = Degradation(**{kind: 1.0}).apply(image, np.random.default_rng(1))
    assert spoilt.shape == image.shape
    assert spoilt.dtype == np.uint8
    assert 0 < np.abs(spoilt.astype(int) - image.astype(int)).mean() < 60


@pytest.mark.parametrize("kind", ["thing_prob", "cut_prob"])
def test_what_covers_is_told(kind):
    image, points = np.full((64, 64, 3), 77, np.uint8), np.full((5, 2), 32.0)
    covered = Degradation(**{kind: 1.0}).occlude(image, points, np.random.default_rng(4))
    assert covered.any()
    assert (image[covered] != 77).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thing_prob": -0.1}, "thing_prob -0.1, expected 0 to 1"),
        ({"small_prob": float("nan")}, "small_prob nan, expected 0 to 1"),
        ({"most_cut": 1.0}, "most_cut 1.0, expected 0 to 0.9"),
        ({"least_size": 0.0}, "least_size 0.0, expected 0.1 to 1"),
        ({"motion_length": 2.0}, "motion_length 2.0, expected 0 to 0.5"),
        ({"color_strength": float("inf")}, "color_strength inf, expected 0 to 3"),
    ],
)
def test_faults_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Degradation(**arguments)


def test_a_share_of_procedural_pictures_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"procedural_prob 1\.5, expected 0 to 1"):
        PhotographBackground(1.5)
