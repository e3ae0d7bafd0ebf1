import dataclasses

import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector, load_pool, save_pool
from mion_plugin.candidates.pool import DEFAULT_POOL, load_default_pool, make_pool


def random_poses(num_poses=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(scale=0.4, size=(num_poses, 23, 3)), np.array([[np.pi, 0, 0], [0.1, 2.0, 0.3]])


def test_keypoints_are_those_of_the_posed_mesh():
    """relative to the pelvis, and turned about it by the orientation."""
    body, (body_pose, global_orient) = SMPLBody(), random_poses()
    pool = make_pool(body_pose, global_orient)
    pose = torch.from_numpy(np.concatenate([np.repeat(global_orient[:1], 5, 0)[:, None], pool.body_pose], 1)).float()
    posed = body(pose)
    pelvis = posed.joints[:, :1]
    np.testing.assert_allclose(pool.root_offset, pelvis[0, 0], atol=1e-6)
    turned = pool.keypoints3d * np.array([1.0, -1.0, -1.0])  # rotation by pi about x
    np.testing.assert_allclose(turned, body.keypoints(posed, "coco") - pelvis, atol=1e-4)


def test_round_trip_is_exact(tmp_path):
    body_pose, global_orient = random_poses()
    pool = make_pool(body_pose, global_orient, clip_index=np.arange(5), metadata={"clips": ["a"], "name": "Ünï"})
    save_pool(pool, tmp_path / "pool.npz")
    loaded = load_pool(tmp_path / "pool.npz")
    for field in dataclasses.fields(pool):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(pool, field.name))
    assert len(loaded) == 10


def test_more_recordings_than_16_bits_count():
    clip_index = np.array([0, 32_767, 32_768, 70_000, -1])
    np.testing.assert_array_equal(make_pool(*random_poses(), clip_index=clip_index).clip_index, clip_index)


def test_another_convention_or_body_is_computed_from_the_poses():
    body_pose, global_orient = random_poses()
    pool = make_pool(body_pose, global_orient)
    direct = make_pool(body_pose, global_orient, convention="lsp")
    selector = CandidateSelector(pool, convention="lsp", num_candidates=2)
    np.testing.assert_allclose(selector.keypoints3d, direct.keypoints3d, atol=1e-6)


def test_the_selection_projects_through_the_body(tmp_path):
    """What the selector promises: SMPLBody()(pose, transl=transl) lands on the keypoints."""
    body_pose, global_orient = random_poses(30)
    body = SMPLBody()
    pool = make_pool(body_pose, global_orient)
    pose = torch.from_numpy(np.concatenate([global_orient[:1], pool.body_pose[11]])).float()[None]
    keypoints3d = body.keypoints(body(pose, transl=torch.tensor([[0.3, -0.1, 41.0]])), "coco")
    keypoints2d = torch.cat([5000 * keypoints3d[..., :2] / keypoints3d[..., 2:] + 112, torch.ones(1, 17, 1)], -1)
    selected = CandidateSelector(pool, num_candidates=3)(keypoints2d)
    assert selected.index[0, 0] == 22
    torch.testing.assert_close(selected.transl[0, 0], torch.tensor([0.3, -0.1, 41.0]), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(selected.pose[:, 0], pose)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body_pose": np.zeros((5, 24, 3), np.float32)}, r"body_pose has shape \(5, 24, 3\), expected \(5, 23, 3\)"),
        (
            {"keypoints3d": np.zeros((4, 17, 3), np.float32)},
            r"keypoints3d has shape \(4, 17, 3\), expected \(5, 17, 3\)",
        ),
        ({"convention": "lsp"}, r"expected \(5, 14, 3\)"),
        ({"global_orient": np.full((2, 3), np.nan, np.float32)}, "global_orient holds NaN or infinite values"),
        ({"global_orient": np.zeros((0, 3), np.float32)}, "holds no pose or no orientation"),
    ],
)
def test_inconsistent_pools_are_refused(change, message):
    pool = make_pool(*random_poses())
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(pool, **change)


def test_unreadable_files_name_themselves(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz does not exist; build one with tools/build_candidate_pool"):
        load_pool(tmp_path / "none.npz")
    save_pool(make_pool(*random_poses()), tmp_path / "pool.npz")
    data = (tmp_path / "pool.npz").read_bytes()
    for name, content in (("empty", b""), ("cut", data[: len(data) // 2]), ("text", b"hello")):
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.npz is not a readable candidate pool"):
            load_pool(tmp_path / f"{name}.npz")
    np.savez(tmp_path / "other.npz", body_pose=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz is not a readable candidate pool.*format_version"):
        load_pool(tmp_path / "other.npz")


class TestDefaultPool:
    def test_size(self):
        pool = load_default_pool()
        assert len(pool.global_orient) == 30
        assert 3_000 <= len(pool.body_pose) <= 10_000
        assert DEFAULT_POOL.stat().st_size < 4_000_000

    def test_keypoints_belong_to_the_stand_in(self):
        pool = load_default_pool()
        some = np.random.default_rng(0).choice(len(pool.body_pose), 50, replace=False)
        again = make_pool(pool.body_pose[some], pool.global_orient)
        np.testing.assert_allclose(pool.keypoints3d[some], again.keypoints3d, atol=1e-5)

    def test_is_closed_under_mirroring(self):
        """Every pose's mirror image is in the pool (float16 rounding aside)."""
        from mion_plugin.geometry import flip_permutation

        pool = load_default_pool()
        swap = np.array(flip_permutation("smpl"))[1:] - 1
        mirrored = pool.body_pose[:, swap] * np.array([1.0, -1.0, -1.0], np.float32)
        known = {pose.tobytes() for pose in np.round(pool.body_pose, 2) + np.float32(0.0)}
        found = sum((pose + np.float32(0.0)).tobytes() in known for pose in np.round(mirrored, 2))
        assert found > 0.99 * len(mirrored)

    def test_says_where_it_came_from(self):
        pool = load_default_pool()
        assert {"clips", "sources"} <= set(pool.metadata)
        assert pool.clip_index.max() < len(pool.metadata["clips"])
