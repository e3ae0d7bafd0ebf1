"""The files that mmhuman3d's methods are built from."""

import pickle

import numpy as np
import pytest
import roma
import torch

from mion_plugin.baselines.body_files import UPRIGHT, write_body_files
from mion_plugin.body import SMPLBody
from mion_plugin.candidates.pool import DEFAULT_POOL, load_pool
from mion_plugin.files import UnsafePickleError


def config(**parts):
    return {"type": "ImageBodyModelEstimator", **parts}


def test_body_models_are_ours_whatever_the_config_names(tmp_path):
    body_models = pytest.importorskip("mmhuman3d.models.body_models.builder", reason="mmhuman3d reads the files")
    settings = config(
        body_model_train=dict(type="SMPL", keypoint_src="smpl_54", keypoint_dst="smpl_54", model_path="elsewhere"),
        body_model_test=dict(type="SMPL", keypoint_src="h36m", keypoint_dst="h36m"),
    )
    write_body_files(settings, {}, tmp_path)
    generator = torch.Generator().manual_seed(0)
    pose, betas = 0.3 * torch.randn(2, 24, 3, generator=generator), torch.randn(2, 10, generator=generator)
    ours = SMPLBody()
    for name, convention in (("body_model_train", "smpl_54"), ("body_model_test", "h36m")):
        model = body_models.build_body_model(settings[name])
        output = model(betas=betas, body_pose=pose[:, 1:].flatten(1), global_orient=pose[:, 0])
        torch.testing.assert_close(output["vertices"], ours(pose, betas).vertices, atol=1e-5, rtol=1e-5)
        wanted = ours.pose_keypoints(pose, betas, convention=convention)
        torch.testing.assert_close(output["joints"], wanted, atol=1e-4, rtol=1e-4)


def test_mean_parameters(tmp_path):
    settings = config(head=dict(type="HMRHead", feat_dim=8))
    write_body_files(settings, {}, tmp_path)
    with np.load(settings["head"]["smpl_mean_params"], allow_pickle=False) as file:
        pose, shape, camera = file["pose"], file["shape"], file["cam"]
    assert shape.shape == (10,)
    np.testing.assert_allclose(camera, [0.9, 0.0, 0.0], rtol=1e-6)
    columns = torch.from_numpy(pose).view(24, 3, 2)
    rotations = roma.special_gramschmidt(columns.double())
    torch.testing.assert_close(rotations[:, :, :2], columns.double(), atol=1e-6, rtol=0.0)  # they are rotations
    upright = roma.rotvec_to_rotmat(torch.tensor(UPRIGHT, dtype=torch.float64))
    torch.testing.assert_close(rotations[0], upright, atol=1e-6, rtol=0.0)
    poses = roma.rotvec_to_rotmat(torch.from_numpy(load_pool(DEFAULT_POOL).body_pose).double())
    rest = roma.rotmat_geodesic_distance(poses, torch.eye(3, dtype=torch.float64)).square().mean()
    mean = roma.rotmat_geodesic_distance(poses, rotations[1:]).square().mean()
    assert mean < 0.8 * rest


def test_given_mean_parameters_stay(tmp_path):
    settings = config(head=dict(type="HMRHead", smpl_mean_params="data/smpl_mean_params.npz"))
    write_body_files(settings, {}, tmp_path)
    assert settings["head"]["smpl_mean_params"] == "data/smpl_mean_params.npz"
    assert not list(tmp_path.iterdir())


class TestPosePrior:
    def test_fitted_to_the_poses_of_the_package(self, tmp_path):
        losses = pytest.importorskip("mmhuman3d.models.losses.builder", reason="mmhuman3d reads the file")
        settings = config(prior=dict(type="MaxMixturePrior", prior_folder=None, num_gaussians=2, reduction="none"))
        write_body_files(settings, {}, tmp_path)
        prior = losses.build_loss(settings["prior"])
        poses = torch.from_numpy(load_pool(DEFAULT_POOL).body_pose[::500]).flatten(1)
        generator = torch.Generator().manual_seed(0)
        unlikely = poses + torch.randn(poses.shape, generator=generator)
        assert float(prior(body_pose=poses).mean()) < 0.5 * float(prior(body_pose=unlikely).mean())

    def test_a_mixture_of_the_users_is_read_safely(self, tmp_path):
        rng = np.random.default_rng(0)
        mixture = {
            "means": rng.normal(size=(8, 69)),
            "covars": np.stack([np.eye(69)] * 8),
            "weights": np.full(8, 0.125),
        }
        (tmp_path / "gmm_08.pkl").write_bytes(pickle.dumps(mixture, protocol=2))
        settings = config(prior=dict(type="MaxMixturePrior", prior_folder=str(tmp_path)))
        (tmp_path / "out").mkdir()
        write_body_files(settings, {}, tmp_path / "out")
        written = pickle.loads((tmp_path / "out" / "gmm_08.pkl").read_bytes())
        for key, value in mixture.items():
            np.testing.assert_array_equal(written[key], value)
        (tmp_path / "gmm_08.pkl").write_bytes(pickle.dumps(print))
        with pytest.raises(UnsafePickleError, match="print"):
            write_body_files(
                config(prior=dict(type="MaxMixturePrior", prior_folder=str(tmp_path))), {}, tmp_path / "out"
            )

    def test_a_file_without_a_mixture(self, tmp_path):
        (tmp_path / "gmm_08.pkl").write_bytes(pickle.dumps({"means": np.zeros((8, 69))}))
        with pytest.raises(ValueError, match="holds no covars, weights"):
            write_body_files(config(prior=dict(type="MaxMixturePrior", prior_folder=str(tmp_path))), {}, tmp_path)
