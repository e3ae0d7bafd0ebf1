import io
import json
import tarfile

import numpy as np
import pytest

from mion_plugin.datasets.coco import load_coco_people
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference.frames import NobodyError
from mion_plugin.prediction.keypoints import DetectedPeople, KeypointTable, members_beside
from mion_plugin.prediction.photographs import StoredPhotograph
from mion_plugin.prediction.tar_members import read_members

PIXELS = np.zeros((4, 4, 3), np.uint8)


def person(image_id, x):
    return {"id": x, "image_id": image_id, "keypoints": [x, 1, 2] * 17, "bbox": [0, 0, 5, 5]}


@pytest.fixture
def table(tmp_path):
    images = ["a/1.png", "b/1.png", "b/2.png", "c/3.png"]
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(images)],
        "annotations": [person(2, 20), person(0, 5), person(1, 10), person(2, 21)],
    }
    (tmp_path / "k.json").write_text(json.dumps(content))
    return KeypointTable(tmp_path / "k.json")


def places(found):
    return [one.keypoints2d[0, 0] - 0.5 for one in found]


def test_it_holds_what_the_file_does(table):
    (expected,) = load_coco_people(KEYPOINTS, PHOTO.name)
    (found,) = KeypointTable(KEYPOINTS)(StoredPhotograph(PHOTO.name, ""), PIXELS)
    np.testing.assert_array_equal(found.keypoints2d, expected.keypoints2d)
    np.testing.assert_array_equal(found.bbox, expected.bbox)


def test_images_of_one_name_in_several_folders_are_told_apart(table):
    for name, expected in {
        "a/1.png": [5],
        "b/1.png": [10],
        "b/2.png": [20, 21],
        "2.png": [20, 21],
        "./a/1.png": [5],
        "x.tar/b/1.png": [10],
        "/home/me/a/1.png": [5],
    }.items():
        assert places(table(StoredPhotograph(name, ""), PIXELS)) == expected
    for name, told in {
        "1.png": "1.png may be a/1.png and b/1.png",
        "c/1.png": "none of its 4 images is called c/1.png; a/1.png is in another folder",  # not the one of that name
        "c/2.png": "none of its 4 images is called c/2.png; b/2.png is in another folder",
        "lost.png": "none of its 4 images is called lost.png",
        "3.png": "nobody in c/3.png has keypoints",
    }.items():
        with pytest.raises(NobodyError, match=told):
            table(StoredPhotograph(name, ""), PIXELS)


def test_a_name_is_that_of_any_system(tmp_path):
    names = ["val\\1.png", "val/fu\u0308r.png", "2.png", "val/2.png"]
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [person(number, number) for number in range(4)],
    }
    (tmp_path / "k.json").write_text(json.dumps(content))
    table = KeypointTable(tmp_path / "k.json")
    for name, expected in {"val/1.png": 0, "val/f\u00fcr.png": 1, "train/2.png": 2, "x.tar/val/2.png": 3}.items():
        assert places(table(StoredPhotograph(name, ""), PIXELS)) == [expected]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([person(0, 3), {"keypoints": [0] * 51, "bbox": [0, 0, 1, 1]}], [3]),
        ({"annotations": [person(0, 3), person(0, 4)]}, [3, 4]),
        ([], "nobody has any"),
        ({}, "expected a list of COCO annotations"),
        ([1], "expected a list of COCO annotations"),
        ([{"keypoints": [1, 2, 2], "bbox": [0, 0, 1, 1]}], "person 0 has 1 keypoints, expected one of 17"),
        ([{"keypoints": [1, 2, 2] * 17, "bbox": [0, 0, 1]}], "person 0 has 3 bbox numbers, expected 4"),
        ([{"keypoints": [10**400] * 51, "bbox": [0, 0, 1, 1]}], "keypoints must be a list of numbers"),
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (None, "no such member beside it"),
    ],
)
def test_members_of_a_tar(tmp_path, content, expected):
    text = content if isinstance(content, bytes | None) else json.dumps(content).encode()
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, data in {"0.png": b"1", "0.json": text}.items():
            if data is not None:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    ((photograph,), _) = read_members(tmp_path / "x.tar", "json")
    if isinstance(expected, list):
        assert places(members_beside(photograph, PIXELS)) == expected
    else:
        with pytest.raises(NobodyError, match=f"the keypoints of x.tar/0.png.*{expected}"):
            members_beside(photograph, PIXELS)


def test_a_detector_is_made_at_first_use():
    made = []

    def make():
        made.append(1)
        return lambda pixels: [] if pixels.any() else ["someone"]

    people_of = DetectedPeople(make)
    assert made == []
    assert [people_of(StoredPhotograph("a", ""), PIXELS) for _ in range(2)] == [["someone"]] * 2
    assert made == [1]
    with pytest.raises(NobodyError, match="a: nobody was found in it"):
        people_of(StoredPhotograph("a", ""), PIXELS + 1)
