"""Bodies of the neutral model on the male and the female one."""

import json

import demo
import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from support.untrained_mion import use_model, write_untrained_model

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.body.export import export_body
from mion_plugin.body.stand_in import load_stand_in
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.gendered import GenderedBodies
from mion_plugin.models import load_model_config


@pytest.fixture(scope="module")
def neutral():
    return SMPLBody()


@pytest.fixture(scope="module")
def bodies():
    """Two people with two bodies each."""
    generator = torch.Generator().manual_seed(3)
    pose = 0.3 * torch.randn(2, 2, 24, 3, generator=generator)
    transl = torch.tensor([0.1, 0.2, 40.0]).expand(2, 2, 3)
    return Bodies(pose=pose, betas=torch.randn(2, 2, 10, generator=generator), transl=transl)


@pytest.fixture(scope="module")
def female(neutral):
    return GenderedBodies(neutral, "female", CropCamera(2500.0, 112))


def test_the_start_has_the_same_pose_the_same_pelvis_and_joints_as_near_as_they_can_be(neutral, female, bodies):
    start = female.start(bodies)
    torch.testing.assert_close(start.rotations, bodies.rotations)
    before = neutral(bodies.rotations, bodies.betas, bodies.transl).joints
    after = female.body(start.rotations, start.betas, start.transl).joints
    torch.testing.assert_close(before[..., 0, :], after[..., 0, :], atol=1e-4, rtol=0)
    unmoved = female.body(bodies.rotations, bodies.betas, bodies.transl).joints
    assert (after - before).norm(dim=-1).mean() < 0.5 * (unmoved - before).norm(dim=-1).mean()

    def rest_joints(body, betas):
        betas = torch.as_tensor(betas, dtype=torch.float32)
        joints = body(torch.zeros(24, 3), betas).joints.double().numpy()
        return joints - joints[0]

    wanted = rest_joints(neutral, bodies.betas[0, 0])

    def cost(betas):
        return np.square((rest_joints(female.body, betas) - wanted) / 0.01).sum() + np.square(betas).sum()

    best = minimize(cost, np.zeros(10), method="Powell", options={"maxiter": 3}).fun  # a search that knows no algebra
    assert cost(start.betas[0, 0].numpy()) <= best * 1.001


def project(points):
    """Pixels of the crop."""
    return 2500.0 * points[..., :2] / points[..., 2:] + 112 / 2


def test_the_fit_ends_nearer_to_the_keypoints(neutral, female, bodies):
    points = neutral.pose_keypoints(bodies.rotations, bodies.betas, bodies.transl, "coco")[:, 0]
    keypoints2d = torch.cat([project(points), torch.ones(2, 17, 1)], dim=-1)
    found = female(bodies, keypoints2d)
    seen = project(female.body.pose_keypoints(found.pose, found.betas, found.transl, "coco"))
    losses = (seen - keypoints2d[:, None, :, :2]).square().sum(dim=(-1, -2))
    torch.testing.assert_close(found.fit_loss, losses, rtol=1e-2, atol=1e-2)
    start = female.start(bodies)
    before = project(female.body.pose_keypoints(start.pose, start.betas, start.transl, "coco"))
    assert (losses < (before - keypoints2d[:, None, :, :2]).square().sum(dim=(-1, -2))).all()


def test_files_that_have_no_such_body_beside_them_are_refused(tmp_path):
    path = export_body(load_stand_in("neutral"), tmp_path, "neutral")[0]
    with pytest.raises(FileNotFoundError, match=r"holds neither SMPL_MALE\.pkl nor"):
        GenderedBodies(SMPLBody(path), "male", CropCamera(2500.0, 112))
    export_body(load_stand_in("male"), tmp_path, "male")
    other = GenderedBodies(SMPLBody(path), "male", CropCamera(2500.0, 112)).body
    torch.testing.assert_close(other.v_template, SMPLBody(gender="male").v_template, atol=1e-5, rtol=0)


def test_the_demo_says_whose_body_it_is(tmp_path, monkeypatch):
    use_model(write_untrained_model(tmp_path), monkeypatch)
    options = ["--keypoints", str(KEYPOINTS), "--num-candidates", "2", "--device", "cpu", "--gender", "male"]
    assert demo.main([str(PHOTO), "--out", str(tmp_path / "out"), *options]) == 0
    stem = tmp_path / "out" / f"{PHOTO.stem}_person0"
    assert json.loads(stem.with_suffix(".json").read_text())["gender"] == "male"
    with np.load(stem.with_suffix(".npz")) as arrays:
        assert str(arrays["gender"]) == "male"
        pose, betas, transl = (torch.from_numpy(arrays[name]) for name in ("pose", "betas", "transl"))
        vertices = SMPLBody(gender="male")(pose, betas, transl).vertices
        np.testing.assert_allclose(vertices.numpy(), arrays["vertices"], atol=1e-3)
        chosen, scores = int(arrays["selected"]), arrays["scores"]
    config = load_model_config()
    config.model.num_candidates = 2
    neutral = MIONInferencer(config, device="cpu")(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0]
    np.testing.assert_allclose(scores, neutral.scores, atol=1e-4)  # what was chosen, and by what, is the neutral body's
    assert chosen == neutral.selected
