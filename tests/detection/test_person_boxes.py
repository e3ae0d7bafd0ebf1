import json

import numpy as np
import pytest

from mion_plugin.datasets.human_data import save_human_data
from mion_plugin.detection.person_boxes import PersonBoxes, boxes_of_coco, boxes_of_human_data, boxes_of_images


def write_coco(folder, **changes):
    person = {"id": 5, "image_id": 70, "bbox": [1.0, 2.0, 30.0, 40.0], "keypoints": [9, 8, 2] * 16 + [0, 0, 0]}
    content = {
        "images": [{"id": 70, "file_name": "a.jpg"}, {"id": 71, "file_name": "b.jpg"}],
        "annotations": [
            person | changes,
            {"id": 6, "image_id": 71, "bbox": [0, 0, 9, 9], "iscrowd": 1},
            {"id": 7, "image_id": 71, "bbox": [3, 4, 5, 6]},
        ],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def test_coco(tmp_path):
    people = boxes_of_coco(write_coco(tmp_path))
    assert people.image_paths == ("a.jpg", "b.jpg")
    assert people.image_ids == (70, 71)
    assert people.ids == (5, 7)
    assert people.boxes.tolist() == [[1, 2, 30, 40], [3, 4, 5, 6]]
    assert people.annotated[0].tolist() == [[9.5, 8.5, 1.0]] * 16 + [[0.0, 0.0, 0.0]]
    assert not people.annotated[1].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2, 0, 4]}, r"bbox of annotation 5 is \[1.0, 2.0, 0.0, 4.0\], expected finite numbers"),
        ({"bbox": [1, 2, 3]}, "a bbox is not four numbers"),
        ({"bbox": "wide"}, "a bbox is not four numbers"),
        ({"image_id": 9}, "annotation 5 is of image 9, which is not among its images"),
        ({"keypoints": [1, 2]}, "annotation 5: keypoints must be a list of numbers"),
        ({"keypoints": [float("nan")] * 51}, "keypoints hold NaN"),
    ],
)
def test_bad_coco(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        boxes_of_coco(write_coco(tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a JSON file"),
        ("[]", "has no lists 'images' and 'annotations'"),
        ('{"images": [], "annotations": [1]}', "must be lists of objects"),
        ('{"images": [], "annotations": []}', "none of its 0 annotations has a bbox"),
    ],
)
def test_another_file_than_coco(text, message, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        boxes_of_coco(tmp_path / "x.json")


def test_human_data(tmp_path):
    boxes = np.array([[1.0, 2.0, 30.0, 40.0, 1.0], [3.0, 4.0, 5.0, 6.0, 0.9]])
    path = save_human_data(tmp_path / "set.npz", {"image_path": ["a.jpg", "a.jpg"], "bbox_xywh": boxes})
    people = boxes_of_human_data(path)
    assert people.image_paths == ("a.jpg", "a.jpg")
    np.testing.assert_array_equal(people.boxes, boxes[:, :4])
    boxes[1, 2] = -1.0
    save_human_data(path, {"image_path": ["a.jpg", "a.jpg"], "bbox_xywh": boxes})
    with pytest.raises(ValueError, match="bbox_xywh of row 1 is"):
        boxes_of_human_data(path)


def test_images(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (tmp_path / name).touch()
    people = boxes_of_images(tmp_path)
    assert people.image_paths == ("a.PNG", "b.jpg")
    assert people.boxes is None
    with pytest.raises(FileNotFoundError, match="does not exist"):
        boxes_of_images(tmp_path / "none")


def test_scaling_keeps_the_middle():
    people = PersonBoxes(("a",), np.array([[10.0, 20.0, 12.0, 24.0]]))
    assert people.scaled(0.5).boxes.tolist() == [[13.0, 26.0, 6.0, 12.0]]
    assert people.scaled(1.2).scaled(1 / 1.2).boxes == pytest.approx(people.boxes)
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected a positive number"):
            people.scaled(factor)


def test_the_digest_tells_people_apart():
    boxes = np.ones((2, 4))
    digests = {
        PersonBoxes(("a", "b"), boxes).digest(),
        PersonBoxes(("a", "c"), boxes).digest(),
        PersonBoxes(("a", "b"), 2 * boxes).digest(),
        PersonBoxes(("a", "b")).digest(),
    }
    assert len(digests) == 4
    assert PersonBoxes(("a", "b"), boxes.copy()).digest() in digests
