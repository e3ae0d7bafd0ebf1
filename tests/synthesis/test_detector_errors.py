"""Detectors' errors, and what limbs hide."""

import numpy as np
import pytest
import torch

from mion_plugin.geometry.keypoints import convert_keypoints, flip_permutation, keypoint_names
from mion_plugin.synthesis.detector_errors import DetectorErrors, hidden_by_limbs

EXACT = {"noise": 0.0, "tail_prob": 0.0, "missing_prob": 0.0, "swap_prob": 0.0, "half_prob": 0.0, "blind_prob": 0.0}
NONE_HIDDEN = torch.zeros(200, 17, dtype=torch.bool)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def points():
    return 10 + 90 * torch.rand(200, 17, 2, generator=generator(5))


def detect(points, hidden=NONE_HIDDEN, seed=0, **settings):
    return DetectorErrors(**{**EXACT, **settings}).detect(points, hidden, 112, "coco", generator(seed))


def test_without_errors_the_true_pixels_come_back(points):
    found = detect(points)
    assert torch.equal(found[..., :2], points)
    assert (found[..., 2] >= 0.7).all()
    assert (found[..., 2] <= 1.0).all()


def test_what_is_outside_is_not_found(points):
    points = points.clone()
    points[:, 3, 0] = 112.0
    points[:, 4, 1] = -0.01
    found = detect(points)
    assert (found[:, 3:5] == 0).all()
    assert (found[:, 5:, 2] > 0).all()


def test_noise_has_its_size_and_twice_that_where_hidden(points):
    hidden = NONE_HIDDEN.clone()
    hidden[:, 8:] = True
    found = detect(points, hidden, noise=2.0, noise_spread=0.0)
    error = (found[..., :2] - points).flatten(2)
    assert error[:, :8].std().item() == pytest.approx(2.0, rel=0.05)
    assert error[:, 8:].std().item() == pytest.approx(4.0, rel=0.05)
    assert found[:, 8:, 2].max() <= 0.6


def test_swapped_sides_are_all_or_the_legs(points):
    found = detect(points, swap_prob=1.0)[..., :2]
    mirrored = points[:, flip_permutation("coco")]
    legs = [index for index, name in enumerate(keypoint_names("coco")) if any(part in name for part in _LEGS)]
    of_legs = points.clone()
    of_legs[:, legs] = mirrored[:, legs]
    whole, lower = ((found - case).abs().amax(dim=(1, 2)) == 0 for case in (mirrored, of_legs))
    assert (whole | lower).all()
    assert 60 < whole.sum() < 140
    assert torch.equal(detect(points, swap_prob=0.0)[..., :2], points)


_LEGS = ("hip", "knee", "ankle")


def test_a_quarter_of_the_keypoints_is_missing(points):
    missing = (detect(points, missing_prob=1.0)[..., 2] == 0).float().mean()
    assert missing.item() == pytest.approx(0.25, abs=0.03)


def test_half_bodies_are_framed_down_to_the_hips():
    framed = DetectorErrors(**{**EXACT, "half_prob": 1.0}).frame(5, "coco", generator())
    names = keypoint_names("coco")
    assert {name for name, inside in zip(names, framed[0].tolist(), strict=True) if not inside} == {
        f"{side}_{joint}" for side in ("left", "right") for joint in ("knee", "ankle")
    }
    assert DetectorErrors(**EXACT).frame(5, "coco", generator()).all()


@pytest.mark.parametrize(("name", "value"), [("swap_prob", 1.1), ("noise", -1.0), ("half_prob", float("nan"))])
def test_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        DetectorErrors(**{name: value})


def test_limbs_hide_what_is_behind_them():
    names = keypoint_names("coco")
    points = torch.zeros(1, 17, 3)
    points[0, :, 0] = torch.linspace(-20.0, 20.0, 17)  # far from each other
    points[..., 2] = 50.0
    shoulder, elbow, wrist = (names.index(f"left_{joint}") for joint in ("shoulder", "elbow", "wrist"))
    points[0, [shoulder, elbow], :2] = torch.tensor([[0.0, 0.0], [0.3, 0.0]])
    points[0, wrist] = torch.tensor([0.15, 0.0, 50.3])  # behind the upper arm
    assert hidden_by_limbs(points, points[..., :2] / points[..., 2:])[0].nonzero().flatten().tolist() == [wrist]
    points[0, wrist, 2] = 49.7  # before it
    assert not hidden_by_limbs(points, points[..., :2] / points[..., 2:]).any()


def test_limbs_hide_about_what_the_z_buffer_hides(synthesizer):
    hidden, expected = [], []
    for index in range(60):
        sample = synthesizer.sample(index)
        points = convert_keypoints(sample["keypoints3d"], "smpl_54", "coco")[0][None, :, :3]
        points = torch.from_numpy(points).float()
        hidden.append(hidden_by_limbs(points, points[..., :2] / points[..., 2:])[0].numpy())
        seen = convert_keypoints(sample["visible"][:, None].astype(np.float32), "smpl_54", "coco")[0]
        expected.append(seen[:, 0] == 0)
    hidden, expected = np.array(hidden), np.array(expected)
    assert (hidden == expected).mean() > 0.8  # measured: 0.87
    assert hidden[expected].mean() > 4 * hidden[~expected].mean()  # measured: 0.71 and 0.06
