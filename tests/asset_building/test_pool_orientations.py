import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mion_plugin.asset_building.pool.orientations import cluster_orientations, cover_orientations, load_orientations

MIRROR = np.diag([-1.0, 1, 1])


def matrices(rotvec):
    return Rotation.from_rotvec(rotvec).as_matrix()


def nearest_angles(queries, rotvec):
    """Degrees (N,) from rotations (N, 3, 3) to the nearest of the set."""
    trace = np.einsum("nij,kij->nk", queries, matrices(rotvec)).max(1)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


class TestCover:
    @pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 10, 15, 29, 30, 31, 50, 100])
    def test_as_many_as_asked_for_all_different_and_mirrored(self, count):
        cover = cover_orientations(count)
        assert cover.shape == (count, 3)
        assert cover.dtype == np.float32
        rotations = matrices(cover)
        assert nearest_angles(MIRROR @ rotations @ MIRROR, cover).max() < 0.1
        same = np.einsum("nij,kij->nk", rotations, rotations) > 3 - 1e-4
        assert same.sum() == count

    def test_first_faces_the_camera_upright(self):
        rotation = matrices(cover_orientations(30)[0])
        np.testing.assert_allclose(rotation @ [0, 1, 0], [0, -1, 0], atol=1e-6)  # head up: -y in the image
        np.testing.assert_allclose(rotation @ [0, 0, 1], [0, 0, -1], atol=1e-6)  # face towards the camera: -z
        np.testing.assert_allclose(rotation @ [1, 0, 0], [1, 0, 0], atol=1e-6)  # left hand to the right of the image

    def test_what_the_thirty_show(self):
        rotations = matrices(cover_orientations(30))
        up = -rotations[:, 1, 1]  # cosine between the body's axis and the image's upward direction
        assert (up > 0.99).sum() == 12
        assert np.isclose(up, np.cos(np.radians(30)), atol=1e-3).sum() == 12
        assert np.isclose(up, 0, atol=1e-3).sum() == 4
        assert (up < -0.99).sum() == 2
        lying = rotations[np.isclose(up, 0, atol=1e-3)]
        assert sorted(np.sign(lying[:, 0, 1].round(3))) == [-1, -1, 1, 1]  # head to the left, to the right
        assert sorted(np.sign(lying[:, 1, 2].round(3))) == [-1, -1, 1, 1]  # face up, face down

    def test_every_yaw_of_an_upright_person_is_near(self):
        yaw = np.radians(np.arange(0, 360, 1))
        upright = matrices([np.pi, 0, 0]) @ matrices(yaw[:, None] * [0, 1, 0])
        assert nearest_angles(upright, cover_orientations(30)).max() <= 15.01

    def test_none_is_refused(self):
        with pytest.raises(ValueError, match="num_orientations is 0"):
            cover_orientations(0)


class TestCluster:
    def orientations(self, count=400):
        rng = np.random.default_rng(0)
        yaw, tilt = rng.uniform(0, 2 * np.pi, count), rng.normal(0, 0.3, count)
        upright = matrices([np.pi, 0, 0]) @ matrices(yaw[:, None] * [0, 1, 0])
        return Rotation.from_matrix(matrices(tilt[:, None] * [1, 0, 0]) @ upright).as_rotvec()

    def test_members_without_mirroring(self):
        data = self.orientations()
        chosen = cluster_orientations(data, 20, mirror=False)
        assert chosen.shape == (20, 3)
        assert nearest_angles(matrices(chosen), data).max() < 0.1

    def test_members_or_mirror_images_and_closed(self):
        data = self.orientations()
        chosen = cluster_orientations(data, 30)
        assert chosen.shape == (30, 3)
        both = np.concatenate([data, data * [1, -1, -1]])
        assert nearest_angles(matrices(chosen), both).max() < 0.1
        assert nearest_angles(MIRROR @ matrices(chosen) @ MIRROR, chosen).max() < 0.1

    def test_comes_closer_than_chance(self):
        data = self.orientations()
        clustered = nearest_angles(matrices(data), cluster_orientations(data, 20)).mean()
        drawn = nearest_angles(matrices(data), data[:20]).mean()
        assert clustered < 0.9 * drawn

    def test_deterministic(self):
        data = self.orientations()
        np.testing.assert_array_equal(cluster_orientations(data, 20, seed=5), cluster_orientations(data, 20, seed=5))

    def test_few_distinct_orientations(self):
        data = np.repeat([[np.pi, 0, 0], [0.3, 0.5, 2.0]], 10, axis=0)
        assert len(cluster_orientations(data, 30, mirror=False)) == 2
        assert len(cluster_orientations(data, 30)) == 3  # facing the camera is its own mirror image

    def test_bad_numbers_are_refused(self):
        with pytest.raises(ValueError, match="expected at least 2"):
            cluster_orientations(self.orientations(), 1)
        with pytest.raises(ValueError, match="no orientations"):
            cluster_orientations(np.zeros((0, 3)), 4)


class TestLoad:
    def test_every_layout(self, tmp_path):
        rotvec = np.random.default_rng(0).normal(size=(6, 3))
        poses = np.random.default_rng(1).normal(size=(6, 24, 3))
        poses[:, 0] = rotvec
        np.save(tmp_path / "a.npy", rotvec)
        np.save(tmp_path / "b.npy", matrices(rotvec))
        np.save(tmp_path / "c.npy", poses)
        np.save(tmp_path / "d.npy", poses.reshape(6, 72))
        np.savez(tmp_path / "e.npz", global_orient=rotvec, other=poses)
        for name in ("a.npy", "b.npy", "c.npy", "d.npy", "e.npz"):
            loaded = load_orientations(tmp_path / name)
            np.testing.assert_allclose(matrices(loaded), matrices(rotvec), atol=1e-9, err_msg=name)

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((4, 4)), r"shape \(4, 4\), expected"),
            (np.zeros((0, 3)), "no orientations"),
            (np.full((4, 3), np.inf), "NaN or infinite"),
            (np.ones((4, 3, 3)), "no rotations"),
        ],
    )
    def test_wrong_arrays_are_refused(self, tmp_path, array, message):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(ValueError, match=message):
            load_orientations(tmp_path / "a.npy")

    def test_wrong_files_are_refused(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nothing\.npy do not exist"):
            load_orientations(tmp_path / "nothing.npy")
        (tmp_path / "text.npy").write_text("hello")
        with pytest.raises(ValueError, match=r"text\.npy is not a readable array"):
            load_orientations(tmp_path / "text.npy")
        np.savez(tmp_path / "a.npz", something=np.zeros((4, 3)))
        with pytest.raises(ValueError, match="none of the keys"):
            load_orientations(tmp_path / "a.npz")
