"""What the web page shows of a video, without the page."""

import json
from types import SimpleNamespace

import demo
import numpy as np
import pytest
from demos.example_clip import write_example_clip
from demos.results import PeopleOfVideo, watched
from demos.videos import Watch, follow_bodies

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import Frame, find_in_file
from mion_plugin.inference.frames import FramePeople, NobodyError
from mion_plugin.inference.videos import VideoReader

pytest.importorskip("av")
pytest.importorskip("pygltflib")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_example_clip(tmp_path_factory.mktemp("clip"))


def follow(inferencer, clip, root, limit=3, tell=lambda done, total: None, stopped=lambda: False):
    video, keypoints = clip
    return follow_bodies(video, "pan.mp4", inferencer, find_in_file(keypoints), root, Watch(tell, stopped, limit))


def test_its_files_are_those_of_the_demo(inferencer, clip, tmp_path):
    video, keypoints = clip
    options = ["--keypoints", keypoints, "--max-frames", "3", "--save-motion", "npz", "bvh", "glb", "csv"]
    out = tmp_path / "out"
    assert demo.main([str(video), *map(str, options), "--out", str(out), "--device", "cpu"]) == 0
    told = []
    found = follow(inferencer, clip, tmp_path, tell=lambda *numbers: told.append(numbers))
    assert {path.name for path in found.files} == {path.name for path in out.iterdir()}
    assert found.video.name == "pan_overlay.mp4"
    for name in ("pan.jsonl", "pan_person0_motion.bvh", "pan_person0_motion.csv", "pan_person0_motion.glb"):
        assert (found.folder / name).read_bytes() == (out / name).read_bytes()
    pictures = [list(VideoReader(folder / "pan_overlay.mp4")) for folder in (found.folder, out)]
    np.testing.assert_allclose(*np.array(pictures, int), atol=8)  # the coder's threads round as they like
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert (
        found.summary == "1 person found in 3 pictures; the page looks at the first 3; tools/demo.py takes any length"
    )
    found.delete()
    assert not found.folder.exists()


def test_stopped_it_keeps_what_is_done(inferencer, clip, tmp_path):
    done = []
    found = follow(
        inferencer, clip, tmp_path, tell=lambda *numbers: done.append(numbers), stopped=lambda: len(done) > 2
    )
    assert len((found.folder / "pan.jsonl").read_text().splitlines()) == 3
    assert len(list(VideoReader(found.video))) == 3
    assert "stopped: the rest was not looked at" in found.summary
    with pytest.raises(NobodyError, match="stopped before the first picture"):
        follow(inferencer, clip, tmp_path, stopped=lambda: True)


def test_pictures_without_anybody_are_counted(inferencer, clip, tmp_path):
    content = json.loads(clip[1].read_text())
    content["annotations"] = content["annotations"][:1]
    (tmp_path / "k.json").write_text(json.dumps(content))
    found = follow(inferencer, (clip[0], tmp_path / "k.json"), tmp_path)
    assert found.summary.startswith("1 person found in 3 pictures; nobody in 2 of them")


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        ([[0, 1], [1, 2], []], "3 people found in the video, at most 2 in one picture"),
        ([[0], [], [0]], "1 person found in the video"),
    ],
)
def test_people_are_counted_in_all_and_at_once(pictures, told):
    people = PeopleOfVideo()
    for numbers in pictures:
        people.see(FramePeople(frame=None, people=[SimpleNamespace(person=number) for number in numbers]))
    assert people.told("the video") == told


def test_bad_videos_leave_one_line_and_no_files(inferencer, clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "note.txt").write_text("no video")
    root = tmp_path / "root"
    root.mkdir()
    find = find_in_file(clip[1])
    for path, message in (
        (tmp_path / "text.mp4", "video my text.mp4 cannot be read"),
        (tmp_path / "note.txt", "my note.txt is no video by its ending; expected .3gp, .avi"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            follow_bodies(path, f"my {path.name}", inferencer, find, root, Watch(print, lambda: False))
        assert str(tmp_path) not in str(error.value)
    (tmp_path / "nobody.json").write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(NobodyError, match="no body in any of 3 images"):
        follow(inferencer, (clip[0], tmp_path / "nobody.json"), root)
    with pytest.raises(NobodyError, match="there is no picture in it that can be read"):  # it breaks off before
        list(watched([], single=False, tell=print))
    assert not list(root.iterdir())


def test_the_example_clip_is_the_photograph_seen_by_a_camera_that_pans(clip):
    photograph, find = read_image(PHOTO), find_in_file(clip[1])
    (still,) = find_in_file(KEYPOINTS)(frame_called(PHOTO.name))
    for index, frame in enumerate(VideoReader(clip[0])):
        edge = 120 + 6 * index
        seen = photograph[:424, edge : edge + 400]
        assert np.abs(frame.astype(int) - seen).mean() < 6  # coded with a loss
        (person,) = find(frame_called(f"pan_{index:06d}.jpg"))
        visible = still.keypoints2d[:, 2] > 0
        np.testing.assert_allclose(person.keypoints2d[visible, :2] + [edge, 0], still.keypoints2d[visible, :2])
    assert index == 15


def frame_called(name):
    return Frame(0, name, np.zeros((1, 1, 3), np.uint8))
