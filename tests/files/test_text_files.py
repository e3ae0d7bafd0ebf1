"""Other people's text files: what they mean, whatever wrote them."""

import codecs
import json

import pytest

from mion_plugin.datasets.coco import load_coco_people
from mion_plugin.detection.person_boxes import boxes_of_coco
from mion_plugin.files.json_files import read_json
from mion_plugin.files.text_files import read_text

TEXT = '{"images": "Höhe Ñandú"}'
EVERYWHERE = "{}\n  照片"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-32"),
        TEXT.encode("latin-1"),
    ],
)
def test_every_encoding_is_the_same_text(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_text(tmp_path / "a.json") == TEXT
    assert read_json(tmp_path / "a.json") == {"images": "Höhe Ñandú"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"])
def test_all_of_unicode(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(EVERYWHERE.encode(encoding))
    assert read_text(tmp_path / "a.txt") == EVERYWHERE


def test_half_a_character_of_utf_16_is_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(TEXT.encode("utf-16")[:-1])
    with pytest.raises(ValueError, match=r"a\.json is not a JSON file: .*begins as utf-16 text, but is not"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_annotations_of_every_encoding_name_their_images(tmp_path, encoding):
    person = {"id": 1, "image_id": 1, "bbox": [1, 2, 3, 4], "keypoints": [5, 6, 2, 7, 8, 2] + [0] * 45}
    content = {"images": [{"id": 1, "file_name": "Höhe.jpg"}], "annotations": [person]}
    (tmp_path / "a.json").write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    (found,) = load_coco_people(tmp_path / "a.json", "Höhe.jpg")
    assert found.keypoints2d[1].tolist() == [7.5, 8.5, 1.0]
    assert boxes_of_coco(tmp_path / "a.json").image_paths == ("Höhe.jpg",)
