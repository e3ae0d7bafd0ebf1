import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.prediction.parts import Part
from mion_plugin.prediction.sources import open_photographs


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "b").mkdir(parents=True)
    for number, name in enumerate(["2.png", "10.JPG", "b/1.png", "notes.txt"]):
        path = tmp_path / "images" / name
        if name != "notes.txt":
            Image.fromarray(np.full((4, 6, 3), number, np.uint8)).save(path, "PNG")
        else:
            path.touch()
    return tmp_path


def names(source, part=None):
    return [[photograph.name for photograph in piece.photographs] for piece in source.pieces(part or Part())]


def test_a_folder_at_any_depth(folder):
    source = open_photographs([str(folder / "images")], piece_size=2)
    assert names(source) == [["10.JPG", "2.png"], ["b/1.png"]]
    assert [piece.name for piece in source.pieces(Part())] == ["000000", "000001"]
    (_, (photograph,)) = (piece.photographs for piece in source.pieces(Part()))
    np.testing.assert_array_equal(photograph.read(), read_image(folder / "images" / "b" / "1.png"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_list_as_powershell_writes_it(folder, encoding):
    (folder / "list.txt").write_bytes("images/h\u00f6he.png\r\nimages/10.JPG\r\n".encode(encoding))
    (piece,) = open_photographs([str(folder / "list.txt")]).pieces(Part())
    assert [photograph.name for photograph in piece.photographs] == ["images/h\u00f6he.png", "images/10.JPG"]


def test_a_list(folder, tmp_path):
    absolute = folder / "images" / "2.png"
    (folder / "list.txt").write_text(f"\ufeffimages/10.JPG\n\n  {absolute}\nimages/lost.png\n", encoding="utf-8")
    source = open_photographs([str(folder / "list.txt")])
    assert names(source) == [["images/10.JPG", str(absolute), "images/lost.png"]]
    (piece,) = source.pieces(Part())
    assert [photograph.read()[0, 0, 0] for photograph in piece.photographs[:2]] == [1, 0]
    (folder / "list.txt").write_text("b/1.png\n")
    (piece,) = open_photographs([str(folder / "list.txt")], root=folder / "images").pieces(Part())
    assert piece.photographs[0].read()[0, 0, 0] == 2


def test_the_images_of_an_annotation_file(folder):
    images = [{"id": number, "file_name": name} for number, name in enumerate(["b/1.png", "2.png", "b/1.png"])]
    (folder / "k.json").write_text(json.dumps({"images": images, "annotations": []}))
    source = open_photographs([str(folder / "k.json")], root=folder / "images")
    assert names(source) == [["b/1.png", "2.png"]]
    windows = {"images": [{"id": 1, "file_name": "b\\1.png"}], "annotations": []}
    (folder / "k.json").write_text(json.dumps(windows))
    (piece,) = open_photographs([str(folder / "k.json")], root=folder / "images").pieces(Part())
    assert piece.photographs[0].read()[0, 0, 0] == 2


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_make_up_the_whole_whatever_their_number(tmp_path, count):
    (tmp_path / "list.txt").write_text("\n".join(f"{number}.png" for number in range(10)))
    source = open_photographs([str(tmp_path / "list.txt")], piece_size=3)
    whole = {piece.name: names(source)[row] for row, piece in enumerate(source.pieces(Part()))}
    parts = [piece for index in range(count) for piece in source.pieces(Part(index, count))]
    assert len(parts) == len(whole) == 4
    assert {piece.name: [one.name for one in piece.photographs] for piece in parts} == whole


def test_the_digest_tells_inputs_apart(tmp_path):
    path = tmp_path / "list.txt"

    def digest(text, **options):
        path.write_text(text)
        return open_photographs([str(path)], **options).digest()

    first = digest("a.png\nb.png")
    assert digest("a.png\n\nb.png\n") == first
    assert len({first, digest("a.pngb.png"), digest("b.png\na.png"), digest("a.png\nb.png", piece_size=7)}) == 4


@pytest.mark.parametrize(
    ("inputs", "error", "told"),
    [
        (["lost"], FileNotFoundError, "lost does not exist; expected a folder, a list"),
        (["*.tar"], FileNotFoundError, "does not exist"),
        (["images/2.png"], ValueError, r"2\.png: expected a folder, a list"),
        (["images", "images"], ValueError, "several inputs must be tars"),
        (["empty"], ValueError, "holds no images"),
        (["empty.txt"], ValueError, "is empty, expected the path of an image in each line"),
        (["out.json"], ValueError, r"file_name '\.\./secret\.png' is not below the folder of the images"),
        (["broken.json"], ValueError, "is not a JSON file"),
    ],
)
def test_bad_input(folder, monkeypatch, inputs, error, told):
    monkeypatch.chdir(folder)
    Path("empty").mkdir()
    Path("empty.txt").write_text("\n \n")
    Path("out.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "../secret.png"}], "annotations": []}))
    Path("broken.json").write_text("{")
    with pytest.raises(error, match=told):
        open_photographs(inputs)


def test_tars_of_one_name_and_a_size_of_nothing(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.tar").touch()
    with pytest.raises(ValueError, match="have one name, by which their results are called"):
        open_photographs([str(tmp_path / "*" / "x.tar")])
    with pytest.raises(ValueError, match="shard size 0, expected at least 1 photograph"):
        open_photographs([str(tmp_path)], piece_size=0)


def test_keypoints_in_members_of_what_is_no_tar(folder):
    with pytest.raises(ValueError, match=r"keypoints member \.json: tars have members, but the photographs are files"):
        open_photographs([str(folder / "images")], keypoint_suffix=".JSON")
