"""KeypointFit: what it reaches, what it must not depend on, and bad input."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mion_plugin.bodies import Bodies
from mion_plugin.body.depths import body_depths
from mion_plugin.evaluation.errors import evaluation_joints, mpjpe
from mion_plugin.fitting import FittedBodies, KeypointFit
from mion_plugin.geometry.crop_camera import NEAREST
from mion_plugin.geometry.keypoints import flip_permutation
from mion_plugin.geometry.rotations import rotmat_to_rotvec, rotvec_to_rotmat
from mion_plugin.registry import MODELS

CLOSE = {"atol": 2e-4, "rtol": 1e-5}  # single precision through four steps; metres and radians


@pytest.fixture(scope="module")
def fit(make_fit):
    return make_fit()


NAMES = ("pose", "betas", "transl", "cost")


def assert_same(first, second, **tolerance):
    for name in NAMES:
        torch.testing.assert_close(getattr(first, name), getattr(second, name), **(tolerance or CLOSE))


def parts(bodies):
    return bodies.pose, bodies.betas, bodies.transl


def changed(fitted, change):
    """Fitted bodies each of whose tensors is changed."""
    return FittedBodies(**{name: change(getattr(fitted, name)) for name in NAMES})


def test_keypoints_are_met_and_the_body_comes_nearer(body, make_fit, make_people, pixel_error):
    people = make_people(images=8, paths=3, wrong_by=0.15)
    fitted = make_fit(keypoint_noise=0.001, iterations=15)(*people.inputs)
    assert pixel_error(*people.inputs).mean() > 5
    assert pixel_error(fitted, people.keypoints2d).max() < 0.3
    truth = evaluation_joints(body.pose_keypoints(people.true_pose, people.true_betas, convention="h36m"))

    def error(pose, betas):
        return mpjpe(evaluation_joints(body.pose_keypoints(pose, betas, convention="h36m")), truth[:, None]).mean()

    # half of the error is depth, which keypoints do not tell
    assert error(fitted.pose, fitted.betas) < 0.8 * error(people.pose, people.betas)


def test_fitted_bodies_may_take_part_in_a_training(make_people, fit):
    fitted = fit(*make_people().inputs)
    weight = torch.ones((), requires_grad=True)
    sum((weight * getattr(fitted, name)).square().sum() for name in NAMES).backward()
    assert weight.grad > 0
    assert not any(getattr(fitted, name).requires_grad for name in NAMES)


class TestDepths:
    def test_known_ones_bring_the_body_nearer(self, body, make_fit, make_people):
        people = make_people(images=8, paths=3, wrong_by=0.15)
        true = body_depths(body, people.true_pose, people.true_betas, "coco")
        depths = torch.stack([true, torch.full_like(true, 1 / 0.01)], dim=-1)
        plain = make_fit(iterations=10)(*people.inputs)
        told = make_fit(iterations=10, use_depths=True)(*people.inputs, depths)

        def off(bodies):
            return (body_depths(body, bodies.pose, bodies.betas, "coco") - true[:, None]).abs().mean()

        assert off(told) < 0.2 * off(plain)

    def test_those_that_are_unknown_or_not_asked_for_change_nothing(self, make_fit, make_people, fit):
        people = make_people()
        plain = fit(*people.inputs)
        assert not fit.reads_depths
        unasked = fit(*people.inputs, torch.full((3, 17, 2), 5.0))
        for name in NAMES:
            assert torch.equal(getattr(unasked, name), getattr(plain, name))
        depths = torch.zeros(3, 17, 2)
        depths[:, :5] = torch.tensor([torch.nan, 8.0])
        depths[:, 5:9, 0] = 0.7
        told = make_fit(use_depths=True)
        assert told.reads_depths
        assert_same(told(*people.inputs, depths), plain)
        assert_same(told(*people.inputs), plain)

    def test_bad_ones(self, make_fit, make_people):
        with pytest.raises(ValueError, match=r"depths has shape \(3, 17\), expected \(3, 17, 2\)"):
            make_fit(use_depths=True)(*make_people().inputs, torch.zeros(3, 17))


def test_what_the_picture_shows_alone_is_recovered(body, make_fit, make_people):
    """Arms turned about the optical axis: exact keypoints bring them back."""
    people = make_people(images=4, paths=1, wrong_by=0.0)
    world = people.true_pose[:, 0] @ people.true_pose[:, 3] @ people.true_pose[:, 6] @ people.true_pose[:, 9]
    above = world @ people.true_pose[:, 13]  # what the left shoulder turns in
    turn = rotvec_to_rotmat(torch.tensor([0.0, 0.0, 0.3]))
    pose = people.pose.clone()
    pose[:, 0, 16] = above.mT @ turn @ above @ people.true_pose[:, 16]
    fitted = make_fit(keypoint_noise=0.001, iterations=15)(
        Bodies(pose, people.betas, people.transl), people.keypoints2d
    )
    truth = body.pose_keypoints(people.true_pose, people.true_betas)
    before, after = (
        torch.linalg.vector_norm(body.pose_keypoints(p, b)[:, 0] - truth, dim=-1)[:, [7, 9]].mean()
        for p, b in ((pose, people.betas), (fitted.pose, fitted.betas))
    )
    assert before > 0.06
    assert after < 0.35 * before


def test_a_body_on_its_keypoints_stays(make_people, fit):
    people = make_people(wrong_by=0.0)
    fitted = fit(*people.inputs)
    start = FittedBodies(*parts(people), cost=torch.zeros_like(fitted.cost))
    assert_same(fitted, start, atol=1e-4, rtol=0)


def test_noisier_keypoints_pull_less(make_fit, make_people, pixel_error):
    people = make_people(noise=2.0)
    errors = [
        pixel_error(make_fit(keypoint_noise=noise, cutoff=1e3)(*people.inputs), people.keypoints2d).mean()
        for noise in (0.005, 0.02, 0.1)
    ]
    assert errors[0] < errors[1] < errors[2] < pixel_error(*people.inputs).mean()


def test_rotations_stay_rotations_and_joints_in_front(body, make_people, fit):
    people = make_people(images=6, wrong_by=0.6, noise=20.0)
    fitted = fit(*people.inputs)
    product = fitted.pose @ fitted.pose.mT
    torch.testing.assert_close(product, torch.eye(3).expand_as(product), atol=1e-5, rtol=0)
    assert (torch.linalg.det(fitted.pose) > 0).all()
    assert body.pose_keypoints(*parts(fitted), convention="smpl")[..., 2].min() > NEAREST


def test_a_single_image_is_a_row_of_the_batch(make_people, fit):
    people = make_people(images=5, paths=3, noise=1.0)
    together = fit(*people.inputs)
    for row in range(5):
        start = Bodies(*(value[row : row + 1] for value in parts(people)))
        alone = fit(start, people.keypoints2d[row : row + 1])
        assert_same(alone, changed(together, lambda value, row=row: value[row : row + 1]))


def test_order_of_the_paths_does_not_matter(make_people, fit):
    people = make_people(paths=4, noise=1.0)
    order = [2, 0, 3, 1]
    start = Bodies(*(value[:, order] for value in parts(people)))
    assert_same(fit(start, people.keypoints2d), changed(fit(*people.inputs), lambda value: value[:, order]))


def test_mirror_images_are_fitted_to_mirror_images(make_people, fit):
    people = make_people(noise=1.0)
    flip, joints = torch.tensor([-1.0, 1.0, 1.0]), list(flip_permutation("smpl"))

    def mirrored(bodies):
        return flip[:, None] * bodies.pose[:, :, joints] * flip, bodies.betas, bodies.transl * flip

    keypoints2d = people.keypoints2d[:, list(flip_permutation("coco"))].clone()
    keypoints2d[..., 0] = fit.camera.image_size - keypoints2d[..., 0]
    expected = fit(*people.inputs)
    actual = fit(Bodies(*mirrored(people)), keypoints2d)
    assert_same(actual, FittedBodies(*mirrored(expected), cost=expected.cost))


def test_axis_angle_and_matrices_are_the_same(make_people, fit):
    people = make_people()
    rotvec = rotmat_to_rotvec(people.pose)
    both = [
        fit(Bodies(pose, people.betas, people.transl), people.keypoints2d)
        for pose in (rotvec, rotvec_to_rotmat(rotvec))
    ]
    assert_same(*both, atol=0, rtol=0)


def test_single_precision_at_45_m(make_fit, make_people):
    people = make_people(noise=1.0)
    single, double = make_fit()(*people.inputs), make_fit().double()(*people.inputs)
    assert double.pose.dtype == torch.float64
    assert_same(single, changed(double, torch.Tensor.float))


def test_mixed_precision_changes_nothing(make_people, fit):
    people = make_people()
    expected = fit(*people.inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(fit(*people.inputs), expected, atol=0, rtol=0)


def test_no_gradients(make_people, fit):
    people = make_people()
    people.pose.requires_grad_()
    fitted = fit(*people.inputs)
    assert not fitted.pose.requires_grad


def test_absent_keypoints_are_not_read(make_people, fit):
    people = make_people()
    absent = people.keypoints2d.clone()
    absent[:, 5, 2] = 0.0
    expected = fit(people.bodies, absent)
    for bad in (float("nan"), float("inf"), -1e30, 5.0):
        absent[:, 5, :2] = bad
        assert_same(fit(people.bodies, absent), expected, atol=0, rtol=0)
    for confidence in (float("nan"), float("inf"), -1.0):
        absent[:, 5, 2] = confidence
        assert_same(fit(people.bodies, absent), expected, atol=0, rtol=0)


def test_without_keypoints_bodies_stay_exactly(make_people, fit):
    people = make_people()
    keypoints2d = people.keypoints2d.clone()
    keypoints2d[0, :, 2] = 0.0
    keypoints2d[1, :, :2] = float("nan")
    fitted, others = fit(people.bodies, keypoints2d), fit(*people.inputs)
    for new, old in zip(parts(fitted), parts(people), strict=True):
        assert torch.equal(new[:2], old[:2])
    assert fitted.cost[:2].isinf().all()
    torch.testing.assert_close(fitted.pose[2], others.pose[2], **CLOSE)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_body_that_is_no_body_stays_and_disturbs_no_other(make_people, fit, part, value):
    people = make_people()
    inputs = [each.clone() for each in parts(people)]
    inputs[part][1, 0].flatten()[2] = value
    fitted, expected = fit(Bodies(*inputs), people.keypoints2d), fit(*people.inputs)
    for new, old in zip(parts(fitted), inputs, strict=True):
        assert torch.equal(new[1, 0].nan_to_num(), old[1, 0].nan_to_num())
    assert fitted.cost[1, 0].isinf()
    good = torch.ones(3, 2, dtype=torch.bool)
    good[1, 0] = False
    for name in ("pose", "betas", "transl", "cost"):
        torch.testing.assert_close(getattr(fitted, name)[good], getattr(expected, name)[good], **CLOSE)


@pytest.mark.parametrize("depth", [-45.0, 0.0, 0.6, 1e-3])
def test_a_body_that_is_not_before_the_camera_stays(make_people, fit, depth):
    people = make_people()
    people.transl[0, 0, 2] = depth
    fitted = fit(*people.inputs)
    for new, old in zip(parts(fitted), parts(people), strict=True):
        assert torch.equal(new[0, 0], old[0, 0])
    assert fitted.cost.isinf().sum() == 1


numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=17, max_size=17), st.floats(0.0, 3.0))
def test_whatever_the_keypoints_bodies_are_finite_and_the_cost_no_higher(make_people, fit, keypoints, wrong_by):
    people = make_people(images=1, paths=2, wrong_by=wrong_by)
    people.transl[..., 2].clamp_(min=3.0)
    keypoints2d = torch.tensor([keypoints])
    fitted = fit(people.bodies, keypoints2d)
    for value in parts(fitted):
        assert value.isfinite().all()
    assert not fitted.cost.isnan().any()


def test_no_image_and_no_path(make_people, fit):
    people = make_people()
    nobody, no_path = (
        Bodies(*(value[index] for value in parts(people))) for index in (slice(0), (slice(None), slice(0)))
    )
    assert fit(nobody, people.keypoints2d[:0]).pose.shape == (0, 2, 24, 3, 3)
    assert fit(no_path, people.keypoints2d).cost.shape == (3, 0)


@pytest.mark.parametrize(
    ("part", "shape", "message"),
    [
        (0, (3, 2, 23, 3), r"pose has shape \(3, 2, 23, 3\), expected \(3, 2, 24, 3, 3\) or \(3, 2, 24, 3\)"),
        (1, (3, 2, 300), r"betas has shape \(3, 2, 300\), expected \(3, 2, 10\)"),
        (2, (3, 3), r"transl has shape \(3, 3\)"),
        (3, (3, 25, 3), r"keypoints2d has shape \(3, 25, 3\), expected \(3, 17, 3\) .*'coco'"),
        (3, (2, 17, 3), r"keypoints2d has shape \(2, 17, 3\)"),
    ],
)
def test_wrong_shapes(make_people, fit, part, shape, message):
    people = make_people()
    inputs = [*parts(people), people.keypoints2d]
    inputs[part] = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        fit(Bodies(*inputs[:3]), inputs[3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations is 0, expected at least 1"),
        ({"keypoint_noise": 0.0}, "keypoint_noise is 0.0, expected a positive"),
        ({"cutoff": float("nan")}, "cutoff is nan"),
        ({"convention": "cocoa"}, "unknown keypoint convention"),
    ],
)
def test_bad_options(make_fit, options, message):
    with pytest.raises(ValueError, match=message):
        make_fit(**options)


def test_it_is_built_from_a_config_and_no_part_of_a_checkpoint():
    fit = MODELS.build(
        {"type": "mion.KeypointFit", "prior": {"type": "mion.StartPrior", "pool_share": 0.0}, "iterations": 2}
    )
    assert isinstance(fit, KeypointFit)
    assert not fit.state_dict()
    assert not list(fit.parameters())


def test_other_conventions(body, make_fit, make_people):
    people = make_people()
    fit = make_fit(convention="smpl_54")
    points = fit.camera.project_normalized(
        body.pose_keypoints(people.true_pose, people.true_betas, people.true_transl, "smpl_54")
    )
    pixels = (points + 1.0) * fit.camera.image_size / 2.0
    fitted = fit(people.bodies, torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1))
    assert fitted.cost.isfinite().all()
