import numpy as np
import pytest

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.transforms.geometric import MeshAffine
from mion_plugin.inference.cropping import CropPlace, keypoint_box, place_crop


def make_person(points=((100, 50), (160, 250), (120, 90))):
    keypoints2d = np.zeros((17, 3))
    for index, point in enumerate(points):
        keypoints2d[index] = *point, 1
    return CocoPerson(keypoints2d, np.array([90.0, 40.0, 80.0, 240.0]))


def test_box_of_the_visible_keypoints():
    np.testing.assert_array_equal(keypoint_box(make_person().keypoints2d), [100, 50, 60, 200])


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
        (((3, 4), (5, 6)), {"box": "face"}, "box is 'face', expected one of keypoints, bbox"),
        (((3, 4), (5, 6)), {"scale": 0.0}, "box_scale is 0.0, expected a positive number"),
    ],
)
def test_bad_input(points, options, message):
    with pytest.raises(ValueError, match=message):
        place_crop(make_person(points), **options)
