"""The residuals' derivatives, and the objective against a generic optimiser's on the same function."""

import numpy as np
import pytest
import scipy.optimize
import torch

from mion_plugin.fitting.problem import NUM_PARAMETERS, FitProblem, Observed, ObservedDepths, Start
from mion_plugin.fitting.solver import minimize
from mion_plugin.geometry.crop_camera import CropCamera


def make_problem(make_fit, people, cutoff=6.0, with_depths=False):
    """The problem of the first path of each image in double precision, with one keypoint absent, and one depth."""
    fit = make_fit().double()
    pose, betas, transl = (value[:, 0].double() for value in (people.pose, people.betas, people.transl))
    points = fit.camera.normalize(people.keypoints2d[..., :2].double())
    precision = people.keypoints2d[..., 2].double() / (2.0 * fit.keypoint_noise)
    precision[:, 3] = 0.0
    start = Start(pose, betas, transl, fit.chain.pelvis(betas) + transl)
    depths = None
    if with_depths:
        generator = torch.Generator().manual_seed(2)
        known = torch.full((3, 17), 8.0, dtype=torch.float64)
        known[:, 9] = 0.0
        depths = ObservedDepths(0.3 * torch.randn(3, 17, generator=generator, dtype=torch.float64), known, (11, 12))
    return FitProblem(fit.chain, fit.camera, start, Observed(points, precision, depths), fit.prior(), cutoff)


@pytest.fixture(scope="module")
def points():
    generator = torch.Generator().manual_seed(5)
    return torch.randn(3, NUM_PARAMETERS, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("with_depths", [False, True])
def test_jacobian_is_that_of_the_residuals(make_fit, make_people, points, with_depths):
    problem = make_problem(make_fit, make_people(), cutoff=1e8, with_depths=with_depths)  # without robustness
    expected = torch.func.jacfwd(lambda z: problem(z).residual)(points)
    actual = problem(points).jacobian
    for row in range(len(points)):
        torch.testing.assert_close(actual[row], expected[row, :, row], atol=1e-6, rtol=1e-6)


def test_jacobian_of_depths_is_that_of_finite_differences(make_fit, make_people, points):
    problem, step = make_problem(make_fit, make_people(), cutoff=1e8, with_depths=True), 1e-5
    actual = problem(points).jacobian[:, -17:]
    assert not actual[:, 9].any()  # unknown
    for parameter in (0, 20, 52, NUM_PARAMETERS - 13, NUM_PARAMETERS - 3, NUM_PARAMETERS - 1):
        moved = torch.zeros(NUM_PARAMETERS, dtype=torch.float64)
        moved[parameter] = step
        ahead, behind = (problem(points + sign * moved).residual[:, -17:] for sign in (1, -1))
        torch.testing.assert_close(actual[..., parameter], (ahead - behind) / (2 * step), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("with_depths", [False, True])
def test_gradient_is_that_of_the_robust_cost(make_fit, make_people, points, with_depths):
    problem = make_problem(make_fit, make_people(), cutoff=2.0, with_depths=with_depths)
    at = problem(points)
    gradient = torch.func.grad(lambda z: problem(z).cost.sum())(points)
    # the chain's arrays are rounded to single precision, each sum of them by itself
    own = (at.jacobian.mT @ at.residual[..., None])[..., 0] + points
    torch.testing.assert_close(own, gradient, atol=1e-5, rtol=0)


@pytest.mark.parametrize("with_depths", [False, True])
def test_the_cost_alone_is_that_with_derivatives(make_fit, make_people, points, with_depths):
    problem = make_problem(make_fit, make_people(), cutoff=2.0, with_depths=with_depths)
    torch.testing.assert_close(problem.cost(points), problem(points).cost, rtol=1e-12, atol=0)


def test_no_generic_optimiser_finds_a_lower_cost(make_fit, make_people):
    problem = make_problem(make_fit, make_people(wrong_by=0.3, noise=1.5))
    _, found = minimize(problem, torch.zeros(3, NUM_PARAMETERS, dtype=torch.float64), 30)

    def cost_and_gradient(z):
        points = torch.from_numpy(z).view(3, NUM_PARAMETERS)
        at = problem(points)
        gradient = (at.jacobian.mT @ at.residual[..., None])[..., 0] + points
        return at.cost.sum().item(), gradient.flatten().numpy()

    start = np.zeros(3 * NUM_PARAMETERS)
    other = scipy.optimize.minimize(
        cost_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 200, "maxcor": 50}
    )
    assert found.sum() <= other.fun + 1e-3
    assert found.sum() < 0.5 * cost_and_gradient(start)[0]


def test_the_cost_is_infinite_behind_the_camera(make_fit, make_people):
    people = make_people()
    problem = make_problem(make_fit, people)
    problem.start.transl[0, 2] = -45.0
    cost = problem(torch.zeros(3, NUM_PARAMETERS, dtype=torch.float64)).cost
    assert cost.isinf().tolist() == [True, False, False]


def test_shift_and_depth_move_the_pelvis_as_they_say(make_fit, make_people):
    problem = make_problem(make_fit, make_people())
    parameters = torch.zeros(3, NUM_PARAMETERS, dtype=torch.float64)
    parameters[:, -3:] = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    _, betas, transl, _ = problem.start.moved(parameters, problem.camera)
    pelvis = problem.chain.pelvis(betas) + transl
    camera = CropCamera(problem.camera.focal_length, problem.camera.image_size)
    moved = camera.project_normalized(pelvis) - camera.project_normalized(problem.start.pelvis)
    torch.testing.assert_close(moved, torch.tensor([[0.1, -0.2]], dtype=torch.float64).expand(3, 2))
    torch.testing.assert_close((pelvis / problem.start.pelvis)[:, 2].log(), parameters[:, -1])
