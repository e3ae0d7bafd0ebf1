"""The pool that ships with the package."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mion_plugin.asset_building.pool.plausibility import plausible_frames
from mion_plugin.asset_building.pool.smpl_skeleton import INDEX
from mion_plugin.body.mirroring import mirror_poses
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import DEFAULT_POOL, load_default_pool, pool_keypoints


@pytest.fixture(scope="module")
def pool():
    return load_default_pool()


def test_size(pool):
    assert pool.body_pose.shape == (10000, 23, 3)
    assert pool.global_orient.shape == (30, 3)
    assert DEFAULT_POOL.stat().st_size < 4_000_000


def test_keypoints_are_those_of_the_free_body(pool):
    """Fails when the stand-in body was rebuilt and the pool was not."""
    some = slice(None, None, 50)
    keypoints3d, root_offset = pool_keypoints(SMPLBody(), pool.body_pose[some], pool.convention)
    np.testing.assert_allclose(pool.keypoints3d[some], keypoints3d, atol=1e-5)
    np.testing.assert_allclose(pool.root_offset, root_offset, atol=1e-5)


def test_closed_under_mirroring(pool):
    stored = {pose.tobytes() for pose in pool.body_pose + 0.0}
    assert len(stored) == len(pool.body_pose)
    assert {pose.tobytes() for pose in mirror_poses(pool.body_pose) + 0.0} == stored
    rotations = Rotation.from_rotvec(pool.global_orient).as_matrix()
    image = Rotation.from_rotvec(pool.global_orient * [1, -1, -1]).as_matrix()
    assert np.einsum("nij,kij->nk", image, rotations).max(1).min() > 3 - 1e-4


def test_bodies_are_possible(pool):
    poses = np.pad(pool.body_pose, ((0, 0), (1, 0), (0, 0)))
    assert plausible_frames(poses).all()
    assert (poses[:, [INDEX["left_hand"], INDEX["right_hand"]]] == 0).all()
    knees = np.degrees(poses[:, [INDEX["left_knee"], INDEX["right_knee"]], 0])
    assert knees.min() > -15  # none bends forward
    assert knees.max() > 120


def test_says_where_the_poses_come_from(pool):
    metadata = pool.metadata
    clips, frames = metadata["clips"], metadata["clip_frames"]
    assert len(clips) == len(frames) == len(set(clips))
    assert pool.clip_index.min() >= 0
    assert pool.clip_index.max() < len(clips)
    assert sum(source["frames"] for source in metadata["sources"].values()) == sum(frames)
    assert "NSF EIA-0196217" in metadata["note"]
    assert metadata["command"].startswith("tools/build_candidate_pool.py --source mocap ")
    assert not any(name.startswith("/") for name in [*clips, metadata["body"]])
