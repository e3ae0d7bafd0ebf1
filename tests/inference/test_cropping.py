import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.transforms.geometric import MeshAffine
from mion_plugin.inference.cropping import CropPlace, place_crop, visible_box


def make_person(points=((100, 50), (160, 250), (120, 90))):
    keypoints2d = np.zeros((17, 3))
    for index, point in enumerate(points):
        keypoints2d[index] = *point, 1
    return CocoPerson(keypoints2d, np.array([90.0, 40.0, 80.0, 240.0]))


def test_box_of_the_visible_keypoints():
    np.testing.assert_array_equal(visible_box(make_person().keypoints2d), [100, 50, 60, 200])


@pytest.mark.parametrize(
    ("options", "center", "side"),
    [({}, (130, 150), 240), ({"box": "bbox"}, (130, 160), 300), ({"box": "bbox", "scale": 2}, (130, 160), 480)],
)
def test_the_square_around_a_person(options, center, side):
    place = place_crop(make_person(), **options)
    np.testing.assert_allclose(place.center, center)
    assert place.side == pytest.approx(side)


def test_crop_and_keypoints_are_those_of_the_training_pipeline():
    rng = np.random.default_rng(0)
    image, person = rng.integers(0, 256, (300, 260, 3), dtype=np.uint8), make_person()
    place = place_crop(person)
    expected = MeshAffine(64)(
        {"img": image, "center": place.center, "scale": np.full(2, place.side), "keypoints2d": person.keypoints2d}
    )
    np.testing.assert_array_equal(place.cut(image, 64), expected["img"])
    np.testing.assert_allclose(place.to_crop(person.keypoints2d, 64)[:3], expected["keypoints2d"][:3])


def test_a_point_by_hand():
    place = CropPlace(np.array([300.0, 200.0]), 448.0)
    np.testing.assert_allclose(place.to_crop(np.array([[310.0, 180.0, 0.5]]), 224), [[117.0, 102.0, 0.5]])


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        ((), {}, "0 keypoints are visible, expected at least two, apart"),
        (((3, 4),), {}, "1 keypoints are visible"),
        (((3, 4), (3, 4)), {}, "2 keypoints are visible, expected at least two, apart"),
        (((3, 4), (3, 1e300)), {}, "1.2e.300 pixels: in no image"),
        (((3e9, 4), (3e9 + 9, 4)), {}, "the crop's middle is .*: in no image"),
        (((3, 4), (5, 6)), {"box": "face"}, "box is 'face', expected one of keypoints, bbox"),
        (((3, 4), (5, 6)), {"scale": 0.0}, "box_scale is 0.0, expected a positive number"),
    ],
)
def test_bad_input(points, options, message):
    with pytest.raises(ValueError, match=message):
        place_crop(make_person(points), **options)


pixels = st.floats(-1e5, 1e5)


@settings(deadline=None)
@given(points=st.lists(st.tuples(pixels, pixels), min_size=2, max_size=17), size=st.sampled_from([56, 224, 448]))
def test_the_crop_by_keypoints_holds_them_and_leads_back(points, size):
    person = make_person(points)
    if np.ptp(np.array(points), axis=0).max() < 1e-3:
        return  # without extent
    place = place_crop(person)
    visible = person.keypoints2d[person.keypoints2d[:, 2] > 0]
    moved = place.to_crop(visible, size)
    assert (moved[:, :2] > -1e-3 * size).all()
    assert (moved[:, :2] < 1.001 * size).all()
    homogeneous = np.column_stack([moved[:, :2], np.ones(len(moved))])
    back = homogeneous @ np.linalg.inv(place.matrix(size)).T
    np.testing.assert_allclose(back[:, :2], visible[:, :2], rtol=1e-6, atol=1e-5 * place.side)
