import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mion_plugin.geometry.rotations import rotmat_to_rotvec, rotvec_slerp, rotvec_to_rotmat

angles = st.floats(-6.0, 6.0, allow_subnormal=False)
vectors = st.tuples(angles, angles, angles).map(lambda value: torch.tensor(value, dtype=torch.float64))


@settings(deadline=None)
@given(rotvec=vectors)
def test_matrices_are_rotations_and_lead_back(rotvec):
    matrix = rotvec_to_rotmat(rotvec)
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones((), dtype=torch.float64))
    back = rotmat_to_rotvec(matrix)
    assert back.norm() <= torch.pi + 1e-9
    torch.testing.assert_close(rotvec_to_rotmat(back), matrix, rtol=0, atol=1e-7)
    torch.testing.assert_close(matrix @ rotvec, rotvec)  # the axis stays


@settings(deadline=None)
@given(start=vectors, end=vectors)
def test_the_path_between_rotations_begins_and_ends_with_them(start, end):
    path = rotvec_slerp(start, end, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    torch.testing.assert_close(rotvec_to_rotmat(path[0]), rotvec_to_rotmat(start), rtol=0, atol=1e-6)
    torch.testing.assert_close(rotvec_to_rotmat(path[2]), rotvec_to_rotmat(end), rtol=0, atol=1e-6)
    assert torch.isfinite(path).all()
