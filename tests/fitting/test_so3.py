"""The exponential map against scipy, and its derivative against automatic differentiation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mion_plugin.fitting.so3 import cross_matrix, exponential

VECTORS = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)


def test_cross_matrix_is_the_cross_product():
    u, v = torch.randn(2, 5, 3, dtype=torch.float64)
    torch.testing.assert_close((cross_matrix(u) @ v[..., None])[..., 0], torch.linalg.cross(u, v))


@given(VECTORS, st.floats(0, 7))
def test_rotations_are_scipys(direction, angle):
    rotvec = angle * np.array(direction) / np.linalg.norm(direction)
    rotation, _ = exponential(torch.from_numpy(rotvec))
    np.testing.assert_allclose(rotation.numpy(), Rotation.from_rotvec(rotvec).as_matrix(), atol=1e-12)


@given(VECTORS, st.sampled_from([0.0, 1e-9, 1e-4, 9.9e-3, 1.01e-2, 0.1, 1.0, 3.0, 3.2, 6.0]))
def test_right_jacobian_is_the_derivative(direction, angle):
    rotvec = torch.from_numpy(angle * np.array(direction) / np.linalg.norm(direction))
    rotation, tangent = exponential(rotvec)
    # roma's map, differentiable at zero too
    import roma

    derivative = torch.func.jacfwd(roma.rotvec_to_rotmat)(rotvec).permute(2, 0, 1)
    torch.testing.assert_close(derivative, rotation @ cross_matrix(tangent.mT), atol=1e-7, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1e-20, 1e-3, 1e-2, 3.0])
def test_single_precision_is_as_exact_as_it_can_be(angle):
    rotvec = angle * torch.tensor([0.6, -0.0, 0.8])
    for single, double in zip(exponential(rotvec), exponential(rotvec.double()), strict=True):
        torch.testing.assert_close(single, double.float(), atol=3e-7, rtol=0)
