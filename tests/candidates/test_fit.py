import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exhaustive_selection import fit_by_lstsq

from mion_plugin.candidates import fit_translation
from mion_plugin.candidates.fit import usable_keypoints

CENTRE = (112.0, 112.0)


def random_problem(seed, num_keypoints=17, num_candidates=6):
    rng = np.random.default_rng(seed)
    joints = rng.normal(scale=0.4, size=(num_candidates, num_keypoints, 3))
    keypoints = np.concatenate(
        [rng.uniform(0, 224, size=(num_keypoints, 2)), rng.uniform(0.05, 1, size=(num_keypoints, 1))], axis=1
    )
    return joints, keypoints


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), num_keypoints=st.integers(3, 25), focal=st.floats(200, 10_000))
def test_equals_lstsq(seed, num_keypoints, focal):
    joints, keypoints = random_problem(seed, num_keypoints)
    transl, loss = fit_translation(torch.from_numpy(joints), torch.from_numpy(keypoints), focal, CENTRE)
    for m in range(len(joints)):
        expected_transl, expected_loss = fit_by_lstsq(joints[m], keypoints, focal)
        np.testing.assert_allclose(transl[m], expected_transl, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(loss[m], expected_loss, rtol=1e-6)


def test_equals_mmhuman3d_estimate_translation():
    geometry = pytest.importorskip("mmhuman3d.utils.geometry", reason="mmhuman3d is not installed")
    joints, keypoints = random_problem(3, num_keypoints=49, num_candidates=4)
    keypoints = np.repeat(keypoints[None], 4, axis=0)
    expected = geometry.estimate_translation(
        torch.from_numpy(joints), torch.from_numpy(keypoints), focal_length=5000.0, img_size=224.0
    )
    # mmhuman3d fits to the last 24 of 49 joints
    transl, _ = fit_translation(
        torch.from_numpy(joints[:, None, 25:]), torch.from_numpy(keypoints[:, 25:]), 5e3, CENTRE
    )
    torch.testing.assert_close(transl[:, 0].float(), expected.float(), rtol=1e-4, atol=1e-4)


def test_single_precision_agrees_to_1e_5():
    joints, keypoints = random_problem(5, num_candidates=50)
    joints[..., :2] += (keypoints[:, :2] - 112) / 100  # bodies that resemble the keypoints, at a sound distance
    double = fit_translation(torch.from_numpy(joints), torch.from_numpy(keypoints), 5000.0, CENTRE)
    single = fit_translation(torch.from_numpy(joints).float(), torch.from_numpy(keypoints).float(), 5000.0, CENTRE)
    torch.testing.assert_close(single[0].double(), double[0], rtol=1e-5, atol=1e-5)


def test_recovers_a_known_translation_exactly():
    rng = np.random.default_rng(0)
    joints, transl = rng.normal(scale=0.4, size=(1, 17, 3)), np.array([0.3, -0.2, 42.0])
    placed = joints[0] + transl
    keypoints = np.concatenate([5000 * placed[:, :2] / placed[:, 2:] + 112, np.ones((17, 1))], axis=1)
    fitted, loss = fit_translation(torch.from_numpy(joints), torch.from_numpy(keypoints), 5000.0, CENTRE)
    np.testing.assert_allclose(fitted[0], transl, rtol=1e-9)
    assert loss.item() < 1e-12


def test_a_mirrored_body_behind_the_camera_has_infinite_loss():
    rng = np.random.default_rng(1)
    joints = rng.normal(scale=0.4, size=(17, 3))
    placed = joints + np.array([0.1, 0.2, -40.0])
    keypoints = np.concatenate([5000 * placed[:, :2] / placed[:, 2:] + 112, np.ones((17, 1))], axis=1)
    transl, loss = fit_translation(torch.from_numpy(joints)[None], torch.from_numpy(keypoints), 5000.0, CENTRE)
    assert transl[0, 2] == pytest.approx(-40.0)  # it reprojects perfectly, which is the trap
    assert loss.item() == np.inf


def test_a_joint_behind_the_camera_counts_even_when_absent():
    joints, keypoints = random_problem(2, num_candidates=1)
    joints[0, :, :2] = (keypoints[:, :2] - 112) / 100
    transl, loss = fit_translation(torch.from_numpy(joints), torch.from_numpy(keypoints), 5000.0, CENTRE)
    assert loss.isfinite().all()
    keypoints[0, 2] = 0.0
    joints[0, 0, 2] = -2 * transl[0, 2].item()
    assert fit_translation(torch.from_numpy(joints), torch.from_numpy(keypoints), 5000.0, CENTRE)[1].item() == np.inf


def test_absent_keypoints_do_not_count_whatever_they_hold():
    joints, keypoints = (torch.from_numpy(array) for array in random_problem(4))
    keypoints[3, 2] = 0.0
    reference = fit_translation(joints, keypoints, 5000.0, CENTRE)
    for value in (1e9, torch.nan, torch.inf):
        keypoints[3, :2] = value
        fitted = fit_translation(joints, keypoints, 5000.0, CENTRE)
        torch.testing.assert_close(fitted, reference, rtol=0, atol=0)


def test_confidence_is_a_weight():
    joints, keypoints = (torch.from_numpy(array) for array in random_problem(6, num_keypoints=9))
    keypoints[:, 2] = 1.0
    keypoints[0, 2] = 2.0
    twice = torch.cat([keypoints[:1], keypoints])
    twice[:, 2] = 1.0
    weighted = fit_translation(joints, keypoints, 5000.0, CENTRE)
    doubled = fit_translation(torch.cat([joints[:, :1], joints], dim=1), twice, 5000.0, CENTRE)
    torch.testing.assert_close(weighted, doubled)


def test_leading_dimensions_and_keypoint_order():
    joints, keypoints = (torch.from_numpy(array) for array in random_problem(7))
    order = torch.randperm(17, generator=torch.Generator().manual_seed(0))
    batched = fit_translation(
        joints[None, None].expand(2, 3, -1, -1, -1), keypoints[None, None].expand(2, 3, -1, -1), 5e3, CENTRE
    )
    single = fit_translation(joints[:, order], keypoints[order], 5000.0, CENTRE)
    assert batched[0].shape == (2, 3, 6, 3)
    assert batched[1].shape == (2, 3, 6)
    torch.testing.assert_close(batched[0][1, 2], single[0])
    torch.testing.assert_close(batched[1][1, 2], single[1])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda k: k[2:, 2].zero_(), "two keypoints"),
        (lambda k: k[:, 2].zero_(), "none"),
        (lambda k: k[:, :2].fill_(50.0), "all in one point"),
        (lambda k: k[:, :2].mul_(1e-3), "all within a pixel"),
        (lambda k: k[0, 0].fill_(torch.nan), "NaN"),
        (lambda k: k[0, 1].fill_(-torch.inf), "infinite"),
        (lambda k: k[0, 2].fill_(torch.nan), "NaN confidence"),
        (lambda k: k[0, 2].fill_(-0.1), "negative confidence"),
        (lambda k: k[:, :2].mul_(1e200), "overflow"),
    ],
)
def test_unusable_keypoints_give_zero_and_inf(change, why):
    joints, keypoints = (torch.from_numpy(array) for array in random_problem(8))
    change(keypoints)
    assert not usable_keypoints(keypoints), why
    transl, loss = fit_translation(joints, keypoints, 5000.0, CENTRE)
    assert (transl == 0).all()
    assert (loss == torch.inf).all()


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"joints3d \(6, 17, 3\) and keypoints2d \(16, 3\)"):
        fit_translation(torch.zeros(6, 17, 3), torch.zeros(16, 3), 5000.0, CENTRE)
