"""Keypoints that a user corrects, without the page."""

import base64
import dataclasses
import io
import json
import re
from xml.etree import ElementTree

import demo
import numpy as np
import pytest
from demos.corrections import NAMES, Correction, correct_bodies
from demos.keypoint_picture import draw_keypoint_picture
from demos.uploads import find_again, find_bodies
from PIL import Image

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.detection.mediapipe_detector import MediaPipeDetector
from mion_plugin.inference import MIONInferencer, find_by_detector, find_in_file
from mion_plugin.inference.frames import NobodyError
from mion_plugin.models import load_model_config

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
    return Correction.of(found, 0)


def test_a_keypoint_is_put_down(correction):
    after = correction.choose(LEFT_KNEE).put(LEFT_KNEE, [301.25, 222.5])
    assert after.chosen is None
    np.testing.assert_array_equal(after.keypoints2d[LEFT_KNEE], [301.25, 222.5, 1.0])
    others = np.arange(17) != LEFT_KNEE
    np.testing.assert_array_equal(after.keypoints2d[others], correction.keypoints2d[others])
    np.testing.assert_array_equal(after.undo().keypoints2d, correction.keypoints2d)


@pytest.mark.parametrize(
    ("keypoint", "point", "message"),
    [
        (17, [1, 1], "keypoint is 17, expected 0 to 16"),
        (None, [1, 1], "keypoint is None"),
        (0, [1, None], r"the browser sent \[1, None\], expected 2 numbers"),
        (0, [float("inf"), 1], "expected 2 numbers"),
        (0, [1, 2, 3], "expected 2 numbers"),
        (0, {"x": 1}, "expected 2 numbers"),
    ],
)
def test_what_no_page_sends_is_refused(correction, keypoint, point, message):
    with pytest.raises(ValueError, match=message):
        correction.put(keypoint, point)


@pytest.mark.parametrize("whole", [False, True])
def test_the_svg_has_the_keypoints_in_the_photographs_pixels(correction, whole):
    seen = dataclasses.replace(correction.choose(LEFT_WRIST).absent().choose(LEFT_KNEE), whole=whole)
    svg = ElementTree.fromstring(draw_keypoint_picture(seen))
    left, top, width, height = (int(value) for value in svg.get("viewBox").split())
    if whole:
        assert (left, top, width, height) == (0, 0, 640, 425)
    image = svg.find("image")
    assert [int(image.get(name)) for name in ("x", "y", "width", "height")] == [left, top, width, height]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(image.get("href").split(",")[1])))).astype(int)
    part = seen.pixels[top : top + height, left : left + width].astype(int)
    assert shown.shape == part.shape
    assert np.abs(shown - part).mean() < 3
    handles = [handle for handle in svg.iter("g") if handle.get("data-keypoint")]
    places = [re.fullmatch(r"translate\((.+) (.+)\)", handle.get("transform")).groups() for handle in handles]
    np.testing.assert_allclose(np.array(places, float), seen.keypoints2d[:, :2], atol=1e-3)
    hidden = [index for index, handle in enumerate(handles) if "absent" in handle.get("class")]
    assert hidden == np.flatnonzero(seen.keypoints2d[:, 2] == 0).tolist()
    assert LEFT_WRIST in hidden
    assert [index for index, handle in enumerate(handles) if "chosen" in handle.get("class")] == [LEFT_KNEE]
    for line in svg.iter("line"):
        ends = [int(line.get(name)) for name in ("data-from", "data-to")]
        points = np.array([[line.get("x1"), line.get("y1")], [line.get("x2"), line.get("y2")]], float)
        np.testing.assert_allclose(points, seen.keypoints2d[ends, :2], atol=1e-3)
        assert (line.get("class") == "absent") == any(end in hidden for end in ends)


def test_people_beside_the_photograph_have_all_of_it_to_be_dragged_in(found):
    away = dataclasses.replace(found.person(0).crop, center=np.array([-900.0, 200.0]))
    person = dataclasses.replace(found.person(0), crop=away)
    aside = dataclasses.replace(found, result=dataclasses.replace(found.result, people=[person]))
    assert Correction.of(aside, 0).view == (0, 0, 640, 425)


def test_absent_keypoints_and_steps_back(correction):
    with pytest.raises(ValueError, match="Take a keypoint first"):
        correction.absent()
    gone = correction.choose(LEFT_WRIST).absent()
    assert gone.keypoints2d[LEFT_WRIST].tolist() == [0, 0, 0]
    assert ("left wrist (absent)", LEFT_WRIST) in gone.choices()
    for outside in ([300, -1], [300, 425], [640, 300], None):
        assert correction.put(LEFT_KNEE, outside).keypoints2d[LEFT_KNEE].tolist() == [0, 0, 0]
    assert gone.choose(LEFT_KNEE).undo().chosen is None  # lets go first
    assert gone.choose(LEFT_KNEE).undo().keypoints2d is gone.keypoints2d
    assert gone.undo().undo().keypoints2d is correction.keypoints2d


def test_a_box_begins_around_the_keypoints_and_ends_at_the_photographs_edge(correction):
    begun = correction.draw_box()
    seen = correction.keypoints2d[correction.keypoints2d[:, 2] > 0, :2]
    assert (seen > begun.box[:2]).all()
    assert (seen < begun.box[2:]).all()
    assert begun.set_box([-7, 10.2, 9000, 100.2]).box == (0, 10, 640, 101)
    assert begun.draw_box(False).box is None
    corners = list(ElementTree.fromstring(draw_keypoint_picture(begun)).iter("g"))[17:]
    left, top, right, bottom = begun.box
    expected = [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert [corner.get("transform") for corner in corners] == [f"translate({x:.3f} {y:.3f})" for x, y in expected]


def test_corrected_bodies_are_those_of_the_demo_with_the_file(inferencer, found, correction, tmp_path):
    beside = found.person(1)
    corrected = correction.choose(LEFT_WRIST).absent().put(LEFT_KNEE, [391.5, 260.25])
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


def test_undone_bodies_are_those_that_were_found_first(inferencer, found, correction, tmp_path):
    known = dataclasses.replace(found.known[0], depths=np.stack([np.linspace(-0.3, 0.3, 17), np.full(17, 10.0)], 1))
    deep = find_again(found, 0, known, inferencer, tmp_path)
    corrected = Correction.of(deep, 0).put(LEFT_KNEE, [391.5, 260.25])
    assert not deep.is_known(0, corrected.keypoints2d)
    assert deep.is_known(0, corrected.undo().keypoints2d)
    after = correct_bodies(deep, corrected, inferencer, tmp_path)
    assert after.is_known(0, corrected.keypoints2d)
    undone = correct_bodies(after, corrected.undo(), inferencer, tmp_path)
    np.testing.assert_array_equal(undone.person(0).vertices, deep.person(0).vertices)
    assert after.known[0].depths is None
    assert undone.known[0] is known


def test_one_persons_body_changes_its_gender(inferencer, found, tmp_path):
    female = inferencer.in_gender("female")
    after = find_again(found, 0, found.known[0], female, tmp_path)
    assert [after.gender(number) for number in (0, 1, 2)] == ["female", "neutral", None]
    np.testing.assert_array_equal(after.person(1).vertices, found.person(1).vertices)
    expected = MIONInferencer(load_model_config(), device="cpu", gender="female")
    whole = find_bodies(PHOTO, PHOTO.name, expected, lambda _: list(found.known.values()), tmp_path)
    np.testing.assert_allclose(after.person(0).vertices, whole.person(0).vertices, atol=1e-4)
    back = find_again(after, 0, found.known[0], female.in_gender("neutral"), tmp_path)
    np.testing.assert_allclose(back.person(0).vertices, found.person(0).vertices, atol=1e-4)
    assert inferencer.gender == "neutral"


def test_too_few_keypoints_leave_what_was_found(inferencer, found, correction, tmp_path):
    folders = set(tmp_path.iterdir())
    nothing = dataclasses.replace(correction, history=(*correction.history, np.zeros((17, 3))))
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
    assert new.is_empty
    with pytest.raises(ValueError, match="no box yet"):
        new.look_in_box(detect)
    new = new.set_box([470, 0, 880, 424])
    seen = new.look_in_box(detect)
    truth = np.array(json.loads(KEYPOINTS.read_text())["annotations"][0]["keypoints"]).reshape(17, 3)
    truth = truth[:, :2] + [440 - 200, 0]
    errors = np.linalg.norm(seen.keypoints2d[:, :2] - truth, axis=1)[seen.keypoints2d[:, 2] > 0]
    assert len(errors) > 10
    assert np.median(errors) < 15
    after = correct_bodies(one, seen, inferencer, tmp_path)
    assert after.summary() == "2 people found"
    assert after.numbers == [0, 1]
    empty = dataclasses.replace(new, box=(10, 10, 60, 60))
    with pytest.raises(NobodyError, match="The box: nobody was found in it"):
        empty.look_in_box(detect)
    with pytest.raises(ValueError, match="expected 8 a side"):
        dataclasses.replace(new, box=(10, 10, 12, 60)).look_in_box(detect)


def _moved(folder, shift):
    content = json.loads(KEYPOINTS.read_text())
    points = np.array(content["annotations"][0]["keypoints"]).reshape(17, 3) + np.array([shift, 0, 0])
    content["annotations"][0]["keypoints"] = points.ravel().tolist()
    (folder / "moved.json").write_text(json.dumps(content))
    return folder / "moved.json"
