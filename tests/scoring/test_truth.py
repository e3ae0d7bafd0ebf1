"""Files of true bodies, and errors against them."""

import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.files.npz import write_npz
from mion_plugin.scoring.truth import read_truth, true_errors


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


@pytest.fixture
def pose():
    return np.random.default_rng(0).normal(0, 0.3, (2, 24, 3))


def written(path, **arrays):
    write_npz(path, arrays)
    return path


def test_pose_vertices_and_joints_tell_one_truth(tmp_path, body, pose):
    posed = body(torch.from_numpy(pose).float())
    joints = body.keypoints(posed, "h36m").numpy()
    files = {"pose": pose, "vertices": posed.vertices.numpy(), "keypoints3d": joints}
    for name, values in files.items():
        truth = read_truth(written(tmp_path / f"{name}.npz", **{name: values}), body)
        assert truth.joints.dtype == torch.float64
        np.testing.assert_allclose(truth.joints, joints, atol=1e-5)


def test_errors_by_loops(body, pose):
    """The 14 joints of the protocol relative to the pelvis: h36m's without spine, nose and the pelvis itself."""
    joints = body.pose_keypoints(torch.from_numpy(pose).float(), convention="h36m").double()
    errors = true_errors(joints, joints[1])
    counted = [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]
    one, other = (joints[row] - joints[row, :1] for row in (0, 1))
    apart = [float((one[joint] - other[joint]).norm()) for joint in counted]
    assert errors["MPJPE"] == pytest.approx([1000 * sum(apart) / 14, 0.0], abs=1e-6)
    assert errors["PA-MPJPE"][0] < errors["MPJPE"][0]


def test_who_is_who(tmp_path, body, pose):
    names = np.array(["a.jpg", "a.jpg"])
    told = read_truth(written(tmp_path / "x.npz", pose=pose, image_name=names, person=np.array([3, 1])), body)
    assert [told.row_of([0, 1], person) for person in (3, 1, 0)] == [0, 1, None]
    untold = read_truth(written(tmp_path / "y.npz", pose=pose, image_name=names), body)
    assert [untold.row_of([1], 5), untold.row_of([], 5)] == [1, None]
    with pytest.raises(ValueError, match=r"y.npz has 2 people of one photograph, and no person that numbers them"):
        untold.row_of([0, 1], 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"keypoints3d": np.zeros((2, 14, 3))},
            r"keypoints3d is float64 \(2, 14, 3\), expected finite numbers \(P, 17",
        ),
        ({"keypoints3d": np.full((2, 17, 3), np.nan)}, r"expected finite numbers"),
        (
            {"keypoints3d": np.zeros((2, 17, 3)), "person": np.zeros(3, int)},
            r"person has shape \(3,\), expected \(2,\)",
        ),
        ({"keypoints3d": np.zeros((2, 17, 3)), "pose": np.zeros((2, 24, 3))}, r"are two truths; give one"),
        ({"keypoints3d": np.zeros((2, 17, 3)), "person": np.array(["0", "1"])}, r"person is <U1, expected integers"),
        ({"keypoints3d": np.zeros((2, 17, 3)), "image_name": np.array([0, 1])}, r"image_name is int64, expected text"),
        ({"pose": np.full((2, 24, 3), np.inf)}, r"pose of row 0, body 0 is NaN or infinite"),
        ({"image_name": np.array(["a.jpg"])}, r"has neither, expected one"),
    ],
)
def test_faults(tmp_path, body, arrays, message):
    with pytest.raises(ValueError, match=message):
        read_truth(written(tmp_path / "x.npz", **arrays), body)
