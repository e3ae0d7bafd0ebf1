"""The mean of fitted bodies: by hand, and where there is nothing to weigh."""

import pytest
import torch

from mion_plugin.fitting import FittedBodies, posterior_mean
from mion_plugin.fitting.consensus import posterior_weights
from mion_plugin.geometry.rotations import rotvec_to_rotmat

INF = float("inf")


def make(turns, cost):
    """One image whose bodies turn all joints by the given angles about z."""
    turn = torch.tensor(turns)[:, None, None] * torch.tensor([0.0, 0.0, 1.0]).expand(len(turns), 24, 3)
    count = torch.arange(len(turns), dtype=torch.float32)[None, :, None]
    bodies = (rotvec_to_rotmat(turn)[None], count.expand(1, -1, 10), count.expand(1, -1, 3))
    return FittedBodies(*bodies, cost=torch.tensor([cost]))


def mean(fitted):
    found = posterior_mean(fitted)
    return found.pose[:, 0], found.betas[:, 0], found.transl[:, 0]


def test_equal_costs_give_the_middle():
    pose, betas, transl = mean(make([0.2, 0.6], [3.0, 3.0]))
    expected = rotvec_to_rotmat(torch.tensor([0.0, 0.0, 0.4]))
    torch.testing.assert_close(pose, expected.expand(1, 24, 3, 3))
    torch.testing.assert_close(betas, torch.full((1, 10), 0.5))
    torch.testing.assert_close(transl, torch.full((1, 3), 0.5))


def test_a_cost_lower_by_log_3_counts_three_times():
    _, betas, _ = mean(make([0.0, 0.0], [5.0, 5.0 + torch.tensor(3.0).log().item()]))
    torch.testing.assert_close(betas, torch.full((1, 10), 0.25))


def test_bodies_that_were_left_count_nothing():
    fitted = make([0.2, 0.6], [INF, 7.0])
    fitted.pose[0, 0] = torch.nan
    pose, betas, _ = mean(fitted)
    torch.testing.assert_close(pose[0], fitted.pose[0, 1])
    assert (betas == 1).all()


def test_all_count_alike_where_none_was_fitted():
    weights = posterior_weights(torch.tensor([[INF, INF], [0.0, INF]]))
    assert weights.tolist() == [[0.5, 0.5], [1.0, 0.0]]


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_is_a_rotation(seed):
    generator = torch.Generator().manual_seed(seed)
    rotvec = torch.randn(2, 5, 24, 3, generator=generator)
    fitted = FittedBodies(
        rotvec_to_rotmat(rotvec),
        torch.zeros(2, 5, 10),
        torch.zeros(2, 5, 3),
        cost=torch.rand(2, 5, generator=generator),
    )
    pose, _, _ = mean(fitted)
    torch.testing.assert_close(pose @ pose.mT, torch.eye(3).expand_as(pose), atol=1e-5, rtol=0)
    assert (torch.linalg.det(pose) > 0).all()
