"""What hostile annotation files and images found; each ends with a line that names the file and what is wrong."""

import json

import numpy as np
import pytest

from mion_plugin.datasets import HumanDataset
from mion_plugin.datasets.coco import load_coco_people
from mion_plugin.datasets.transforms.loading import BrokenImageError, read_image
from mion_plugin.detection.person_boxes import boxes_of_coco, boxes_of_human_data

PATHS = ["../a.jpg", "/etc/passwd", "a/../../b.jpg", "..\\..\\a.jpg", "", "a\0.jpg"]


@pytest.fixture
def people(tmp_path):
    """Writer of a sound HumanData file of two people with changes."""

    def write(**changes):
        content = {
            "image_path": np.array(["a.jpg", "b.jpg"], dtype=object),
            "bbox_xywh": np.array([[10.0, 10.0, 50.0, 50.0, 1.0]] * 2),
            "keypoints2d": np.full((2, 190, 3), 20.0),
        }
        np.savez(tmp_path / "people.npz", **{**content, **changes})
        return tmp_path / "people.npz"

    return write


@pytest.fixture
def coco(tmp_path):
    """Writer of a sound COCO file of one person with changes of that person and of the image."""

    def write(image=None, **changes):
        person = {"id": 1, "image_id": 7, "keypoints": [5.0, 6.0, 2] * 8 + [50.0, 60.0, 2] * 9, "bbox": [1, 2, 90, 90]}
        content = {"images": [{"id": 7, "file_name": "a.jpg", **(image or {})}], "annotations": [{**person, **changes}]}
        (tmp_path / "coco.json").write_text(json.dumps(content))
        return tmp_path / "coco.json"

    return write


def read(path):
    dataset = HumanDataset(ann_file=path.name, data_root=str(path.parent))
    return [dataset.get_data_info(index) for index in range(len(dataset))]


class TestHumanData:
    def test_sound(self, people):
        assert len(read(people())) == 2
        assert len(boxes_of_human_data(people())) == 2

    @pytest.mark.parametrize("reader", [read, boxes_of_human_data])
    def test_no_rows(self, people, reader):
        nobody = people(image_path=np.array([], object), bbox_xywh=np.zeros((0, 5)), keypoints2d=np.zeros((0, 190, 3)))
        with pytest.raises(ValueError, match=r"people\.npz: key 'image_path' holds no rows"):
            reader(nobody)

    @pytest.mark.parametrize("dtype", ["U8", "complex64", "M8[s]"])
    def test_what_numpy_would_turn_into_numbers(self, people, dtype):
        boxes = np.ones((2, 5)).astype(dtype if dtype != "M8[s]" else np.int64).astype(dtype)
        with pytest.raises(ValueError, match=r"people\.npz: key 'bbox_xywh' is not an array of numbers"):
            read(people(bbox_xywh=boxes))

    @pytest.mark.parametrize("value", [1e300, 3e38])
    def test_numbers_beyond_single_precision(self, people, value):
        """3e38 is one, but the middle of such a box is not."""
        with pytest.raises(ValueError, match=r"people\.npz: key '\w+' holds NaN or infinite values in 2 rows"):
            read(people(bbox_xywh=np.full((2, 5), value)))

    @pytest.mark.parametrize("reader", [read, boxes_of_human_data])
    @pytest.mark.parametrize("path", PATHS)
    def test_paths_that_lead_out(self, people, reader, path):
        with pytest.raises(ValueError, match=r"people\.npz.*expected a path below the image folder"):
            reader(people(image_path=np.array(["a.jpg", path], dtype=object)))


class TestCoco:
    def test_sound(self, coco):
        assert len(load_coco_people(coco(), "a.jpg")) == len(boxes_of_coco(coco())) == 1

    @pytest.mark.parametrize("keypoints", [True, 3, 1.5, "text"])
    def test_keypoints_that_are_no_list(self, coco, keypoints):
        with pytest.raises(ValueError, match=r"coco\.json: annotation 1: keypoints must be a list of numbers"):
            load_coco_people(coco(keypoints=keypoints), "a.jpg")

    @pytest.mark.parametrize("value", [[], {}, None, 1.5])
    @pytest.mark.parametrize("reader", [lambda path: load_coco_people(path, "a.jpg"), boxes_of_coco])
    def test_ids_that_are_no_numbers(self, coco, value, reader):
        for path in (coco(image_id=value), coco(image={"id": value})):
            with pytest.raises(ValueError, match=r"coco\.json: (image_)?id is .*, expected the number of an image"):
                reader(path)

    @pytest.mark.parametrize("path", PATHS)
    def test_paths_that_lead_out(self, coco, path):
        with pytest.raises(ValueError, match=r"coco\.json: file_name is .*, expected a path below the image folder"):
            boxes_of_coco(coco(image={"file_name": path}))

    def test_an_integer_of_many_digits(self, tmp_path):
        (tmp_path / "digits.json").write_text("9" * 10_000)
        with pytest.raises(ValueError, match=r"digits\.json is not a JSON file"):
            load_coco_people(tmp_path / "digits.json", "a.jpg")


def test_a_program_for_an_image_is_not_run(tmp_path):
    """Pillow would hand PostScript to Ghostscript, whatever the file's name."""
    path = tmp_path / "photo.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n")
    with pytest.raises(BrokenImageError, match=r"photo\.png cannot be read: it is no picture of BMP, JPEG, PNG, TIFF"):
        read_image(path)
