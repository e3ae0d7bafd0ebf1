import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation
from support.mocap_files import body_skeleton, forward_kinematics, local_matrices, smpl_offsets, smpl_rest_joints_of

from mion_plugin.asset_building.pool import clustering, features, mini_batches
from mion_plugin.asset_building.pool.clustering import select_poses
from mion_plugin.asset_building.pool.features import leans_to_one_side, pose_features
from mion_plugin.asset_building.pool.smpl_skeleton import INDEX
from mion_plugin.body.arrays import SMPL_PARENTS
from mion_plugin.body.mirroring import mirror_poses

REST = smpl_rest_joints_of(body_skeleton())


def random_body_poses(count=60, scale=0.4, seed=0):
    poses = np.random.default_rng(seed).normal(0, scale, (count, 23, 3)).astype(np.float32)
    poses[:, 21:] = 0
    return poses


def rows(poses):
    return {pose.tobytes() for pose in poses + 0.0}  # -0 and 0 alike


def distances(poses):
    points = pose_features(poses, REST).astype(float)
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


class TestFeatures:
    def test_distance_is_chordal_and_weighted_by_what_the_joint_moves(self):
        pose = np.zeros((2, 23, 3), np.float32)
        pose[1, INDEX["left_elbow"] - 1] = Rotation.random(random_state=0).as_rotvec()
        angle = np.linalg.norm(pose[1])
        moved = [np.linalg.norm(REST[INDEX[name]] - REST[INDEX["left_elbow"]]) for name in ("left_wrist", "left_hand")]
        expected = 2 * np.sin(angle / 2) * np.linalg.norm(moved) / np.sqrt(24)
        assert distances(pose)[0, 1] == pytest.approx(expected, rel=1e-5)

    def test_small_turns_move_the_joints_by_the_distance(self):
        """To first order: the root mean square of the joints' displacements, for a turn across the limb."""
        pose = np.zeros((2, 24, 3))
        pose[1, INDEX["right_shoulder"]] = [0, 0, 1e-3]
        _, joints = forward_kinematics(SMPL_PARENTS, smpl_offsets(REST), local_matrices(pose))
        displacement = np.sqrt(np.square(joints[1] - joints[0]).sum(-1).mean())
        assert distances(pose[:, 1:])[0, 1] == pytest.approx(displacement, rel=0.01)

    def test_no_jump_at_half_a_turn(self):
        pose = np.zeros((2, 23, 3), np.float32)
        pose[:, 15] = [[np.pi - 0.001, 0, 0], [-np.pi + 0.001, 0, 0]]
        assert distances(pose)[0, 1] < 0.001

    def test_shoulders_count_more_than_wrists(self):
        pose = np.zeros((3, 23, 3), np.float32)
        pose[1, INDEX["left_shoulder"] - 1, 2] = pose[2, INDEX["left_wrist"] - 1, 2] = 0.5
        assert distances(pose)[0, 1] > 4 * distances(pose)[0, 2] > 0


class TestSelectPoses:
    def test_poses_are_members_or_their_mirror_images(self):
        poses = random_body_poses()
        chosen = select_poses(poses, 20, REST)
        assert len(chosen.body_pose) == 20
        expected = np.where(chosen.mirrored[:, None, None], mirror_poses(poses[chosen.frame]), poses[chosen.frame])
        np.testing.assert_array_equal(chosen.body_pose, expected)

    def test_closed_under_mirroring(self):
        chosen = select_poses(random_body_poses(), 20, REST)
        assert rows(mirror_poses(chosen.body_pose)) == rows(chosen.body_pose)
        assert len(rows(chosen.body_pose)) == 20

    def test_without_mirroring(self):
        poses = random_body_poses()
        chosen = select_poses(poses, 15, REST, mirror=False)
        assert len(chosen.frame) == len(set(chosen.frame)) == 15
        np.testing.assert_array_equal(chosen.body_pose, poses[chosen.frame])
        assert not chosen.mirrored.any()

    @pytest.mark.parametrize("mirror", [True, False])
    def test_deterministic(self, mirror):
        poses = random_body_poses(200)
        first, second = (select_poses(poses, 40, REST, seed=3, mirror=mirror) for _ in range(2))
        np.testing.assert_array_equal(first.body_pose, second.body_pose)
        other = select_poses(poses, 40, REST, seed=4, mirror=mirror)
        assert rows(other.body_pose) != rows(first.body_pose)

    def test_all_of_them_when_more_are_asked_for(self):
        poses = random_body_poses(10)
        chosen = select_poses(poses, 1000, REST)
        assert len(chosen.body_pose) == 20
        assert rows(chosen.body_pose) == rows(np.concatenate([poses, mirror_poses(poses)]))

    def test_repeated_poses_come_once(self):
        poses = random_body_poses(5)
        chosen = select_poses(np.concatenate([poses, poses, mirror_poses(poses)]), 1000, REST)
        assert len(chosen.body_pose) == 10

    def test_a_symmetric_pose_comes_once(self):
        pose = np.zeros((3, 23, 3), np.float32)
        pose[1] = random_body_poses(1)[0]
        pose[2, INDEX["spine_2"] - 1, 0] = 0.8
        chosen = select_poses(pose, 10, REST)
        assert len(chosen.body_pose) == 4
        assert rows(mirror_poses(chosen.body_pose)) == rows(chosen.body_pose)

    def test_every_cluster_is_represented(self):
        centres = random_body_poses(8, scale=0.6)
        noise = np.random.default_rng(1).normal(0, 0.02, (8, 12, 23, 3))
        poses = (centres[:, None] + noise).reshape(-1, 23, 3).astype(np.float32)
        chosen = select_poses(poses, 8, REST, mirror=False)
        assert sorted(chosen.frame // 12) == list(range(8))

    def test_medoids_are_the_members_nearest_to_the_mean(self):
        poses = random_body_poses(30, scale=0.2)
        chosen = select_poses(poses, 1, REST, mirror=False)
        points = pose_features(poses, REST)
        nearest = np.linalg.norm(points - points.mean(0), axis=1).argmin()
        assert chosen.frame.tolist() == [nearest]

    def test_poses_keep_their_distance(self):
        poses = random_body_poses(300, scale=0.05)
        chosen = select_poses(poses, 200, REST, mirror=False, min_distance=0.12)
        apart = distances(chosen.body_pose)[~np.eye(len(chosen.body_pose), dtype=bool)]
        assert 1 < len(chosen.body_pose) < 200
        assert apart.min() > 0.1199
        # and no pose that was left out is far from all
        to_chosen = distances(np.concatenate([poses, chosen.body_pose]))[: len(poses), len(poses) :]
        assert to_chosen.min(1).max() < 0.1201

    def test_mini_batches_on_large_collections(self):
        poses = random_body_poses(300)
        first, second = (select_poses(poses, 20, REST, seed=1, full_kmeans_limit=0) for _ in range(2))
        assert len(first.body_pose) == 20
        np.testing.assert_array_equal(first.body_pose, second.body_pose)

    def test_blocks_change_nothing(self, monkeypatch):
        """However many frames are held at once; the farthest among few, the farthest among all."""
        poses = np.concatenate([random_body_poses(90), random_body_poses(30, scale=0.02, seed=1)])
        whole = select_poses(poses, 80, REST)
        monkeypatch.setattr(features, "BLOCK", 16)
        monkeypatch.setattr(clustering, "_RESERVE", 5)
        np.testing.assert_array_equal(select_poses(poses, 80, REST).body_pose, whole.body_pose)

    def test_mini_batches_cover_the_frames_as_the_full_k_means_does(self, monkeypatch):
        monkeypatch.setattr(mini_batches, "_LEAST_BATCH", 64)
        poses = random_body_poses(600, scale=0.3)
        full, batched = (select_poses(poses, 60, REST, full_kmeans_limit=limit) for limit in (10**9, 0))
        everything = pose_features(np.concatenate([poses, mirror_poses(poses)]), REST)

        def coverage(selection):
            return cdist(everything, pose_features(selection.body_pose, REST)).min(1).mean()

        assert coverage(batched) < 1.02 * coverage(full)
        assert coverage(batched) < 0.98 * coverage(select_poses(poses[:60], 60, REST))  # the comparison sees worse ones

    def test_memory_beyond_the_poses_is_a_few_numbers_a_frame(self, monkeypatch):
        """Not the 756 bytes of a frame's features, let alone those of its mirror image."""
        monkeypatch.setattr(mini_batches, "_LEAST_BATCH", 64)
        for module in (features, clustering):
            monkeypatch.setattr(module, "BLOCK" if module is features else "_RESERVE", 64)
        peaks = []
        for count in (200, 1000, 4000):  # the first for what is made once
            poses = random_body_poses(count).astype(np.float16)
            tracemalloc.start()
            select_poses(poses, 40, REST, full_kmeans_limit=0)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert (peaks[2] - peaks[1]) / 3000 < 150

    @pytest.mark.parametrize(("count", "mirror"), [(1, True), (0, True), (0, False), (-5, False)])
    def test_too_few_are_refused(self, count, mirror):
        with pytest.raises(ValueError, match=f"num_poses is {count}, expected at least"):
            select_poses(random_body_poses(3), count, REST, mirror=mirror)

    def test_nothing_to_choose_from_is_refused(self):
        with pytest.raises(ValueError, match="no poses"):
            select_poses(np.zeros((0, 23, 3)), 10, REST)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 30), wanted=st.integers(2, 40))
def test_invariants(seed, count, wanted):
    poses = random_body_poses(count, seed=seed)
    chosen = select_poses(poses, wanted, REST, seed=seed)
    assert 2 <= len(chosen.body_pose) <= wanted
    assert len(rows(chosen.body_pose)) == len(chosen.body_pose)
    assert rows(mirror_poses(chosen.body_pose)) == rows(chosen.body_pose)


def test_a_pose_and_its_image_lean_to_opposite_sides():
    poses = random_body_poses(50)
    points, image = pose_features(poses, REST), pose_features(mirror_poses(poses), REST)
    assert (leans_to_one_side(points, image) != leans_to_one_side(image, points)).all()
