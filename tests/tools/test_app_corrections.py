"""Keypoints corrected by clicks, without the page."""

import dataclasses
import json

import demo
import numpy as np
import pytest
from demos.corrections import NAMES, VIEW, Correction, correct_bodies
from demos.uploads import find_bodies
from PIL import Image

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.detection.mediapipe_detector import MediaPipeDetector
from mion_plugin.inference import find_by_detector, find_in_file
from mion_plugin.inference.frames import NobodyError

LEFT_WRIST, LEFT_KNEE = NAMES.index("left wrist"), NAMES.index("left knee")


@pytest.fixture
def two(tmp_path):
    """The demo's photograph, and a file with the skier and somebody 150 pixels beside her."""
    content = json.loads(KEYPOINTS.read_text())
    (skier,) = content["annotations"]
    points = np.array(skier["keypoints"]).reshape(17, 3) - [150, 0, 0]
    beside = {**skier, "id": 2, "keypoints": points.ravel().tolist()}
    beside.pop("bbox")
    (tmp_path / "two.json").write_text(json.dumps({**content, "annotations": [skier, beside]}))
    return tmp_path / "two.json"


@pytest.fixture
def found(inferencer, two, tmp_path):
    return find_bodies(PHOTO, PHOTO.name, inferencer, find_in_file(two), tmp_path)


@pytest.fixture
def correction(found):
    return Correction.of(found.pixels, found.person(0))


def pixel_of(correction, point):
    """Where a point of the photograph is in the picture, and how long a pixel of that is in the photograph."""
    height, width = correction.pixels.shape[:2]
    middle, side = np.array([width / 2, height / 2]), max(height, width)
    if not correction.whole:
        middle, side = correction.near.center, correction.near.side
    return ((np.asarray(point) - middle) / side + 0.5) * VIEW - 0.5, side / VIEW


@pytest.mark.parametrize("whole", [False, True])
def test_two_clicks_move_a_keypoint(correction, whole):
    before = dataclasses.replace(correction, whole=whole)
    start, _ = pixel_of(before, before.keypoints2d[LEFT_KNEE, :2])
    taken = before.click(*np.round(start + 3).astype(int))
    assert taken.chosen == LEFT_KNEE
    assert "Left knee: click where it is" in taken.told()
    wanted = np.array([301.0, 222.0])
    target, length = pixel_of(before, wanted)
    after = taken.click(*np.round(target).astype(int))
    assert after.chosen is None
    np.testing.assert_allclose(after.keypoints2d[LEFT_KNEE], [*wanted, 1.0], atol=0.51 * length)
    others = np.arange(17) != LEFT_KNEE
    np.testing.assert_array_equal(after.keypoints2d[others], before.keypoints2d[others])
    np.testing.assert_array_equal(after.undo().keypoints2d, before.keypoints2d)


def test_the_picture_is_the_photograph_with_the_keypoints(correction):
    picture = correction.picture().astype(int)
    for keypoint, color in ((LEFT_WRIST, (255, 138, 30)), (LEFT_WRIST + 1, (40, 140, 255))):
        x, y = np.round(pixel_of(correction, correction.keypoints2d[keypoint, :2])[0]).astype(int)
        assert np.abs(picture[y, x] - color).max() < 30
    marked = correction.choose(LEFT_WRIST).picture().astype(int)
    assert (np.abs(marked - picture).max(axis=-1) > 40).any()
    plain = dataclasses.replace(correction, history=(np.zeros((17, 3)),), whole=True).picture().astype(int)
    expected = np.asarray(Image.fromarray(correction.pixels).resize((VIEW, round(425 / 640 * VIEW)))).astype(int)
    top = (VIEW - len(expected)) // 2
    assert np.abs(plain[top : top + len(expected)] - expected).mean() < 6


def test_absent_keypoints_and_steps_back(correction):
    with pytest.raises(ValueError, match="Take a keypoint first"):
        correction.absent()
    gone = correction.choose(LEFT_WRIST).absent()
    assert gone.keypoints2d[LEFT_WRIST].tolist() == [0, 0, 0]
    assert ("left wrist (absent)", LEFT_WRIST) in gone.choices()
    outside = dataclasses.replace(correction.choose(LEFT_KNEE), whole=True).click(VIEW // 2, 2)  # above the photograph
    assert outside.keypoints2d[LEFT_KNEE, 2] == 0
    assert gone.choose(LEFT_KNEE).undo().chosen is None  # lets go first
    assert gone.choose(LEFT_KNEE).undo().keypoints2d is gone.keypoints2d
    assert gone.undo().undo().keypoints2d is correction.keypoints2d


def test_corrected_bodies_are_those_of_the_demo_with_the_file(inferencer, found, correction, tmp_path):
    beside = found.person(1)
    corrected = correction.choose(LEFT_WRIST).absent().choose(LEFT_KNEE).click(300, 412)
    after = correct_bodies(found, corrected, inferencer, tmp_path)
    (file,) = [path for path in after.files(0) if path.name == f"{PHOTO.stem}_keypoints.json"]
    out = tmp_path / "out"
    assert demo.main([str(PHOTO), "--keypoints", str(file), "--out", str(out), "--device", "cpu"]) == 0
    for number in (0, 1):
        arrays = after.person(number).arrays()
        with np.load(out / f"{PHOTO.stem}_person{number}.npz") as expected:
            for name in arrays:
                np.testing.assert_allclose(arrays[name], expected[name], atol=2e-4, rtol=1e-4, err_msg=name)
    np.testing.assert_array_equal(after.person(0).keypoints2d, corrected.keypoints2d)
    assert np.abs(after.person(0).vertices - found.person(0).vertices).max() > 1e-3
    np.testing.assert_array_equal(after.person(1).vertices, beside.vertices)
    assert after.summary() == "2 people found"
    assert after.folder != found.folder


def test_too_few_keypoints_leave_what_was_found(inferencer, found, correction, tmp_path):
    folders = set(tmp_path.iterdir())
    nothing = dataclasses.replace(correction, history=(np.zeros((17, 3)),))
    with pytest.raises(ValueError, match="0 keypoints are visible, expected at least two"):
        correct_bodies(found, nothing, inferencer, tmp_path)
    assert set(tmp_path.iterdir()) == folders
    assert found.files(0)[0].is_file()


def test_a_detector_looks_in_a_box_and_finds_one_more(inferencer, tmp_path):
    pytest.importorskip("mediapipe")
    photograph = read_image(PHOTO)
    Image.fromarray(np.hstack([photograph[:, 200:], photograph[:, 200:]])).save(tmp_path / "twins.png")
    one = find_bodies(tmp_path / "twins.png", PHOTO.name, inferencer, find_in_file(_moved(tmp_path, -200)), tmp_path)
    detect = find_by_detector(MediaPipeDetector())
    new = Correction.of_nobody(one.pixels, 1).draw_box()
    with pytest.raises(ValueError, match="no box yet"):
        new.look_in_box(detect)
    for corner in ((880, 424), (470, 0)):  # of the second picture
        new = new.click(*np.round(pixel_of(new, corner)[0]).astype(int))
    assert new.box == pytest.approx((470, 0, 880, 424), abs=2)
    seen = new.look_in_box(detect)
    truth = np.array(json.loads(KEYPOINTS.read_text())["annotations"][0]["keypoints"]).reshape(17, 3)
    truth = truth[:, :2] + [440 - 200, 0]
    errors = np.linalg.norm(seen.keypoints2d[:, :2] - truth, axis=1)[seen.keypoints2d[:, 2] > 0]
    assert len(errors) > 10
    assert np.median(errors) < 15
    after = correct_bodies(one, seen, inferencer, tmp_path)
    assert after.summary() == "2 people found"
    assert after.numbers == [0, 1]
    empty = dataclasses.replace(new, corners=((10.0, 10.0), (60.0, 60.0)))
    with pytest.raises(NobodyError, match="The box: nobody was found in it"):
        empty.look_in_box(detect)
    with pytest.raises(ValueError, match="expected 8 a side"):
        dataclasses.replace(new, corners=((10.0, 10.0), (12.0, 60.0))).look_in_box(detect)


def _moved(folder, shift):
    content = json.loads(KEYPOINTS.read_text())
    points = np.array(content["annotations"][0]["keypoints"]).reshape(17, 3) + np.array([shift, 0, 0])
    content["annotations"][0]["keypoints"] = points.ravel().tolist()
    (folder / "moved.json").write_text(json.dumps(content))
    return folder / "moved.json"
