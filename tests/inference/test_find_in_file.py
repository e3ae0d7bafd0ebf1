"""People of an annotation file for frames from several folders, some of its entries bad."""

import json

import numpy as np
import pytest
from PIL import Image

from mion_plugin.inference.frames import NobodyError, find_in_file
from mion_plugin.inference.sources import Frame, open_source

FOLDERS = ("jump", "walk")


@pytest.fixture
def source(tmp_path):
    for folder in FOLDERS:
        for number in range(2):
            path = tmp_path / "clips" / folder / f"{number:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(path)
    return open_source(str(tmp_path / "clips" / "*" / "*.png"))


def write(tmp_path, names, **changes):
    """A person for each name, whose nose is at the place of the name."""
    images = [{"id": n, "file_name": name} for n, name in enumerate(names)]
    people = [{"id": n, "image_id": n, "keypoints": [n, n, 2, 5, 5, 2] + [0] * 45} for n in range(len(names))]
    people[1].update(changes)
    (tmp_path / "k.json").write_text(json.dumps({"images": images, "annotations": people}))
    return tmp_path / "k.json"


def noses(find, frames):
    found = []
    for frame in frames:
        try:
            found.append([person.keypoints2d[0, 0] - 0.5 for person in find(frame)])
        except NobodyError as error:
            found.append(str(error))
    return found


def test_each_photograph_gets_the_people_of_its_own_folder(source, tmp_path):
    names = [f"D:\\clips\\{folder}\\{number:06d}.png" for folder in reversed(FOLDERS) for number in range(2)]
    find = find_in_file(write(tmp_path, names), source.paths)
    frames = list(source.frames)
    assert noses(find, frames) == [[2.0], [3.0], [0.0], [1.0]]
    assert [frame.name for frame in frames] == [f"{folder}/{n:06d}.png" for folder in FOLDERS for n in range(2)]


def test_people_are_not_given_to_another_folder(source, tmp_path):
    find = find_in_file(write(tmp_path, ["walk/000000.png", "walk/000001.png"]), source.paths)
    *left_out, first, second = noses(find, source.frames)
    assert (first, second) == ([0.0], [1.0])
    assert all("none of its 2 images is called jump/00000" in text for text in left_out)


@pytest.mark.parametrize(
    "change", [{"keypoints": "text"}, {"keypoints": [1, 2]}, {"bbox": [0, 0, -1, 5]}, {"keypoints": 3}]
)
def test_a_bad_entry_leaves_out_its_image_alone(source, tmp_path, change):
    names = [f"{folder}/{number:06d}.png" for folder in FOLDERS for number in range(2)]
    found = noses(find_in_file(write(tmp_path, names, **change), source.paths), source.frames)
    assert [found[0], *found[2:]] == [[0.0], [2.0], [3.0]]
    assert "k.json: annotation 1" in found[1]


def test_frames_of_no_file_go_by_their_names(tmp_path):
    find = find_in_file(write(tmp_path, ["clip_000000.jpg", "clip_000001.jpg"]))
    (person,) = find(Frame(1, "clip_000001.jpg", np.zeros((8, 8, 3), np.uint8)))
    assert person.keypoints2d[0, 0] == 1.5
