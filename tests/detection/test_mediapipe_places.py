"""MediaPipe's keypoints against the body's of the same names."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mion_plugin.body import SMPLBody
from mion_plugin.detection.mediapipe_detector import MediaPipeDetector
from mion_plugin.detection.mediapipe_places import SHARES, to_body_places, to_mediapipe_places
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names
from mion_plugin.synthesis import SURREALSynthesisDataset

NAMES, MIRRORED = keypoint_names("coco"), list(flip_permutation("coco"))


def at(name):
    return NAMES.index(name)


@pytest.fixture(scope="module")
def body():
    """(17, 3) of the stand-in with arms and legs bent."""
    pose = torch.zeros(1, 24, 3)
    pose[0, [1, 4, 17, 18], 0] = torch.tensor([-0.8, 1.0, 0.6, 0.5])
    return SMPLBody().pose_keypoints(pose, torch.zeros(1, 10), convention="coco")[0].double().numpy()


@given(arrays(np.float64, (2, 17, 3), elements=st.floats(-1e3, 1e3)), st.floats(0.1, 10.0), st.floats(-500.0, 500.0))
@settings(max_examples=30)
def test_there_and_back_and_the_same_wherever_the_person_is(points, scale, moved):
    np.testing.assert_allclose(to_body_places(to_mediapipe_places(points)), points, atol=1e-9)
    for move in (to_mediapipe_places, to_body_places):
        np.testing.assert_allclose(move(scale * points + moved), scale * move(points) + moved, atol=1e-7)
        np.testing.assert_allclose(move(points[:, MIRRORED]), move(points)[:, MIRRORED], atol=1e-9)
        np.testing.assert_allclose(move(points)[..., :2], move(points[..., :2]), atol=1e-9)  # as in a picture


def test_by_hand(body):
    """Every share of its way, keypoint by keypoint; face, wrists and knees stay."""
    expected = body.copy()
    for side, other in (("left", "right"), ("right", "left")):
        for part, ways in SHARES.items():
            for towards, share in ways.items():
                aim = f"{other}_{towards[6:]}" if towards.startswith("other ") else f"{side}_{towards}"
                expected[at(f"{side}_{part}")] += share * (body[at(aim)] - body[at(f"{side}_{part}")])
    moved = to_mediapipe_places(body)
    np.testing.assert_allclose(moved, expected, atol=1e-12)
    shank = body[at("left_knee")] - body[at("left_ankle")]
    np.testing.assert_allclose((moved - body)[at("left_ankle")], 0.082 * shank, atol=1e-12)
    still = [index for index, name in enumerate(NAMES) if not any(part in name for part in SHARES)]
    assert len(still) == 9
    np.testing.assert_array_equal(moved[still], body[still])


def test_a_thigh_is_about_as_long_as_a_shank_for_mediapipe(body):
    def ratio(points):
        hip, knee, ankle = (points[at(f"right_{joint}")] for joint in ("hip_extra", "knee", "ankle"))
        return np.linalg.norm(hip - knee) / np.linalg.norm(knee - ankle)

    assert ratio(body) < 0.87
    assert ratio(to_mediapipe_places(body)) == pytest.approx(0.98, abs=0.03)


def test_what_depends_on_an_absent_keypoint_stays(body):
    known = np.ones(17, bool)
    known[at("left_knee")] = False
    moved, all_moved = to_body_places(body, known), to_body_places(body)
    np.testing.assert_array_equal(moved[at("left_ankle")], body[at("left_ankle")])
    others = [index for index in range(17) if index != at("left_ankle")]
    np.testing.assert_allclose(moved[others], all_moved[others], atol=1e-12)
    np.testing.assert_array_equal(to_body_places(body, np.zeros(17, bool)), body)


def test_synthetic_people_are_found_nearer_to_where_they_are():
    """Others than those of ``tools/benchmark.py places``: ankles and hips, the median miss in pixels."""
    pytest.importorskip("mediapipe")
    people = SURREALSynthesisDataset(16, seed=7, image_size=320)
    joints = [at(f"{side}_{joint}") for joint in ("hip_extra", "ankle") for side in ("left", "right")]
    misses = []
    for number in range(len(people)):
        info = people.get_data_info(number)
        found = [MediaPipeDetector(windows=False, own_places=own)(info["img"]) for own in (True, False)]
        if all(found):
            both = [one[0].keypoints2d[joints] for one in found]
            seen = (both[0][:, 2] > 0.5) & (both[1][:, 2] > 0.5)
            misses += [[np.linalg.norm((one - info["keypoints2d"][joints])[seen, :2], axis=1) for one in both]]
    own, moved = (np.median(np.concatenate(column)) for column in zip(*misses, strict=True))
    assert moved < 0.8 * own
