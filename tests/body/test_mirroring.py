"""Poses in a mirror: the mirrored pose has the mirrored joints, by a forward kinematics of the tests' own."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.mocap_files import body_skeleton, forward_kinematics, local_matrices, smpl_offsets, smpl_rest_joints_of

from mion_plugin.body.arrays import SMPL_PARENTS
from mion_plugin.body.mirroring import mirror_orientations, mirror_poses
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names

SMPL_JOINTS = keypoint_names("smpl")
MIRROR = np.diag([-1.0, 1, 1])


def random_poses(count=5, joints=24):
    return np.random.default_rng(0).normal(0, 0.8, (count, joints, 3))


@pytest.mark.parametrize("joints", [23, 24])
def test_twice_is_the_identity(joints):
    poses = random_poses(joints=joints)
    assert not np.allclose(mirror_poses(poses), poses)
    np.testing.assert_array_equal(mirror_poses(mirror_poses(poses)), poses)


def test_body_pose_is_the_tail_of_the_whole_pose():
    poses = random_poses()
    np.testing.assert_array_equal(mirror_poses(poses[:, 1:]), mirror_poses(poses)[:, 1:])


def test_mirrored_poses_have_mirrored_joints():
    offsets = smpl_offsets(smpl_rest_joints_of(body_skeleton()))
    poses = random_poses()
    _, joints = forward_kinematics(SMPL_PARENTS, offsets, local_matrices(poses))
    _, mirrored = forward_kinematics(SMPL_PARENTS, offsets, local_matrices(mirror_poses(poses)))
    np.testing.assert_allclose(mirrored, joints[:, list(flip_permutation("smpl"))] @ MIRROR, atol=1e-12)


def test_a_raised_left_arm_becomes_a_raised_right_arm():
    pose = np.zeros((1, 24, 3))
    pose[0, SMPL_JOINTS.index("left_shoulder")] = [0.1, 0.2, 0.9]
    expected = np.zeros((1, 24, 3))
    expected[0, SMPL_JOINTS.index("right_shoulder")] = [0.1, -0.2, -0.9]
    np.testing.assert_array_equal(mirror_poses(pose), expected)


def test_orientations():
    orientations = random_poses()[:, 0]
    ours = Rotation.from_rotvec(mirror_orientations(orientations)).as_matrix()
    np.testing.assert_allclose(ours, MIRROR @ Rotation.from_rotvec(orientations).as_matrix() @ MIRROR, atol=1e-12)


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(5, 22, 3\)"):
        mirror_poses(random_poses(joints=22))
