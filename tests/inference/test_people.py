import json

import numpy as np
import pytest
from PIL import Image

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.inference.people import find_people, for_each_photograph, is_single, list_photographs

ARRAY = np.zeros((6, 8, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    for value, name in enumerate(("b.png", "a.JPG", "c.webp")):
        Image.fromarray(ARRAY + value).save(tmp_path / name, lossless=True)
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


def keypoints(count=1):
    values = np.random.default_rng(0).uniform(0, 6, (count, 17, 3))
    values[..., 2] = 1
    return values


def test_photographs_of_every_form(folder):
    names = ["a.JPG", "b.png", "c.webp"]
    for inputs in (folder, str(folder)):
        assert [photograph.name for photograph in list_photographs(inputs)] == names
        assert not is_single(inputs)
    (one,) = list_photographs(folder / "b.png")
    assert one.read().shape == (6, 8, 3)
    assert is_single(folder / "b.png")
    mixed = list_photographs([folder / "b.png", ARRAY + 9, folder])
    assert [photograph.name for photograph in mixed] == ["b.png", "image_1", *names]
    assert mixed[1].read()[0, 0, 0] == 9
    assert is_single(ARRAY)
    assert not is_single([ARRAY])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (ARRAY.astype(float), r"an image is float64 \(6, 8, 3\), expected a path or an RGB array"),
        (ARRAY[..., 0], r"an image is uint8 \(6, 8\), expected"),
        ([3], "an image is int, expected a path"),
        (ARRAY[:0], r"an image is uint8 \(0, 8, 3\), expected"),
    ],
)
def test_bad_photographs(inputs, message):
    with pytest.raises(ValueError, match=message):
        list_photographs(inputs)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(ValueError, match=r"holds no images \(\.bmp"):
        list_photographs(tmp_path)


def test_people_as_arrays():
    photographs = list_photographs([ARRAY, ARRAY])
    one, two = find_people([keypoints()[0], keypoints(2)], photographs)
    assert (len(one), len(two)) == (1, 2)
    np.testing.assert_array_equal(one[0].keypoints2d, keypoints()[0])
    low, high = keypoints()[0, :, :2].min(axis=0), keypoints()[0, :, :2].max(axis=0)
    np.testing.assert_allclose(one[0].bbox, [*low, *(high - low)])
    single = find_people(for_each_photograph(keypoints(3), True), photographs[:1])
    assert [len(people) for people in single] == [3]
    given = [CocoPerson(keypoints()[0], np.ones(4))]
    assert find_people(for_each_photograph(given, True), photographs[:1]) == [given]


def test_visibilities_and_peaks_above_one_count_as_one():
    values = keypoints()[0]
    values[:, 2] = np.resize([2, 1, 0.4, 1.02, 0, -1], 17)
    ((person,),) = find_people([values], list_photographs(ARRAY))
    np.testing.assert_array_equal(person.keypoints2d[:, 2], np.resize([1, 1, 0.4, 1, 0, 0], 17))
    np.testing.assert_array_equal(person.keypoints2d[0, :2], values[0, :2])


def test_absent_keypoints_may_be_anything():
    values = keypoints()[0]
    values[3] = np.nan, np.inf, 0
    ((person,),) = find_people([values], list_photographs(ARRAY))
    np.testing.assert_array_equal(person.keypoints2d[3], 0)
    assert np.isfinite(person.bbox).all()


def test_people_of_a_file(folder):
    annotation = {"bbox": [0, 0, 5, 5], "keypoints": [1, 2, 2] * 17}
    content = {
        "images": [{"id": 1, "file_name": "a.JPG"}, {"id": 2, "file_name": "sub/b.png"}],
        "annotations": [{"image_id": 2, **annotation}, {"image_id": 2, **annotation}, {"image_id": 1, **annotation}],
    }
    (folder / "k.json").write_text(json.dumps(content))
    photographs = list_photographs(folder)
    assert [len(people) for people in find_people(folder / "k.json", photographs[:2])] == [1, 2]
    with pytest.raises(ValueError, match=r"none of its 2 images is called .*c\.webp"):
        find_people(str(folder / "k.json"), photographs)
    with pytest.raises(ValueError, match=r"is the file .*k\.json, but image_0 is an array without a name"):
        find_people(folder / "k.json", list_photographs(ARRAY))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"keypoints2d is None, expected a COCO keypoint file, or \(17, 3\)"),
        (np.zeros((16, 3)), r"image_0: keypoints2d has shape \(1, 16, 3\), expected \(17, 3\) or \(P, 17, 3\)"),
        (np.zeros((17, 2)), r"keypoints2d has shape \(1, 17, 2\)"),
        (np.full((17, 3), np.nan) * [1, 1, 0] + [0, 0, 1], "holds NaN or infinite values where the confidence"),
        ([[1.0], [1.0, 2.0]], "image_0: keypoints2d is not an array of numbers"),
        ({"nose": 1}, "image_0: keypoints2d is not an array of numbers"),
        ([[1.0, 2.0, float("inf")]] * 17, "keypoints2d holds a confidence that is NaN or infinite"),
        (keypoints()[0] * [1, 1, 98], "keypoints2d holds a confidence of 98, expected 0 to 1, or a visibility"),
        (np.zeros((2, 17, 3)), "image_0, person 0: 0 keypoints are visible"),
    ],
)
def test_bad_keypoints(value, message):
    if isinstance(value, np.ndarray) and np.isnan(value).any():
        value = np.where(np.isnan(value), [np.nan, np.nan, 1.0], value)
    with pytest.raises(ValueError, match=message):
        find_people(for_each_photograph(value, True), list_photographs(ARRAY))


def test_one_entry_for_each_image():
    with pytest.raises(ValueError, match="keypoints2d has 1 entries for 2 images, expected one for each"):
        find_people([keypoints()], list_photographs([ARRAY, ARRAY]))
