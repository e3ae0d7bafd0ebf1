"""The keypoints against the body's own, their derivatives against forward-mode differentiation of those."""

import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.fitting.chain import KeypointChain
from mion_plugin.fitting.so3 import exponential
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.geometry.rotations import rotvec_to_rotmat

BODIES = 2


@pytest.fixture(scope="module")
def bodies():
    generator = torch.Generator().manual_seed(1)
    rotations = rotvec_to_rotmat(torch.randn(BODIES, 24, 3, generator=generator, dtype=torch.float64))
    betas, tangents = (torch.randn(BODIES, *s, generator=generator, dtype=torch.float64) for s in ((10,), (24, 3, 3)))
    return rotations, betas, tangents


@pytest.mark.parametrize("convention", ["coco", "h36m", "smpl", "smpl_54", "openpose_25"])
def test_points_and_derivatives(body, bodies, convention):
    rotations, betas, tangents = bodies
    double = SMPLBody().double()

    def points(turn, change):
        local = (tangents @ turn[..., None])[..., 0]
        return double.pose_keypoints(rotations @ exponential(local)[0], betas + change, convention=convention)

    zero = torch.zeros(BODIES, 24, 3, dtype=torch.float64), torch.zeros(BODIES, 10, dtype=torch.float64)
    by_rotations, by_betas = torch.func.jacfwd(points, argnums=(0, 1))(*zero)
    chain = KeypointChain(body.arrays, convention).double()
    found, placed = chain(rotations, betas)
    derivatives = chain.derivatives(placed, rotations, tangents)
    tolerance = {"atol": 1e-7, "rtol": 0}  # both keep the body's arrays in single precision, but other sums of them
    torch.testing.assert_close(found, points(*zero), **tolerance)
    torch.testing.assert_close(placed.joints, double.pose_keypoints(rotations, betas, convention="smpl"), **tolerance)
    for row in range(BODIES):
        torch.testing.assert_close(derivatives.by_rotations[row], by_rotations[row, :, :, row], **tolerance)
        torch.testing.assert_close(derivatives.by_betas[row], by_betas[row, :, :, row], **tolerance)


def test_pelvis_and_number_of_keypoints(body, bodies):
    rotations, betas, _ = bodies
    chain = KeypointChain(body.arrays, "mpii").double()
    assert chain.num_keypoints == len(keypoint_names("mpii"))
    pelvis = SMPLBody().double().pose_keypoints(rotations, betas, convention="smpl")[:, 0]
    torch.testing.assert_close(chain.pelvis(betas), pelvis, atol=1e-7, rtol=0)


def test_unknown_convention(body):
    with pytest.raises(ValueError, match="unknown keypoint convention 'cocoa'"):
        KeypointChain(body.arrays, "cocoa")


def test_no_bodies(body):
    chain, nothing = KeypointChain(body.arrays, "coco"), torch.zeros(0, 24, 3, 3)
    points, placed = chain(nothing, torch.zeros(0, 10))
    assert points.shape == (0, 17, 3)
    assert chain.derivatives(placed, nothing, nothing).by_rotations.shape == (0, 17, 3, 24, 3)
