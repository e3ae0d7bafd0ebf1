import numpy as np
import pytest

from mion_plugin.synthesis.appearance import draw_outfit, paint
from mion_plugin.synthesis.patterns import MIN_DIFFERENCE, difference_beyond_shade
from mion_plugin.synthesis.surface import BodySurface


@pytest.fixture(scope="module")
def surface(body):
    return BodySurface.of(body)


@pytest.fixture(scope="module")
def intimate(body, surface):
    """Vertices that clothes must cover: trunk below the collar, hips and upper thighs."""
    weights = body.arrays.weights
    trunk = weights[:, [0, 3, 6, 9]].sum(axis=1) > 0.6
    thighs = weights[:, [1, 2]].sum(axis=1) > 0.6
    y = surface.rest[:, 1]
    hip, knee = surface.marks["left_hip"][1], surface.marks["left_knee"][1]
    below_collar = surface.marks["neck"][1] - 0.1
    return (trunk & (y < below_collar)) | (thighs & (y > hip - 0.25 * (hip - knee)))


@pytest.mark.parametrize("block", range(4))
def test_clothes_cover_the_body(surface, intimate, block):
    assert intimate.sum() > 1000
    for seed in range(block * 100, block * 100 + 100):
        outfit = draw_outfit(np.random.default_rng(seed))
        # a skin colour that no cloth can have, so that skin shows
        color = paint(outfit, surface, surface.rest, np.full((len(surface.rest), 3), -1.0))
        assert (color[intimate] >= 0).all(), seed


def test_cloth_does_not_look_like_skin():
    for seed in range(300):
        outfit = draw_outfit(np.random.default_rng(seed))
        for color in (*outfit.top.colors, *outfit.bottom.colors):
            assert difference_beyond_shade(color, outfit.skin) > 0.75 * MIN_DIFFERENCE, (seed, color, outfit.skin)


def test_hands_and_faces_stay_bare_and_feet_do_not(body, surface):
    skin = np.full((len(surface.rest), 3), -1.0)
    hands = body.arrays.weights[:, [22, 23]].sum(axis=1) > 0.9
    toes = body.arrays.weights[:, [10, 11]].sum(axis=1) > 0.9
    nose = np.linalg.norm(surface.rest - surface.marks["nose"], axis=1) < 0.02
    for seed in range(50):
        color = paint(draw_outfit(np.random.default_rng(seed)), surface, surface.rest, skin)
        assert (color[hands | nose] < 0).all(), seed
        assert (color[toes] >= 0).all(), seed


def test_outfits_vary(surface):
    outfits = [draw_outfit(np.random.default_rng(seed)) for seed in range(200)]
    assert {outfit.top.pattern for outfit in outfits} == {"plain", "stripes", "checks", "blotches"}
    assert {outfit.skirt for outfit in outfits} == {True, False}
    covered = [
        (paint(outfit, surface, surface.rest, np.full((len(surface.rest), 3), -1.0)) >= 0).mean() for outfit in outfits
    ]
    assert np.ptp(covered) > 0.2


def test_albedo_is_a_color(surface):
    for seed in range(30):
        color = paint(draw_outfit(np.random.default_rng(seed)), surface, surface.rest)
        assert np.isfinite(color).all()
        assert color.min() >= 0
        assert color.max() < 1.3  # folds brighten a little
