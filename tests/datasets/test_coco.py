import copy
import json

import numpy as np
import pytest

from mion_plugin.datasets.coco import load_coco_people, load_coco_people_of

CONTENT = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 7, "bbox": [10, 20, 30, 40], "keypoints": [0] * 51},
        {"id": 2, "image_id": 7, "bbox": [1, 2, 3, 4], "keypoints": [5, 6, 2, 7, 8, 1, 9, 9, 0] + [0] * 42},
        {"id": 3, "image_id": 8, "bbox": [0, 0, 9, 9], "keypoints": [0] * 51},
    ],
}


def write(tmp_path, change=lambda content: None):
    content = copy.deepcopy(CONTENT)
    changed = change(content)
    (tmp_path / "k.json").write_text(json.dumps(content if changed is None else changed))
    return tmp_path / "k.json"


def test_reads_people_with_keypoints(tmp_path):
    (person,) = load_coco_people(write(tmp_path), "a.jpg")
    expected = np.zeros((17, 3))
    expected[0] = 5.5, 6.5, 1.0  # the centre of the pixel that COCO names
    expected[1] = 7.5, 8.5, 1.0
    np.testing.assert_array_equal(person.keypoints2d, expected)  # the third is not labelled
    np.testing.assert_array_equal(person.bbox, [1, 2, 3, 4])


def test_several_images_at_once(tmp_path):
    def annotate(content):
        content["annotations"][2]["keypoints"] = [3, 3, 2] * 17

    path = write(tmp_path, annotate)
    people = load_coco_people_of(path, ["b.jpg", "a.jpg"])
    for name, found in zip(["b.jpg", "a.jpg"], people, strict=True):
        (alone,) = load_coco_people(path, name)
        np.testing.assert_array_equal(found[0].keypoints2d, alone.keypoints2d)
    assert (people[0][0].keypoints2d == [3.5, 3.5, 1.0]).all()


def change_annotation(**fields):
    return lambda content: content["annotations"][1].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [], "has no list 'images'; expected COCO keypoint annotations"),
        (lambda c: c.pop("annotations") and None, "has no list 'annotations'"),
        (lambda c: c.update(annotations=[1]), "has no list 'annotations'"),
        (lambda c: c.update(images=[]), r"none of its 0 images is called a\.jpg"),
        (lambda c: c["annotations"].pop(1) and None, r"nobody in a\.jpg has keypoints"),
        (
            change_annotation(keypoints=[1, 2, 3]),
            r"annotation 2 has 1 keypoints, expected one of 17 \(COCO\), 25 \(OpenPose's BODY_25\)",
        ),
        (change_annotation(keypoints=["x"] * 51), "annotation 2: keypoints must be a list of numbers"),
        (change_annotation(bbox=[0, 0, 0, 5]), "the box must have a size"),
        (change_annotation(keypoints=[float("nan")] * 51), "hold NaN or infinite"),
    ],
)
def test_bad_files_name_themselves_and_the_fault(tmp_path, change, message):
    with pytest.raises(ValueError, match=rf"k\.json.*{message}"):
        load_coco_people(write(tmp_path, change), "a.jpg")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_not_json(tmp_path, data):
    (tmp_path / "k.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"k\.json is not a (JSON file|readable keypoint file: it is empty)"):
        load_coco_people(tmp_path / "k.json", "a.jpg")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        load_coco_people(tmp_path / "none.json", "a.jpg")
