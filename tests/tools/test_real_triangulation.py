"""tools/benchmarks/real: points, cameras and shifts found again in made-up views."""

import dataclasses

import cv2
import numpy as np
import pytest
from benchmarks.real import joints
from benchmarks.real.calibration import Camera
from benchmarks.real.detection import Detections
from benchmarks.real.methods import Answers, MeanBody, MediaPipe
from benchmarks.real.pictures import PICTURES
from benchmarks.real.report import AS_VIDEO, Findings, report
from benchmarks.real.scene import reconstruct
from benchmarks.real.scoring import row_errors
from benchmarks.real.synchronisation import Alignment, align, resample
from benchmarks.real.triangulation import reprojection_errors, triangulate, triangulate_robustly
from benchmarks.real.truth import PIXEL_CENTRE, Truth, exact_keypoints, find_truth, smooth, without_swaps
from benchmarks.real.video import as_video
from benchmarks.real.views import DETECTED, EXACT, make_views

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.mediapipe_places import to_body_places
from mion_plugin.inference.cropping import place_crop, visible_box

FRAMES, RATE = 60, 60.0


def make_cameras():
    """Four cameras in a circle of 4 m around the origin, one metre up, with a little distortion."""
    cameras = []
    for number, angle in enumerate(np.radians([0, 80, 170, 260])):
        centre = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.0])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        matrix = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
        cameras.append(Camera(f"cam{number}", matrix, np.array([-0.05, 0.1, 0, 0]), rotation, -rotation @ centre))
    return cameras


def moving_man(times):
    """(F, 17, 3) points that swing with different phases."""
    rng = np.random.default_rng(0)
    rest, swing, phase = rng.uniform(-0.6, 0.6, (17, 3)), rng.uniform(-0.3, 0.3, (17, 3)), rng.uniform(0, 6, 17)
    return rest + swing * np.sin(2 * np.pi * 1.2 * times[:, None] / RATE + phase)[..., None]


def see(cameras, points, noise=0.0, seed=1):
    """(V, ..., 3) pixels and confidence 1."""
    pixels = np.stack([camera.project(points) for camera in cameras])
    pixels = pixels + noise * np.random.default_rng(seed).normal(size=pixels.shape)
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1)


def test_points_are_found_again():
    cameras, points = make_cameras(), np.random.default_rng(2).uniform(-1, 1, (30, 3))
    seen = see(cameras, points)
    np.testing.assert_allclose(triangulate(cameras, seen[..., :2], seen[..., 2]), points, atol=1e-6)
    weights = np.zeros((4, 30))
    weights[1] = 1
    assert np.isnan(triangulate(cameras, seen[..., :2], weights)).all()


@pytest.mark.parametrize("bad_views", [1, 2])
def test_views_that_are_wrong_are_left_out(bad_views):
    cameras, rng = make_cameras(), np.random.default_rng(3)
    points = rng.uniform(-0.8, 0.8, (40, 3))
    seen = see(cameras, points, noise=0.5)
    for point in range(0, 40, 2):
        for view in rng.permutation(4)[:bad_views]:
            seen[view, point, :2] += rng.choice([-1, 1], 2) * rng.uniform(60, 200, 2)
    found = triangulate_robustly(cameras, seen)
    far = np.linalg.norm(found.points - points, axis=-1)
    assert far.max() < 0.01 if bad_views == 1 else np.median(far) < 0.01
    assert (found.used[:, 1::2].sum(axis=0) == 4).all()
    assert (found.used[:, ::2].sum(axis=0) == 4 - bad_views).mean() > 0.9
    assert np.nanmax(found.errors) < 25
    np.testing.assert_array_equal(np.isfinite(found.errors), found.used)


def test_a_point_on_which_no_views_agree_is_unknown():
    cameras = make_cameras()
    seen = see(cameras, np.zeros((1, 3)))
    seen[1:, 0, 2] = 0.1  # below what counts as seen
    found = triangulate_robustly(cameras, seen)
    assert np.isnan(found.points).all()
    assert not found.used.any()


def test_shifts_and_cameras_are_found_again():
    cameras, shifts = make_cameras(), np.array([0.0, 0.4, -0.6, 1.3])
    times = np.arange(FRAMES)
    # frame f + shift of a view shows time f, so its frame f shows time f - shift
    seen = np.stack(
        [see([camera], moving_man(times - shift))[0] for camera, shift in zip(cameras, shifts, strict=True)]
    )
    turn = cv2.Rodrigues(np.array([0.01, -0.01, 0.005]))[0]
    calibrated = [
        *cameras[:2],
        dataclasses.replace(cameras[2], rotation=turn @ cameras[2].rotation, translation=turn @ cameras[2].translation),
        cameras[3],
    ]
    found = align(calibrated, seen)
    np.testing.assert_allclose(found.shifts, shifts, atol=0.05)
    moved = resample(seen, found.shifts)[:, 3:-3].reshape(4, -1, 3)
    points = triangulate(found.cameras, moved[..., :2], moved[..., 2])
    assert np.nanmean(reprojection_errors(found.cameras, points, moved[..., :2])) < 0.5
    before = triangulate_robustly(calibrated, seen.reshape(4, -1, 3), max_error=1e3)
    assert np.nanmean(before.errors) > 4


def test_resampling_between_frames_and_around_gaps():
    seen = np.zeros((1, 6, 1, 3))
    seen[0, :, 0] = np.column_stack([np.arange(6.0) * 10, np.zeros(6), np.ones(6)])
    seen[0, 3, 0] = 0
    moved = resample(seen, np.array([0.25]))[0, :, 0]
    np.testing.assert_allclose(moved[:2, 0], [2.5, 12.5])
    assert (moved[:, 2] > 0).tolist() == [True, True, False, False, True, True]
    assert (resample(seen, np.array([2.0]))[0, :, 0, 2] > 0).tolist() == [True, False, True, True, False, False]


def test_the_truth_is_smooth_and_bridges_what_jumps():
    cameras, times = make_cameras(), np.arange(FRAMES)
    points = moving_man(times)
    seen = see(cameras, points, noise=1.0)
    jumped = points.copy()
    jumped[20, 9] += 0.5  # all views agree on it
    seen[:, 20, 9] = see(cameras, jumped)[:, 20, 9]
    truth = find_truth(Alignment(cameras, np.zeros(4)), seen, RATE)
    assert np.linalg.norm(truth.points - points, axis=-1)[5:-5].max() < 0.02
    assert np.isnan(truth.errors[:, 20, 9]).all()
    np.testing.assert_allclose(truth.seen_by(0, np.array([10.5])), truth.points[10:12].mean(axis=0)[None])


def test_smoothing_leaves_slow_paths_and_unknown_joints():
    slow = np.tile(np.linspace(0, 0.2, FRAMES)[:, None, None], (1, 2, 3))
    slow[:, 1] = np.nan
    smoothed = smooth(slow, RATE)
    np.testing.assert_allclose(smoothed[10:-10, 0], slow[10:-10, 0], atol=1e-3)
    assert np.isnan(smoothed[:, 1]).all()


def test_exchanged_sides_are_noticed():
    cameras, times = make_cameras(), np.arange(FRAMES)
    points = moving_man(times)
    truth = Truth(cameras, np.zeros(4), points, np.zeros((4, FRAMES, 17)))
    seen = np.stack([exact_keypoints(truth, view, times) for view in range(4)])
    np.testing.assert_allclose(seen[0, :, 5, :2], cameras[0].project(points[:, 5]) + PIXEL_CENTRE)
    assert (seen[:, :, 1:3, 2] == 0).all()
    other_side = np.r_[0:5, [6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]]
    assert [name.split("_")[1] for name in joints.NAMES[::2]] == [name.split("_")[1] for name in joints.NAMES[1::2]]
    seen[2, 30] = seen[2, 30, other_side]
    straight = without_swaps(truth, seen)
    assert not straight[2, 30]
    assert straight.sum() == straight.size - 1


def detect_perfectly(camera, points):
    """Detections whose 3D landmarks are the truth, as a camera sees it that looks at the middle of the crop."""
    keypoints2d = see([camera], points)[0] + np.array([PIXEL_CENTRE, PIXEL_CENTRE, 0.0])
    middles = [place_crop(CocoPerson(one, visible_box(one))).center for one in keypoints2d]
    turned = [
        camera.looking_at(middle) @ in_camera.T
        for middle, in_camera in zip(middles, camera.to_camera(points), strict=True)
    ]
    masks, crops = np.zeros((FRAMES, 4, 4), bool), np.column_stack([middles, np.ones(FRAMES)])
    depths = np.full((FRAMES, 17, 2), 0.5)
    return Detections(keypoints2d, depths, np.stack(turned).transpose(0, 2, 1), masks, crops)


def rules_of(views, paths):
    return {"first": np.tile(np.arange(float(paths)), (len(views.people), 1))}


def test_from_detections_to_the_page():
    cameras, points = make_cameras(), moving_man(np.arange(FRAMES))
    detections = [detect_perfectly(camera, points) for camera in cameras]
    detections[1].keypoints2d[30] = 0  # nobody
    scene = reconstruct(cameras, detections)
    assert scene.swapped == 0
    assert max(scene.floor) < 1
    views = make_views(scene.truth, detections, every=10)
    assert len(views[DETECTED].people) == 4 * 6 - 1
    assert all(person.depths.shape == (17, 2) for one in views.values() for person in one.people)
    own = make_views(scene.truth, detections, every=10, own_places=True)[DETECTED]
    np.testing.assert_array_equal(own.people[3].keypoints2d, detections[0].keypoints2d[30])
    moved = to_body_places(own.people[3].keypoints2d[:, :2])
    np.testing.assert_allclose(views[DETECTED].people[3].keypoints2d[:, :2], moved)
    errors, with_depths = {}, {}
    for source, one in views.items():
        paths = one.truth[:, None] + np.array([0.01, 0.02, 0.03])[:, None, None] * np.array([0.0, 0.0, 1.0])
        rules = rules_of(one, 3)
        with_depths[source] = row_errors([Answers(paths[:, 1:], rules_of(one, 2), compared=True)], one.truth)
        answers = [Answers(paths, rules, compared=True), *MediaPipe().answer(one, []), *MeanBody().answer(one, [])]
        errors[source] = dict.fromkeys(PICTURES, row_errors(answers, one.truth))
        assert errors[source]["image"]["MediaPipe's world landmarks"]["MPJPE"].max() < 10  # what smoothing costs
    told = {"blocks": views[DETECTED].frames // 10, "frames_per_block": 10, "left_out": 1, "scene": scene}
    told |= {"errors": errors, "selection": "first", "model": "a model", "in_video": with_depths[DETECTED]}
    told |= {"as_given": {EXACT: with_depths[EXACT], AS_VIDEO: errors[DETECTED]["image"]}}
    text = report(Findings(with_depths=with_depths, in_video_with_depths=errors[DETECTED]["image"], **told))
    assert "| exact 2D | 10.0 / 0.0 | 20.0 / 0.0 | +10.0 [+10.0, +10.0] | +0.0" in text
    assert "| MediaPipe's 2D, as a video | 20.0 / 0.0 | 10.0 / 0.0 | -10.0 [-10.0, -10.0] | " in text
    assert "over 6 blocks" in text
    assert "| `first` | 10.0 [10.0, 10.0] | 0.0 [0.0, 0.0] | 0.0 [0.0, 0.0] | 10.0 [10.0, 10.0] |" in text
    assert "| `oracle` | 10.0" in text
    assert "| `random` | 20.0" in text
    assert "| `first`, with depths | 20.0 [20.0, 20.0] |" in text
    assert "| `first`, with depths - without | +10.0 [+10.0, +10.0] | " in text
    assert "| `first`, as a video | 20.0 [20.0, 20.0] |" in text
    assert "| `first`, as a video, with depths | 10.0 [10.0, 10.0] |" in text
    plain = report(Findings(with_depths={}, in_video_with_depths={}, **{**told, "as_given": {}}))
    assert "with depths" not in plain
    assert "as they are given" not in plain


def test_exchanged_sides_are_put_back_as_in_a_video():
    man = moving_man(np.arange(FRAMES))
    man[:, 11:13] = man[:, 5:7] + 0.3  # hips face as shoulders do
    found = detect_perfectly(make_cameras()[0], man)
    found.keypoints2d[3] = 0  # nobody
    other_side, exchanged = np.r_[0, 2, 1, 4, 3, [6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]], np.arange(20, 45)
    wrong = found.keypoints2d.copy()
    wrong[exchanged] = wrong[exchanged][:, other_side]
    (back,) = as_video([dataclasses.replace(found, keypoints2d=wrong)])
    np.testing.assert_array_equal(back.keypoints2d[:, 5:], found.keypoints2d[:, 5:])
    assert (back.depths[exchanged] == 0).all()
    kept = np.setdiff1d(np.arange(FRAMES), exchanged)
    np.testing.assert_array_equal(back.depths[kept], found.depths[kept])
    assert (found.depths == 0.5).all()
