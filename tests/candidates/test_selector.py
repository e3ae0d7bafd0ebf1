import dataclasses
import re

import numpy as np
import pytest
import torch
from benchmarks.ordinary_people import CONFIDENCES, PEOPLE, ordinary_keypoints
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.exhaustive_selection import select_exhaustively
from support.stick_pool import make_keypoints, make_stick_pool
from support.tiny_mion import make_body_pool

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector, fit_translation, scoring
from mion_plugin.candidates.fit import make_target
from mion_plugin.candidates.pool import load_default_pool
from mion_plugin.candidates.quick_fit import QUICK_ERROR
from mion_plugin.candidates.scoring import ROUNDING
from mion_plugin.candidates.shortlist import PoolEntries
from mion_plugin.candidates.splits import take_poses
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.registry import MODELS


def fields_of(selected):
    """Name -> values of all that a selection tells."""
    return {name: value for name, value in vars(selected).items() if isinstance(value, torch.Tensor)}


def assert_selects_exhaustively(pool, keypoints2d, **options):
    """The selector's sets, losses and counts are those of trying every candidate."""
    selected = CandidateSelector(pool, **options)(keypoints2d)
    options.pop("image_size", None)
    for b, sample in enumerate(keypoints2d.numpy()):
        index, loss, num_compatible = select_exhaustively(pool, sample, **options)
        assert selected.index[b].tolist() == index.tolist()
        np.testing.assert_allclose(selected.fit_loss[b], loss, rtol=1e-5, atol=1e-9)
        assert selected.num_compatible[b] == num_compatible


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0, 25.0])
def test_equals_exhaustive_evaluation(stick_pool, noise):
    assert_selects_exhaustively(stick_pool, make_keypoints(stick_pool, 6, noise=noise))


@pytest.mark.parametrize("distance", ["geodesic", "axis_angle"])
def test_equals_exhaustive_evaluation_with_hundreds_compatible(stick_pool, distance):
    keypoints2d = make_keypoints(stick_pool, 3, seed=4)
    selected = CandidateSelector(stick_pool, max_fit_loss=1e5)(keypoints2d)
    assert (selected.num_compatible > 100).all()
    assert_selects_exhaustively(stick_pool, keypoints2d, distance=distance, max_fit_loss=1e5)


@settings(deadline=None, max_examples=15)
@example(seed=327, nearest=5.0, shift=0.0, max_fit_loss=1e5)  # two poses by two orientations: a tie
@example(seed=155, nearest=1000.0, shift=0.0, max_fit_loss=10.0)  # five pixels of noise: no body before the camera
@given(
    seed=st.integers(0, 1000),
    nearest=st.sampled_from([1.2, 5.0, 40.0, 1000.0]),
    shift=st.sampled_from([0.0, 300.0, 5000.0]),
    max_fit_loss=st.sampled_from([10.0, 2000.0, 1e5]),
)
def test_equals_exhaustive_evaluation_at_any_distance_and_far_off_centre(seed, nearest, shift, max_fit_loss):
    pool = make_stick_pool(num_poses=25, num_orientations=8, seed=seed)
    keypoints2d = make_keypoints(pool, 3, seed=seed, depth=(nearest, 1.5 * nearest), noise=4.0)
    keypoints2d[..., :2] += shift
    assert_selects_exhaustively(pool, keypoints2d, max_fit_loss=max_fit_loss)


@pytest.mark.parametrize("kind", PEOPLE)
def test_equals_exhaustive_evaluation_on_ordinary_people(kind):
    """Every hundredth pose of the package's pool: some people have more than a hundred compatible candidates."""
    pool = take_poses(load_default_pool(), slice(None, None, 100))
    keypoints2d = torch.cat([ordinary_keypoints(kind, confidence, 1, seed=3) for confidence in CONFIDENCES])
    assert_selects_exhaustively(pool, keypoints2d.double(), max_fit_loss=4000.0)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 1000),
    max_fit_loss=st.sampled_from([2000.0, 1e5]),
    num_candidates=st.sampled_from([2, 6]),
    distance=st.sampled_from(["geodesic", "axis_angle"]),
)
def test_equals_exhaustive_evaluation_wherever_the_farthest_are_sought(seed, max_fit_loss, num_candidates, distance):
    """Among so few poses that the first search often has to be widened."""
    pool = make_stick_pool(num_poses=9, num_orientations=4, seed=seed)
    keypoints2d = make_keypoints(pool, 1, seed=seed, noise=4.0)
    options = {"num_candidates": num_candidates, "max_fit_loss": max_fit_loss, "distance": distance}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mion_plugin.candidates.diversity._FARTHEST_POSES", 1)
        patch.setattr("mion_plugin.candidates.diversity._MORE", 2)
        assert_selects_exhaustively(pool, keypoints2d, **options)


@pytest.mark.parametrize("kind", ["geodesic", "axis_angle"])
def test_the_bound_of_a_distance_bounds(stick_pool, kind):
    distance = CandidateSelector(stick_pool, distance=kind).distance
    start, pose = torch.tensor([3, 8]), torch.arange(60).repeat(2)
    bound = distance.most_from(start, pose, [60, 60]).double()
    exact = distance.body_squared(pose, start.repeat_interleave(60))
    assert (bound >= exact).all()
    assert (bound <= exact + 2.0 * distance.rounding).all()
    assert distance.rounding < 0.01


def test_the_quick_fit_is_as_near_to_the_exact_one_as_it_says(stick_pool):
    keypoints2d = make_keypoints(stick_pool, 20, seed=9)
    selector = CandidateSelector(stick_pool)
    target = make_target(keypoints2d, 5000.0, (112.0, 112.0))
    entries = PoolEntries(*(part.flatten() for part in torch.meshgrid(*map(torch.arange, (20, 60, 12)), indexing="ij")))
    loss, quick = selector._fit(entries, target)[1], selector.quick_fit(entries, target).double()
    matters = loss < 1e4
    assert matters.sum() > 100
    error = QUICK_ERROR * loss + ROUNDING * target.spread[entries.sample]
    assert ((quick - loss).abs() < 0.1 * error)[matters].all()


def test_the_bound_bounds(stick_pool):
    """Every bound is below the exact loss, and near it where it matters."""
    keypoints2d = make_keypoints(stick_pool, 20, seed=9)
    selector = CandidateSelector(stick_pool)
    target = make_target(keypoints2d, 5000.0, (112.0, 112.0))
    bounds = selector.scorer(target.slopes.float(), target.weight.float(), target.mean.float())
    bound = 5000.0**2 * bounds.lower.double()
    joints = torch.einsum("oij,pkj->opki", selector.rotations, selector.keypoints3d.double())
    _, loss = fit_translation(joints.flatten(0, 1), keypoints2d, 5000.0, (112.0, 112.0))
    bound, loss = bound.transpose(0, 1), loss.view(20, *bound.shape[::2])
    assert (bound * (1 - 1e-4) - ROUNDING * target.spread[:, None, None] <= loss).all()
    good = loss < 5000.0
    assert good.sum() > 20
    assert (bound[good] > 0.9 * loss[good]).all()


@pytest.mark.parametrize("width", [1, 7, 60])
def test_poses_are_bounded_in_blocks(stick_pool, monkeypatch, width):
    """Of any width, the last of them narrower, in memory that is used again, in which nothing of before is left."""
    keypoints2d = make_keypoints(stick_pool, 7, seed=9)
    target = make_target(keypoints2d, 5000.0, (112.0, 112.0))
    given = target.slopes.float(), target.weight.float(), target.mean.float()
    selector = CandidateSelector(stick_pool)
    whole, chosen = selector.scorer(*given), fields_of(selector(keypoints2d))
    monkeypatch.setattr(scoring, "_POSES_AT_ONCE", width)
    monkeypatch.setattr(CandidateSelector, "_images_at_once", lambda self: 3)
    selector = CandidateSelector(stick_pool)
    first = selector.scorer(*given)
    again = selector.scorer(*(value.flip(0) for value in given), out=first)
    assert again.lower is first.lower
    torch.testing.assert_close(again.lower.flip(1), whole.lower, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(again.farthest.flip(1), whole.farthest, rtol=1e-5, atol=1e-5)
    for name, value in fields_of(selector(keypoints2d)).items():
        assert torch.equal(value, chosen[name]), name


def test_selection_is_sorted_as_documented(stick_pool):
    selected = CandidateSelector(stick_pool)(make_keypoints(stick_pool, 40, seed=2))
    plenty = selected.num_compatible >= 5
    assert plenty.any()
    assert (~plenty).any()
    assert (selected.fit_loss[plenty] < 2000).all()
    assert (selected.fit_loss[:, :1] <= selected.fit_loss).all()
    for b in torch.nonzero(~plenty).flatten():
        filled = selected.fit_loss[b, selected.num_compatible[b].clamp(min=1) :]
        assert (filled.diff() >= 0).all()
    assert all(len(set(row.tolist())) == 5 for row in selected.index)


def test_projecting_the_selection_gives_its_loss(stick_pool):
    keypoints2d = make_keypoints(stick_pool, 8)
    selector = CandidateSelector(stick_pool)
    selected = selector(keypoints2d)
    pose, orientation = selected.index // 12, selected.index % 12
    assert torch.equal(selected.pose[:, :, 0], selector.global_orient[orientation])
    assert torch.equal(selected.pose[:, :, 1:], selector.body_pose[pose])
    joints = selector.keypoints3d[pose].double() @ selector.rotations[orientation].mT
    joints = joints + selected.transl[:, :, None] + selector.root_offset
    error = 5000 * joints[..., :2] / joints[..., 2:] + 112 - keypoints2d[:, None, :, :2]
    loss = (error.square().sum(-1) * keypoints2d[:, None, :, 2]).sum(-1)
    torch.testing.assert_close(loss, selected.fit_loss.double(), rtol=1e-3, atol=0.05)


def test_a_selection_is_bodies_of_the_mean_shape(stick_pool):
    selected = CandidateSelector(stick_pool)(make_keypoints(stick_pool, 4))
    assert isinstance(selected, Bodies)
    assert selected.betas.shape == (4, 5, 10)
    assert (selected.betas == 0).all()
    assert selected.betas.dtype == selected.pose.dtype == selected.transl.dtype == torch.float32
    assert selected.pncc is None


def test_a_selection_may_take_part_in_a_training(stick_pool):
    selected = CandidateSelector(stick_pool, num_candidates=3)(make_keypoints(stick_pool, 2))
    weight = torch.ones((), requires_grad=True)
    (weight * selected.pose).square().sum().backward()
    assert weight.grad > 0
    assert not any(value.is_inference() or value.requires_grad for value in fields_of(selected).values())


def test_some_of_a_selection_keep_their_place_in_the_pool(stick_pool):
    selected = CandidateSelector(stick_pool)(make_keypoints(stick_pool, 3))
    order = torch.tensor([[4, 0], [1, 1], [2, 3]])
    some = selected.take(order)
    for row in range(3):
        for place, number in enumerate(order[row].tolist()):
            for name in ("index", "pose", "transl", "fit_loss"):
                assert torch.equal(getattr(some, name)[row, place], getattr(selected, name)[row, number])
    assert torch.equal(some.num_compatible, selected.num_compatible)
    assert torch.equal(some.valid, selected.valid)


def test_its_camera_is_that_of_the_crops(stick_pool):
    assert CandidateSelector(stick_pool).camera == CropCamera()
    small = CandidateSelector(stick_pool, focal_length=2500.0, image_size=112)
    assert small.camera == CropCamera(2500.0, 112)


class TestItsBody:
    """Whether the pool's keypoints are those of a body."""

    @pytest.mark.parametrize("convention", ["coco", "h36m", "lsp"])
    def test_is_the_one_that_the_pool_was_made_with(self, convention):
        body = SMPLBody()
        selector = CandidateSelector(make_body_pool(body), convention=convention)
        selector.check_body(body, "network")

    def test_the_packages_pool_is_that_of_the_packages_body(self):
        CandidateSelector().check_body(SMPLBody(), "network")

    def test_its_keypoints_in_another_order_are_never_another_bodys(self):
        pool = make_body_pool(SMPLBody(gender="male"))
        CandidateSelector(pool)
        with pytest.raises(ValueError, match=r"was built with .*male.* in 'coco'; its keypoints in 'h36m' would be"):
            CandidateSelector(pool, convention="h36m")

    def test_another_body_is_named(self, stick_pool):
        body = SMPLBody()
        message = (
            "the selector's pool has the keypoints of the body .*, "
            rf"the network's body is {re.escape(body.arrays.name)}: a keypoint is \d+ mm elsewhere\. "
            "Give the selector body_model=FILE"
        )
        with pytest.raises(ValueError, match=message):
            CandidateSelector(stick_pool).check_body(body, "network")


def test_batch_equals_its_rows_and_any_order(stick_pool):
    keypoints2d = make_keypoints(stick_pool, 9, seed=3)
    selector = CandidateSelector(stick_pool)
    together = selector(keypoints2d)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = selector(keypoints2d[order])
    assert set(fields_of(together)) == {"pose", "betas", "transl", "fit_loss", "valid", "index", "num_compatible"}
    for name, values in fields_of(together).items():
        alone = torch.cat([getattr(selector(row[None]), name) for row in keypoints2d])
        torch.testing.assert_close(alone, values, rtol=0, atol=0)
        torch.testing.assert_close(getattr(shuffled, name), values[order], rtol=0, atol=0)


def test_chunks_change_nothing(stick_pool, monkeypatch):
    keypoints2d = make_keypoints(stick_pool, 7, seed=5)
    selector = CandidateSelector(stick_pool)
    together = selector(keypoints2d)
    monkeypatch.setattr("mion_plugin.candidates.selector._BOUNDS_AT_ONCE_CPU", 1)
    monkeypatch.setattr("mion_plugin.candidates.selector._PAIRS_AT_ONCE", 3)
    chunked = selector(keypoints2d)
    for name, values in fields_of(together).items():
        assert torch.equal(getattr(chunked, name), values), name


def test_the_order_of_the_pool_does_not_matter(stick_pool):
    order = np.random.default_rng(0).permutation(len(stick_pool.body_pose))
    shuffled = dataclasses.replace(
        stick_pool, body_pose=stick_pool.body_pose[order], keypoints3d=stick_pool.keypoints3d[order]
    )
    keypoints2d = make_keypoints(stick_pool, 6)
    selected, again = (CandidateSelector(pool)(keypoints2d) for pool in (stick_pool, shuffled))
    assert torch.equal(selected.pose, again.pose)
    torch.testing.assert_close(selected.fit_loss, again.fit_loss)


def test_moving_the_keypoints_in_the_image_moves_the_bodies_sideways(stick_pool):
    keypoints2d = make_keypoints(stick_pool, 6, noise=2.0)
    moved = keypoints2d.clone()
    moved[..., 0] += 3.0
    selector = CandidateSelector(stick_pool)
    before, after = selector(keypoints2d), selector(moved)
    same = (before.index == after.index).all(dim=1)
    assert same.sum() >= 3  # a shift of 3 px turns the viewing direction by 0.03 degrees: nearly all stay
    expected = before.transl[same, :, 0] + 3.0 * before.transl[same, :, 2] / 5000.0
    torch.testing.assert_close(after.transl[same, :, 0], expected, rtol=0, atol=2e-3)


BROKEN = {
    "two keypoints": lambda k: k[2:, 2].zero_(),
    "no keypoint": lambda k: k.zero_(),
    "one point": lambda k: k[:, :2].fill_(60.0),
    "NaN": lambda k: k[3, 0].fill_(torch.nan),
    "infinite": lambda k: k[3, 1].fill_(torch.inf),
    "NaN everywhere": lambda k: k.fill_(torch.nan),
    "negative confidence": lambda k: k[3, 2].fill_(-1.0),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sample_is_marked_and_disturbs_no_other(stick_pool, name):
    keypoints2d = make_keypoints(stick_pool, 5)
    keypoints2d[..., 2].clamp_(min=0.2)
    selector = CandidateSelector(stick_pool)
    sound = selector(keypoints2d)
    BROKEN[name](keypoints2d[2])
    selected = selector(keypoints2d)
    assert selected.valid.tolist() == [True, True, False, True, True]
    for name, values in fields_of(selected).items():
        assert values.isfinite().all(), name
        keep = [0, 1, 3, 4]
        assert torch.equal(values[keep], getattr(sound, name)[keep]), name
    assert (selected.index[2] == -1).all()
    assert (selected.fit_loss[2] == 2000.0).all()
    assert selected.num_compatible[2] == 0
    assert (selected.transl[2, :, 2] > 0).all()


def test_a_batch_of_broken_samples_and_an_empty_batch(stick_pool):
    selector = CandidateSelector(stick_pool)
    selected = selector(torch.zeros(3, 17, 3))
    assert not selected.valid.any()
    assert selected.pose.shape == (3, 5, 24, 3)
    empty = selector(torch.zeros(0, 17, 3))
    assert empty.pose.shape == (0, 5, 24, 3)
    assert empty.valid.shape == (0,)


def test_ghosts_never_appear():
    """Upside-down keypoints are explained perfectly by an upright body behind the camera."""
    pool = make_stick_pool(num_orientations=6)
    handstand = Rotation.from_euler("z", np.pi) * Rotation.from_rotvec(pool.global_orient)
    orientations = np.concatenate([pool.global_orient, handstand.as_rotvec()]).astype(np.float32)
    pool = dataclasses.replace(pool, global_orient=orientations)
    keypoints2d = make_keypoints(pool, 12, noise=0.0)
    keypoints2d[..., :2] = 224.0 - keypoints2d[..., :2]
    selector = CandidateSelector(pool)
    selected = selector(keypoints2d)
    assert selected.valid.all()
    pose, orientation = selected.index // 12, selected.index % 12
    joints = selector.keypoints3d[pose].double() @ selector.rotations[orientation].mT
    depth = (joints + selected.transl[:, :, None, :] + selector.root_offset)[..., 2]
    assert (depth > 0).all()
    assert_selects_exhaustively(pool, keypoints2d[:4])


def test_a_sample_with_fewer_bodies_in_front_than_asked_for_repeats_its_first():
    pool = make_stick_pool(num_poses=1, num_orientations=2)
    pool = dataclasses.replace(pool, global_orient=np.array([[np.pi, 0, 0], [np.pi, 0, 1e-3]], np.float32))
    facing = make_keypoints(pool, 1, noise=0.0)
    facing[..., 2] = 1.0
    selected = CandidateSelector(pool, num_candidates=2)(facing)
    assert selected.index[0].tolist() in ([0, 1], [1, 0])
    facing[..., :2] = 224.0 - facing[..., :2]
    ghost = CandidateSelector(pool, num_candidates=2)(facing)
    assert not ghost.valid[0]


def test_registered_interface(stick_pool, tmp_path):
    from mion_plugin.candidates import save_pool

    save_pool(stick_pool, tmp_path / "pool.npz")
    selector = MODELS.build(
        dict(
            type="mion.CandidateSelector",
            pool=str(tmp_path / "pool.npz"),
            num_candidates=3,
            max_fit_loss=2000.0,
            focal_length=5000.0,
            image_size=224,
        )
    )
    selected = selector(make_keypoints(stick_pool, 2).float().requires_grad_())
    assert selected.pose.shape == (2, 3, 24, 3)
    assert not selected.transl.requires_grad
    assert selector.state_dict() == {}


def test_lower_precision_and_autocast_do_not_change_the_choice(stick_pool):
    keypoints2d = make_keypoints(stick_pool, 6).float()
    selector = CandidateSelector(stick_pool)
    expected = selector(keypoints2d)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        selected = selector(keypoints2d)
    assert torch.equal(selected.index, expected.index)
    assert torch.equal(selected.fit_loss, expected.fit_loss)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_candidates": 0}, "num_candidates is 0, expected 1 to 720"),
        ({"num_candidates": 721}, "num_candidates is 721, expected 1 to 720"),
        ({"focal_length": -1.0}, "focal_length is -1.0, expected a positive finite number"),
        ({"image_size": float("nan")}, "image_size is nan"),
        ({"max_fit_loss": float("inf")}, "max_fit_loss is inf"),
        ({"distance": "euclid"}, "distance is 'euclid', expected one of geodesic, axis_angle"),
        ({"pool_split": "test"}, "pool_split is 'test', expected all or train"),
        ({"convention": "cocoa"}, "unknown keypoint convention 'cocoa'"),
    ],
)
def test_bad_arguments_are_named(stick_pool, options, message):
    with pytest.raises(ValueError, match=message):
        CandidateSelector(stick_pool, **options)


def test_bad_input_shape_is_named(stick_pool):
    with pytest.raises(ValueError, match=r"keypoints2d has shape \(2, 14, 3\), expected \(B, 17, 3\)"):
        CandidateSelector(stick_pool)(torch.zeros(2, 14, 3))


@pytest.mark.parametrize("keypoints2d", [None, 3.0, np.zeros((1, 17, 3)), [[1.0, 2.0, 3.0]] * 17])
def test_what_is_no_tensor_is_named(stick_pool, keypoints2d):
    with pytest.raises(TypeError, match=r"keypoints2d is a \w+, expected a tensor \(B, K, 3\)"):
        CandidateSelector(stick_pool)(keypoints2d)


anything = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 112.0, 1e-300, 1e300, float("nan"), float("inf")]))


@settings(deadline=None, max_examples=50)
@given(values=st.lists(anything, min_size=9, max_size=9), place=st.integers(0, 14), others=st.booleans())
def test_any_numbers_give_a_sound_selection_and_disturb_no_other(values, place, others):
    """Three keypoints of the second of three samples hold anything; its others are sound, or absent."""
    pool = make_stick_pool(num_poses=25, num_orientations=8)
    keypoints2d = make_keypoints(pool, 3)
    selector = CandidateSelector(pool, num_candidates=4)
    sound = selector(keypoints2d)
    hostile = keypoints2d.clone()
    if not others:
        hostile[1] = 0
    hostile[1, place : place + 3] = torch.tensor(values, dtype=hostile.dtype).view(3, 3)
    found = selector(hostile)
    for name, value in fields_of(found).items():
        assert torch.isfinite(value.double()).all(), name
        assert torch.equal(value[[0, 2]], getattr(sound, name)[[0, 2]]), name
    assert (found.fit_loss[1, 1:] >= found.fit_loss[1, :1]).all()
    assert (found.transl[1, :, 2] > 0).all()
    assert found.valid[1] or (found.index[1] == -1).all()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), factor=st.floats(0.1, 10.0))
def test_confidences_scale_the_losses_and_change_no_choice(seed, factor):
    pool = make_stick_pool(num_poses=25, num_orientations=8)
    keypoints2d = make_keypoints(pool, 2, seed=seed, noise=4.0)
    scaled = keypoints2d * torch.tensor([1.0, 1.0, factor])
    found = CandidateSelector(pool, max_fit_loss=2000.0)(keypoints2d)
    again = CandidateSelector(pool, max_fit_loss=2000.0 * factor)(scaled)
    assert torch.equal(found.index, again.index)
    torch.testing.assert_close(again.fit_loss, factor * found.fit_loss, rtol=1e-4, atol=1e-6)
