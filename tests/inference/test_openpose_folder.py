"""The folder that OpenPose's --write_json writes, as keypoints of photographs and of a video."""

import json

import numpy as np
import pytest
from PIL import Image

from mion_plugin.datasets.openpose import OpenPoseFolder
from mion_plugin.inference.frames import NobodyError, find_in_file
from mion_plugin.inference.people import find_people, list_photographs
from mion_plugin.inference.sources import Frame, FrameSource, open_source
from mion_plugin.prediction.keypoints import KeypointFolder
from mion_plugin.prediction.photographs import StoredPhotograph

NOTHING = [0.0] * 75
PIXELS = np.zeros((4, 4, 3), np.uint8)


def body(place, score=0.8):
    """BODY_25 with the nose at (place, 5)."""
    return [float(place), 5.0, score, *[50.0, 60.0, score] * 24]


def write(folder, files):
    """Name -> the keypoints of everyone in it."""
    folder.mkdir(exist_ok=True)
    for name, people in files.items():
        content = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": one} for one in people]}
        (folder / f"{name}_keypoints.json").write_text(json.dumps(content))
    return folder


def noses(people):
    return [person.keypoints2d[0, 0] - 0.5 for person in people]


@pytest.fixture
def photographs(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "B.JPG", "c.d.png"):
        Image.new("RGB", (80, 80)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_photographs_by_their_stems(photographs, tmp_path):
    folder = write(
        tmp_path / "op", {"a": [body(1), NOTHING, body(2, 0.2), body(3)], "B": [body(4)], "c.d": [body(5)], "e": []}
    )
    source = open_source(str(photographs))
    find = find_in_file(folder, source.names())
    assert {frame.name: noses(find(frame)) for frame in source.frames} == {
        "a.jpg": [1.0, 3.0],
        "B.JPG": [4.0],
        "c.d.png": [5.0],
    }
    assert [noses(people) for people in find_people(folder, list_photographs(photographs / "a.jpg"))] == [[1.0, 3.0]]
    assert noses(KeypointFolder(folder)(StoredPhotograph("x.tar/deep/a.webp", ""), PIXELS)) == [1.0, 3.0]


def test_frames_of_a_video_by_their_numbers(tmp_path):
    files = {"clip_000000000000": [body(1), body(2)], "clip_000000000002": [NOTHING], "clip_000001234567": [body(9)]}
    find = find_in_file(write(tmp_path / "op", files), FrameSource("clip", [], 3, frame_rate=25.0).names())
    assert noses(find(Frame(0, "clip_000000.jpg", PIXELS))) == [1.0, 2.0]
    assert noses(find(Frame(0, "clip_1234567.jpg", PIXELS))) == [9.0]
    with pytest.raises(
        NobodyError, match=r"none of its 3 files, such as clip_000000000000_k\S+, is of clip_000001\.jpg"
    ):
        find(Frame(1, "clip_000001.jpg", PIXELS))
    with pytest.raises(NobodyError, match=r"clip_000000000002_keypoints\.json: nobody in clip_000002\.jpg has keyp"):
        find(Frame(2, "clip_000002.jpg", PIXELS))


def test_a_broken_file_leaves_out_its_frame_alone(tmp_path):
    folder = write(tmp_path / "op", {"a": [body(1)], "b": [body(2)]})
    (folder / "a_keypoints.json").write_text('{"version": 1.3, "peop')  # OpenPose was killed
    find = find_in_file(folder, ["a.jpg", "b.jpg"])
    with pytest.raises(NobodyError, match=r"a_keypoints\.json is not a JSON file"):
        find(Frame(0, "a.jpg", PIXELS))
    assert noses(find(Frame(1, "b.jpg", PIXELS))) == [2.0]


def test_what_fits_nothing_is_refused_at_once(tmp_path):
    folder = write(tmp_path / "op", {"other": [body(1)]})
    video = FrameSource("clip", [], 300, frame_rate=25.0)
    with pytest.raises(
        ValueError, match=r"such as other_keypoints\.json, is of clip_000000\.jpg or another of the 300"
    ):
        find_in_file(folder, video.names())
    with pytest.raises(ValueError, match=r"none of its 1 files, such as other_keypoints\.json, is of a\.jpg$"):
        find_in_file(folder, ["x/a.jpg"])
    with pytest.raises(ValueError, match=r"keypoint folder \S+ holds no NAME_keypoints\.json, as OpenPose's"):
        OpenPoseFolder(tmp_path)
