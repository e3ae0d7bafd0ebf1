"""RTMPose and YOLOX by rtmlib, with small networks of the same interfaces in the places of the trained ones."""

import json
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("rtmlib", reason="the extra rtmpose")
pytest.importorskip("onnx", reason="the networks are written with it")
import onnxruntime
from PIL import Image
from support.rtmpose_networks import (
    GAINS,
    HEIGHT,
    HIDDEN,
    MEAN,
    SIDE,
    STD,
    WIDTH,
    write_person_network,
    write_pose_network,
)

from mion_plugin.detection import rtmpose
from mion_plugin.detection.rtmpose import RTMPoseEstimator, YOLOXPeople, fetch_pose_network
from mion_plugin.inference.detectors import choose_detector, local_weights
from mion_plugin.inference.sources import Frame
from mion_plugin.prediction.photographs import StoredPhotograph

LEFT, RIGHT = (4.0, 8.0, 24.0, 40.0), (34.0, 6.0, 58.0, 42.0)  # corners in the 64 x 64 of the person network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """pose.onnx, and person.onnx, which finds two people."""
    folder = tmp_path_factory.mktemp("networks")
    write_pose_network(folder / "pose.onnx")
    write_person_network(folder / "person.onnx", [(*LEFT, 0.9), (*RIGHT, 0.8), (0.0, 0.0, 9.0, 9.0, 0.2)])
    return folder


@pytest.fixture(scope="module")
def estimator(folder):
    return RTMPoseEstimator(folder / "pose.onnx")


def dotted(height, width, dots):
    """A black photograph with a dot of one channel (RGB) at each (x, y)."""
    image = np.zeros((height, width, 3), np.uint8)
    for channel, (x, y) in enumerate(dots):
        image[y, x, channel] = 255
    return image


def decode(session, image, box):
    """(17, 3) of one person, apart from rtmlib: crop, network, and the highest bin of each SimCC in a loop."""
    x, y, width, height = box
    scale = 1.25 * max(width / WIDTH, height / HEIGHT)  # photograph pixels for one of the input
    corner = np.array([x + width / 2, y + height / 2]) - scale * np.array([WIDTH, HEIGHT]) / 2
    to_photograph = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    crop = cv2.warpAffine(image, to_photograph, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    crop = ((crop - MEAN) / STD).transpose(2, 0, 1).astype(np.float32)
    simcc_x, simcc_y = session.run(None, {"input": crop[None]})
    found = []
    for of_x, of_y in zip(simcc_x[0], simcc_y[0], strict=True):
        best = [max(range(len(line)), key=line.__getitem__) for line in (of_x, of_y)]
        confidence = min((float(of_x[best[0]]) + float(of_y[best[1]])) / 2, 1.0)
        place = [corner[axis] + scale * best[axis] / 2 + 0.5 for axis in (0, 1)]
        found.append([*place, confidence] if confidence > 0 else [0.0, 0.0, 0.0])
    return np.array(found)


def test_against_an_independent_decoding(folder, estimator):
    session = onnxruntime.InferenceSession(str(folder / "pose.onnx"), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((90, 120, 3), (70, 40, 3), (90, 120, 3))]
    boxes = np.array([[10.0, 5.0, 60.0, 80.0], [-8.0, 4.5, 50.0, 30.0], [80.25, 40.0, 9.0, 21.0]])
    found = estimator(images, boxes)
    for person, image, box in zip(found, images, boxes, strict=True):
        expected = decode(session, image, box)
        np.testing.assert_allclose(person[:, 2], expected[:, 2], atol=0.02)
        near = np.abs(person[:, :2] - expected[:, :2]).max(axis=1) < 1e-3
        assert near.mean() > 0.8  # two bins may be equally high: crops round differently
    assert estimator([], np.zeros((0, 4))).shape == (0, 17, 3)


def test_dots_are_found_where_they_are_in_the_photograph(estimator):
    """In RGB, at the pixel's centre, integer + 0.5: a bin is 0.35 pixels of the photograph here."""
    dots = np.array([[47, 30], [52, 41], [58, 35]])
    (person,) = estimator([dotted(80, 100, dots)], np.array([[40.0, 20.0, 25.0, 36.0]]))
    channels = np.arange(17) % 3
    seen = np.arange(17) != HIDDEN
    np.testing.assert_allclose(person[seen, :2], dots[channels][seen] + 0.5, atol=0.36)
    assert abs((person[seen, :2] - dots[channels][seen] - 0.5).mean()) < 0.2
    assert person[HIDDEN].tolist() == [0, 0, 0]


def test_confidence_is_the_mean_of_both_axes_and_at_most_one(estimator):
    image = np.full((64, 48, 3), 255, np.uint8)
    (person,) = estimator([image], np.array([[4.8, 6.4, 38.4, 51.2]]))
    white = (255 - MEAN) / STD
    expected = np.minimum(GAINS * white[np.arange(17) % 3], 1.0)
    expected[HIDDEN] = 0
    np.testing.assert_allclose(person[:, 2], expected, rtol=1e-4)
    assert person[:, 2].max() == 1


@pytest.mark.parametrize("keypoints", [26, 133])
def test_layouts_that_begin_with_those_of_coco(tmp_path, estimator, keypoints):
    larger = RTMPoseEstimator(write_pose_network(tmp_path / "p.onnx", keypoints))
    images, box = [np.random.default_rng(1).integers(0, 256, (60, 50, 3), dtype=np.uint8)], np.array([[5.0, 5, 40, 50]])
    np.testing.assert_allclose(larger(images, box), estimator(images, box))


def test_several_people_of_a_photograph(folder):
    """128 x 96 pixels are 64 x 48 of the person network, above a grey margin."""
    detect = choose_detector(None, str(folder / "pose.onnx"), "cpu", str(folder / "person.onnx"))
    dots, others = np.array([[90, 40], [95, 50], [100, 30]]), np.array([[20, 40], [30, 50], [25, 70]])
    image = np.maximum(dotted(96, 128, dots), dotted(96, 128, others))
    image = cv2.dilate(image, np.ones((3, 3), np.uint8))  # or the smaller crops miss some
    image[:4, :4, 2] = 255  # what the person network looks for, in nobody's crop
    right, left = detect(image)  # the largest first
    np.testing.assert_allclose(right.bbox, [68, 12, 48, 72], rtol=1e-6)
    np.testing.assert_allclose(left.bbox, [8, 16, 40, 64], rtol=1e-6)
    assert right.depths is None
    seen = np.arange(17) != HIDDEN
    for person, theirs in ((right, dots), (left, others)):
        np.testing.assert_allclose(person.keypoints2d[seen, :2], theirs[np.arange(17) % 3][seen] + 0.5, atol=1.5)
    assert detect(image[..., [2, 1, 0]] * np.array([1, 1, 0], np.uint8)) == []  # nothing blue
    assert detect(np.full((1, 200, 3), 255, np.uint8)) == []
    with pytest.raises(ValueError, match="expected RGB"):
        detect(image[..., 0])


def test_keypoints_outside_the_photograph_are_none(tmp_path):
    """A network that looks for the darkest place finds it beyond the border of a white photograph."""
    pose = write_pose_network(tmp_path / "pose.onnx", gains=-GAINS)
    person = write_person_network(tmp_path / "person.onnx", [(-20.0, -20.0, 30.0, 60.0, 0.9)])
    image = np.full((64, 64, 3), 255, np.uint8)
    (found,) = RTMPoseEstimator(pose)([image], np.array([[-20.0, -20.0, 50.0, 80.0]]))
    assert (found[:HIDDEN, :2] < 0).all()
    assert choose_detector(None, str(pose), "cpu", str(person))(image) == []


def test_a_person_network_without_suppression(tmp_path):
    """Of two boxes of one person the surer is kept, of things none."""
    thing, again = (10.0, 44.0, 30.0, 60.0), (35.0, 7.0, 59.0, 43.0)
    boxes = [(*again, 0.75, 0), (*LEFT, 0.9, 0), (*thing, 0.95, 1), (*RIGHT, 0.8, 0), (1.0, 1.0, 9.0, 9.0, 0.3, 0)]
    find = YOLOXPeople(write_person_network(tmp_path / "raw.onnx", boxes, suppressed=False))
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    assert find(image).shape == (0, 4)
    image[0, 0, 2] = 255
    expected = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in (RIGHT, LEFT)]
    np.testing.assert_allclose(find(image), expected, atol=1e-4)


def test_a_network_of_any_size_is_given_its_usual_one(tmp_path):
    path = write_person_network(tmp_path / "open.onnx", [(320.0, 0.0, 640.0, 640.0, 0.9)], sizes=("height", "width"))
    (box,) = YOLOXPeople(path)(np.full((100, 100, 3), 255, np.uint8))
    np.testing.assert_allclose(box, [50, 0, 50, 100], rtol=1e-6)


class TestBadFiles:
    def error(self, pose, person, kind=ValueError):
        with pytest.raises(kind) as caught:
            choose_detector("rtmpose", str(pose), "cpu", str(person))
        message = str(caught.value)
        assert "\n" not in message
        return message

    def test_kinds(self, folder, tmp_path):
        pose, person, text = folder / "pose.onnx", folder / "person.onnx", tmp_path / "text.onnx"
        text.write_text("version https://git-lfs.github.com/spec/v1\n")
        assert "none.onnx does not exist" in self.error(tmp_path / "none.onnx", person, FileNotFoundError)
        assert "none.onnx does not exist" in self.error(pose, tmp_path / "none.onnx", FileNotFoundError)
        assert "text.onnx is not an ONNX model that can be run" in self.error(text, person)
        assert "text.onnx is not an ONNX model that can be run" in self.error(pose, text)
        assert "person.onnx is no RTMPose: it gives [(1, 3, 5)] for an image of 64 x 64" in self.error(person, person)
        assert "pose.onnx is no YOLOX" in self.error(pose, pose)
        odd = write_pose_network(tmp_path / "odd.onnx", 21)
        assert "odd.onnx is no RTMPose: it gives [(1, 21, 96), (1, 21, 128)]" in self.error(odd, person)
        cut = tmp_path / "cut.onnx"
        cut.write_bytes(pose.read_bytes()[:-100])
        assert "cut.onnx is not an ONNX model" in self.error(cut, person)

    def test_no_network(self, folder):
        """Nothing listens at the port."""
        with pytest.raises(
            FileNotFoundError, match=r"cannot be downloaded .* --pose-checkpoint RTMPOSE\.onnx --person-ch"
        ):
            local_weights("rtmpose", "http://127.0.0.1:9/p.zip", str(folder / "person.onnx"))

    def test_a_person_network_without_rtmpose(self):
        with pytest.raises(ValueError, match=r"yolox\.onnx does nothing without RTMPose: give --pose-config rtmpose"):
            choose_detector(person_checkpoint="yolox.onnx")


def test_a_broken_download(tmp_path, monkeypatch):
    """What rtmlib has kept of an earlier run is no archive."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "p.zip").write_text("<html>")
    with pytest.raises(ValueError, match=r"p\.zip: what was downloaded is no archive of an ONNX model"):
        fetch_pose_network("rtmpose", "http://127.0.0.1:9/p.zip")


def test_a_kept_download_is_used(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    kept = tmp_path / "hub" / "checkpoints" / "p.onnx"
    kept.write_bytes((folder / "pose.onnx").read_bytes())
    assert fetch_pose_network("rtmpose", "http://127.0.0.1:9/p.zip") == kept


def test_every_name_has_both_networks():
    from rtmlib import Body

    assert set(rtmpose.NETWORKS.values()) == Body.MODE.keys()
    assert all(
        Body.MODE[mode][kind].startswith("https://") for mode in rtmpose.NETWORKS.values() for kind in ("pose", "det")
    )


def test_nothing_is_printed(folder, capfd):
    choose_detector(None, str(folder / "pose.onnx"), "cpu", str(folder / "person.onnx"))
    assert capfd.readouterr() == ("", "")


def test_without_the_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    for use in (lambda: RTMPoseEstimator(folder / "pose.onnx"), lambda: fetch_pose_network("rtmpose")):
        with pytest.raises(ImportError, match=r"RTMPose needs rtmlib .*: pip install 'mion-plugin\[rtmpose\]'"):
            use()


def test_the_tool_for_boxes(folder, estimator, tmp_path, capsys):
    import detect_keypoints as tool

    image = np.random.default_rng(2).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    arguments = ["--images", str(tmp_path / "images"), "--out", str(tmp_path / "k.json"), "--device", "cpu"]
    assert tool.main([*arguments, "--checkpoint", str(folder / "pose.onnx"), "--min-score", "0.1"]) == 0
    (entry,) = json.loads((tmp_path / "k.json").read_text())["annotations"]
    (expected,) = estimator([image], np.array([[0.0, 0.0, 100.0, 80.0]]))
    seen = expected[:, 2] >= 0.1
    np.testing.assert_allclose(np.reshape(entry["keypoints"], (17, 3))[seen, :2], expected[seen, :2] - 0.5, atol=1e-3)
    np.testing.assert_allclose(entry["keypoint_scores"], expected[:, 2], atol=1e-4)
    assert tool.main([*arguments, "--checkpoint", str(folder / "person.onnx")]) == 2
    assert "is of a run with checkpoint 'pose.onnx' (not 'person.onnx')" in capsys.readouterr().err


class TestTools:
    """The demo, score and predict take the same options to the same people."""

    IMAGE = np.random.default_rng(3).integers(100, 256, (96, 128, 3), dtype=np.uint8)

    @pytest.mark.parametrize("named", [[], ["--pose-config", "rtmpose"]])
    def test_they_find_the_same(self, folder, named):
        import demo
        import predict
        import score
        from commands.predict import choose_people
        from demos.chosen import choose_finder

        options = ["--pose-checkpoint", str(folder / "pose.onnx"), "--person-checkpoint", str(folder / "person.onnx")]
        expected = choose_detector(None, options[1], "cpu", options[3])(self.IMAGE)
        assert len(expected) == 2
        frame = Frame(0, "a.jpg", self.IMAGE)
        for arguments in (
            demo.parse_args(["a.jpg", *named, *options]),
            score.parse_args(["a.jpg", "--bodies", "b.npz", *named, *options]),
        ):
            same(choose_finder(arguments)(frame), expected)
        arguments = predict.parse_args(["photos", "--out", "o", *named, *options])
        same(choose_people(arguments)(StoredPhotograph("a.jpg", "a.jpg"), self.IMAGE), expected)

    def test_predict_tells_a_missing_file_before_it_starts_workers(self, folder):
        import predict
        from commands.predict import choose_people

        arguments = ["photos", "--out", "o", "--pose-checkpoint", "none.onnx", "--person-checkpoint", "p.onnx"]
        with pytest.raises(FileNotFoundError, match=r"checkpoint none\.onnx does not exist"):
            choose_people(predict.parse_args(arguments))


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.keypoints2d, other.keypoints2d)
        np.testing.assert_array_equal(one.bbox, other.bbox)
