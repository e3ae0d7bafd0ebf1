"""The prior around the start: its scales, its symmetry, its options."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mion_plugin.candidates.pool import load_default_pool
from mion_plugin.fitting import StartPrior
from mion_plugin.fitting.priors import turn_covariance
from mion_plugin.geometry.keypoints import flip_permutation
from mion_plugin.geometry.rotations import rotvec_to_rotmat


@pytest.fixture(scope="module")
def pool():
    pool = load_default_pool()
    keep = np.arange(0, len(pool.body_pose), 50)
    return replace(
        pool, body_pose=pool.body_pose[keep], keypoints3d=pool.keypoints3d[keep], clip_index=pool.clip_index[keep]
    )


def test_scales(pool):
    root = StartPrior(joints=0.3, orientation=0.2, betas=0.4, shift=0.05, depth=0.07, pool=pool)().double()
    covariance = root @ root.T
    sigma = covariance.diagonal().sqrt()
    torch.testing.assert_close(sigma[3:72].square().mean().sqrt().item(), 0.3, atol=1e-6, rtol=0)
    expected = torch.tensor([0.2] * 3 + [0.4] * 10 + [0.1] * 2 + [0.07], dtype=torch.float64)
    torch.testing.assert_close(torch.cat([sigma[:3], sigma[72:]]), expected, atol=1e-6, rtol=0)
    assert torch.equal(root, root.tril())
    elsewhere = covariance.clone()
    elsewhere[3:72, 3:72] = 0
    assert torch.equal(elsewhere, torch.diag(elsewhere.diagonal()))  # no correlation with or among the others


def test_knees_are_less_certain_than_the_neck_and_with_them_the_whole_is_symmetric(pool):
    covariance = turn_covariance(torch.from_numpy(pool.body_pose).double())
    variance = covariance.diagonal().unflatten(0, (23, 3)).sum(-1)
    knee, neck = 4 - 1, 12 - 1
    assert variance[knee] > 2 * variance[neck]
    mirror = torch.tensor([joint - 1 for joint in flip_permutation("smpl")[1:]])
    signs = torch.tensor([1.0, -1.0, -1.0]).double()
    blocks = covariance.view(23, 3, 23, 3)
    mirrored = blocks[mirror][:, :, mirror] * signs[:, None, None] * signs
    torch.testing.assert_close(mirrored, blocks, atol=1e-9, rtol=0)


def test_covariance_of_one_axis_by_hand():
    pose = torch.zeros(2, 23, 3, dtype=torch.float64)
    pose[:, 3, 0] = torch.tensor([0.4, 0.8])  # the left knee bends by 0.6 +- 0.2
    covariance = turn_covariance(pose)
    # with the mirror images both knees bend so in half of the poses: 0, 0, 0.4 and 0.8
    mean = rotvec_to_rotmat(pose.new_tensor([[0.0, 0, 0], [0, 0, 0], [0.4, 0, 0], [0.8, 0, 0]])).mean(0)
    angle = torch.atan2(mean[2, 1], mean[1, 1])
    expected = (torch.tensor([0.0, 0.0, 0.4, 0.8]).double() - angle).square().mean()
    torch.testing.assert_close(covariance[9, 9], expected)
    torch.testing.assert_close(covariance[12, 12], expected)
    assert covariance[0].abs().max() == 0


def test_without_the_pool_all_joints_are_alike_and_none_is_read(tmp_path):
    prior = StartPrior(joints=0.3, pool_share=0.0, pool=tmp_path / "none.npz")
    torch.testing.assert_close(prior()[3:72, 3:72], 0.3 * torch.eye(69))


def test_the_training_part_is_another_pool():
    assert not torch.equal(StartPrior(pool_split="train")(), StartPrior(pool_split="all")())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"joints": 0.0}, "joints is 0.0, expected a positive"),
        ({"depth": float("inf")}, "depth is inf"),
        ({"betas": float("nan")}, "betas is nan"),
        ({"pool_share": 1.5}, "pool_share is 1.5, expected 0 to 1"),
        ({"pool_split": "test"}, "pool_split is 'test', expected all or train"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        StartPrior(**options)


def test_it_is_no_part_of_a_checkpoint(pool):
    assert not StartPrior(pool=pool).state_dict()
