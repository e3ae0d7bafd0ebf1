"""Levenberg-Marquardt on problems whose solution is known."""

import torch

from mion_plugin.fitting.solver import Linearized, minimize

M, R, D = 3, 4, 9


class Problems:
    """Of a function that gives all at once."""

    def __init__(self, evaluate):
        self.evaluate = evaluate

    def __call__(self, point):
        return self.evaluate(point)

    def cost(self, point):
        return self.evaluate(point).cost


def linear_problem(generator, scale=1.0):
    matrix = scale * torch.randn(M, R, D, generator=generator, dtype=torch.float64)
    target = torch.randn(M, R, generator=generator, dtype=torch.float64)

    def evaluate(z):
        residual = (matrix @ z[..., None])[..., 0] - target
        return Linearized((residual.square().sum(-1) + z.square().sum(-1)) / 2, residual, matrix)

    return evaluate, matrix, target


def test_a_linear_problem_is_ridge_regression():
    evaluate, matrix, target = linear_problem(torch.Generator().manual_seed(0))
    point, cost = minimize(Problems(evaluate), torch.ones(M, D, dtype=torch.float64), 30)
    normal = matrix.mT @ matrix + torch.eye(D, dtype=torch.float64)
    expected = torch.linalg.solve(normal, (matrix.mT @ target[..., None])[..., 0])
    torch.testing.assert_close(point, expected, atol=1e-8, rtol=0)
    torch.testing.assert_close(cost, evaluate(point).cost)


def test_single_precision_suffices_for_residuals_of_very_different_weight():
    evaluate, matrix, target = linear_problem(torch.Generator().manual_seed(1), scale=1e3)
    start = torch.zeros(M, D)

    def single(z):
        at = evaluate(z.double())
        return Linearized(at.cost.float(), at.residual.float(), at.jacobian.float())

    point, _ = minimize(Problems(single), start, 20)
    normal = matrix.mT @ matrix + torch.eye(D, dtype=torch.float64)
    expected = torch.linalg.solve(normal, (matrix.mT @ target[..., None])[..., 0])
    torch.testing.assert_close(point.double(), expected, atol=1e-5, rtol=0)


def test_the_cost_never_rises_and_inadmissible_points_are_left_alone():
    generator = torch.Generator().manual_seed(2)
    smooth, _, _ = linear_problem(generator, scale=3.0)

    def evaluate(z):  # no point beyond 0.3 is admissible; the last problem is not from the start
        at = smooth(z)
        cost = torch.where(z.abs().amax(-1) < 0.3, at.cost, torch.nan)
        return Linearized(torch.cat([cost[:-1], cost[-1:] + torch.inf]), at.residual, at.jacobian)

    start = torch.zeros(M, D, dtype=torch.float64)
    costs = torch.stack([minimize(Problems(evaluate), start, steps)[1] for steps in range(8)])
    assert (costs[1:, :-1] <= costs[:-1, :-1]).all()
    point, _ = minimize(Problems(evaluate), start, 8)
    assert torch.equal(point[-1], start[-1])
    assert (point[:-1].abs().amax(-1) < 0.3).all()
    assert (point[:-1] != 0).any(-1).all()
