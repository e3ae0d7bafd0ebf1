"""Alternatives: where they lie, against linear algebra and derivatives of others, and what they must not touch."""

import pytest
import torch
from fitting.test_problem import make_problem
from support.fake_tensors import become_fake
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.bodies import Bodies
from mion_plugin.fitting.solver import minimize
from mion_plugin.fitting.spread import corner_moves, depth_axes

NAMES = ("pose", "betas", "transl")


@pytest.fixture(scope="module")
def fit(make_fit):
    return make_fit(keypoint_noise=0.004, iterations=10)


@pytest.fixture(scope="module")
def fitted(fit, make_people):
    people = make_people(images=4, paths=5, noise=0.5)
    return people.keypoints2d, fit(*people.inputs)


@pytest.mark.parametrize("num_paths", [1, 2, 5, 7])
def test_the_selected_one_stays_and_the_others_go_to_the_corners(num_paths):
    for selected in range(num_paths):
        moves = corner_moves(torch.tensor([selected, 0]), num_paths, 1.5)[0].tolist()
        assert moves.pop(selected) == [0, 0]
        corners = [[1.5, 1.0], [-1.5, -1.0], [1.5, -1.0], [-1.5, 1.0]]
        assert moves == [pytest.approx(corners[other % 4]) for other in range(num_paths - 1)]


def test_axes_are_those_of_the_posterior_density(make_fit, make_people):
    problem = make_problem(make_fit, make_people())
    point, _ = minimize(problem, torch.zeros(3, 85, dtype=torch.float64), 10)

    def behind_pelvis(z):
        rotations, betas, _ = problem.body(z)
        points, placed = problem.chain(rotations, betas)
        return points[..., 2] - placed.joints[:, :1, 2]

    by_z = torch.func.jacfwd(behind_pelvis)(point)
    axes = depth_axes(problem, point, 2)
    for row in range(3):
        jacobian, depths = problem(point).jacobian[row], by_z[row, :, row]
        precision = torch.eye(85, dtype=torch.float64) + jacobian.T @ jacobian
        covariance = depths @ torch.linalg.inv(precision) @ depths.T
        directions, variances, _ = torch.linalg.svd(covariance)
        moved = axes[row] @ depths.T
        for number in range(2):
            expected = variances[number].sqrt() * directions[:, number]
            expected = expected * expected[expected.abs().argmax()].sign()
            # betas move the pelvis, which the axes leave out: a hundredth of what they are
            torch.testing.assert_close(moved[number], expected, atol=0.03 * float(expected.abs().max()), rtol=0)
        # one standard deviation each, and independent
        torch.testing.assert_close(
            axes[row] @ precision @ axes[row].T, torch.eye(2, dtype=torch.float64), atol=1e-8, rtol=0
        )


def test_depths_change_and_the_projection_hardly_does(body, fit, fitted, pixel_error):
    keypoints2d, bodies = fitted
    others = fit.alternatives(bodies, keypoints2d, torch.tensor([2, 0, 4, 1]))
    apart = others.keypoints(body, "coco") - bodies.keypoints(body, "coco")
    apart = apart - apart.mean(dim=2, keepdim=True)
    assert apart[..., 2].abs().mean() > 3 * apart[..., :2].abs().mean()
    assert apart[..., 2].abs().mean() > 0.02  # metres, the ones that stay included
    assert pixel_error(others, keypoints2d).mean() < pixel_error(bodies, keypoints2d).mean() + 0.3


def test_opposite_corners_are_opposite(body, fit, fitted):
    keypoints2d, bodies = fitted
    same = Bodies(*(getattr(bodies, name)[:, :1].expand(-1, 5, *getattr(bodies, name).shape[2:]) for name in NAMES))
    depths = fit.alternatives(same, keypoints2d, torch.full((4,), 4)).keypoints(body, "coco")[..., 2]
    moved = (depths - depths[:, 4:])[:, :4]
    for first, second in ((0, 1), (2, 3)):
        off = (moved[:, first] + moved[:, second]).abs().mean()
        assert off < 0.25 * moved[:, first].abs().mean()  # a body is not linear


def test_the_selected_body_stays_exactly_and_a_row_is_a_batch_of_one(fit, fitted):
    keypoints2d, bodies = fitted
    selected = torch.tensor([2, 0, 4, 1])
    others = fit.alternatives(bodies, keypoints2d, selected)
    rows = torch.arange(4)
    for name in NAMES:
        before, after = getattr(bodies, name), getattr(others, name)
        assert torch.equal(after[rows, selected], before[rows, selected])
        assert not torch.equal(after, before)
        for row in range(4):
            one = Bodies(*(getattr(bodies, part)[row : row + 1] for part in NAMES))
            alone = fit.alternatives(one, keypoints2d[row : row + 1], selected[row : row + 1])
            torch.testing.assert_close(getattr(alone, name)[0], after[row], atol=1e-3, rtol=1e-4)


def test_bodies_without_keypoints_and_bodies_that_are_none_stay(fit, fitted):
    keypoints2d, bodies = fitted
    keypoints2d, transl = keypoints2d.clone(), bodies.transl.clone()
    keypoints2d[0, :, 2], transl[1, 3] = 0.0, torch.nan
    broken = Bodies(bodies.pose, bodies.betas, transl, valid=torch.tensor([False, True, True, True]))
    others = fit.alternatives(broken, keypoints2d, torch.zeros(4, dtype=torch.long))
    assert torch.equal(others.valid, broken.valid)
    assert torch.equal(others.pose[0], bodies.pose[0])
    assert torch.equal(others.pose[1, 3], bodies.pose[1, 3])
    expected = fit.alternatives(bodies, keypoints2d, torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(others.pose[2:], expected.pose[2:])
    assert others.pose.isfinite().all()


def test_wrong_shapes_and_options(make_fit, fit, fitted):
    keypoints2d, bodies = fitted
    with pytest.raises(ValueError, match=r"selected has shape \(3,\), expected \(4,\)"):
        fit.alternatives(bodies, keypoints2d, torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"keypoints2d has shape \(4, 16, 3\)"):
        fit.alternatives(bodies, keypoints2d[:, :16], torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"spread is 0\.0, expected a positive"):
        make_fit(spread=0.0)


def test_everything_stays_on_its_device(make_fit):
    fit = make_fit()
    with FakeTensorMode():
        become_fake(fit)
        bodies = Bodies(*(torch.empty(2, 3, *shape, device="cuda") for shape in ((24, 3, 3), (10,), (3,))))
        selected = torch.zeros(2, dtype=torch.long, device="cuda")
        others = fit.alternatives(bodies, torch.empty(2, 17, 3, device="cuda"), selected)
        assert {getattr(others, name).device.type for name in NAMES} == {"cuda"}
