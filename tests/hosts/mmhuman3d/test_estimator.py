"""mmhuman3d's own API trains, tests and evaluates MION; MeshMetric and mion.MION are the references."""

import math
import warnings

import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.runner import load_checkpoint
from mmhuman3d.core.visualization.visualize_smpl import visualize_smpl_hmr
from mmhuman3d.utils.geometry import project_points
from support.mmhuman3d_host import build_model, build_test_loader, mesh_metric, predict, small_config, train
from support.real_layout import NUM_PEOPLE

from mion_plugin.body import SMPLBody
from mion_plugin.hosts.mmhuman3d.workarounds import unwrap_containers
from mion_plugin.refinement.losses import MeshLoss
from mion_plugin.registry import MODELS
from mion_plugin.rendering.rasterizer import rasterize
from mion_plugin.weights import trained_body

OUTPUT_KEYS = {"keypoints_3d", "smpl_pose", "smpl_beta", "camera", "vertices", "image_path", "image_idx"}
LOSSES = {"loss_smpl", "loss_keypoints3d", "loss_keypoints2d"}
STAND_IN = {"model.selector.pool": None, "model.head.network.body.model_path": None}  # not the body of the files


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two epochs on the six training sets; the log and the folder."""
    folder = tmp_path_factory.mktemp("work_dir")
    cfg = small_config(**{"runner.max_epochs": 2, "evaluation.save_best": "PA-MPJPE"})
    return train(cfg, folder), folder


@pytest.fixture(scope="module")
def h36m():
    """Config, model, data set and outputs on Human3.6M."""
    cfg = small_config()
    model = build_model(cfg)
    return cfg, model, *predict(cfg, model=model)


def first_batch(cfg: Config) -> dict:
    return unwrap_containers(next(iter(build_test_loader(cfg)[1])))


class TestTraining:
    def test_it_logs_losses_and_validates(self, trained):
        log, _ = trained
        steps = [line for line in log if line["mode"] == "train"]
        # an epoch is as long as the longest set, the photographs together: four times three people, in batches of two
        assert len(steps) == 12
        for line in steps:
            assert line["loss"] == pytest.approx(sum(line[name] for name in LOSSES), abs=1e-3)
            assert math.isfinite(line["grad_norm"])
            assert line["loss"] > 0
        validations = [line for line in log if line["mode"] == "val"]
        assert [set(line) >= {"MPJPE", "PA-MPJPE"} for line in validations] == [True, True]

    def test_the_checkpoint_holds_weights_and_no_body(self, trained):
        weights = torch.load(trained[1] / "epoch_1.pth", weights_only=True)["state_dict"]
        assert set(weights) == set(build_model(small_config()).state_dict())
        assert not any(".body." in name or ".selector." in name for name in weights)

    def test_the_checkpoint_of_the_best_score_is_resumed(self, trained, tmp_path):
        best = trained[1] / "epoch_2.pth"
        assert "best_score" in torch.load(best, weights_only=False)["meta"]["hook_msgs"]
        log = train(small_config(**{"runner.max_epochs": 3, "resume_from": str(best)}), tmp_path)
        assert {line["epoch"] for line in log if line["mode"] == "train"} == {3}

    def test_checkpoints_tell_their_body(self, trained):
        """The free stand-in would load these weights too: every shape is the same."""
        cfg = small_config()
        own = SMPLBody(cfg.model.head.network.body.model_path).fingerprint
        for path in (trained[1] / "epoch_2.pth", *trained[1].glob("best_*.pth")):
            assert trained_body(torch.load(path, weights_only=False), path) == own
        cfg.model.update(refiner_checkpoint=str(trained[1] / "epoch_2.pth"))
        build_model(cfg)
        cfg.model.selector.pool = cfg.model.head.network.body.model_path = None
        with pytest.raises(ValueError, match=r"epoch_2\.pth was trained with the body .*, this \w+ has free stand-in"):
            build_model(cfg)

    @pytest.mark.parametrize("route", ["resume_from", "load_from", "model.init_cfg"])
    def test_a_training_that_starts_from_a_checkpoint_has_its_body(self, route, trained, tmp_path):
        path = str(trained[1] / "epoch_2.pth")
        start = {"type": "Pretrained", "checkpoint": path} if route == "model.init_cfg" else path
        with pytest.raises(ValueError, match=r"epoch_2\.pth was trained with the body .* has free stand-in"):
            train(small_config(**{"runner.max_epochs": 3, route: start}, **STAND_IN), tmp_path)

    def test_so_has_a_network_that_starts_from_a_part_of_one(self, trained):
        """``prefix`` of OpenMMLab's ``init_cfg``, by which neither mmcv nor mmengine tells a model the file."""
        path = trained[1] / "epoch_2.pth"
        start = {"type": "Pretrained", "checkpoint": str(path), "prefix": "refiner.network"}
        own = build_model(small_config(**{"model.head.network.init_cfg": start}), seed=1)
        own.init_weights()
        weights = torch.load(path, weights_only=False)["state_dict"]
        assert all(torch.equal(weights[name], value) for name, value in own.state_dict().items())
        other = build_model(small_config(**{"model.head.network.init_cfg": start}, **STAND_IN))
        with pytest.raises(ValueError, match=r"epoch_2\.pth was trained with the body .* has free stand-in"):
            other.init_weights()

    def test_a_checkpoint_to_test_has_the_models_body(self, trained):
        """As mmhuman3d's tools/test.py and its inference API load it; nothing is loaded before the error."""
        path = trained[1] / "epoch_2.pth"
        model = build_model(small_config(**STAND_IN))
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(ValueError, match=r"epoch_2\.pth was trained with the body .* has free stand-in"):
            load_checkpoint(model, str(path), map_location="cpu")
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

    def test_a_checkpoint_of_the_same_body_loads_without_a_word(self, trained):
        path = trained[1] / "epoch_2.pth"
        model = build_model(small_config(), seed=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load_checkpoint(model, str(path), map_location="cpu")
        weights = torch.load(path, weights_only=False)["state_dict"]
        assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())

    @pytest.mark.parametrize("plain", [False, True])
    def test_a_checkpoint_that_does_not_tell_its_body_warns(self, plain, tmp_path):
        model = build_model(small_config())
        weights = dict(model.state_dict())  # what torch.save(model.state_dict()) gives, or a runner from before
        torch.save(weights if plain else {"state_dict": weights, "meta": {}}, tmp_path / "old.pth")
        with pytest.warns(UserWarning, match=r"old\.pth does not tell with which body it was trained"):
            load_checkpoint(model, str(tmp_path / "old.pth"), map_location="cpu")

    def test_other_models_load_as_before(self, trained):
        content = load_checkpoint(torch.nn.Linear(2, 2), str(trained[1] / "epoch_2.pth"), map_location="cpu")
        assert set(content) == {"meta", "state_dict", "optimizer"}

    def test_losses_are_those_of_the_refiner(self):
        cfg = small_config()
        batch = first_batch(cfg)
        model = build_model(cfg).train()
        torch.manual_seed(0)
        losses = model(**batch)
        assert set(losses) == LOSSES
        assert isinstance(model.refiner.mesh_loss, MeshLoss)
        assert losses["loss_smpl"] == 0  # the test file of Human3.6M has joints and no SMPL
        assert losses["loss_keypoints3d"] > 0
        only2d = {**batch, "has_keypoints3d": 0 * batch["has_keypoints3d"]}
        assert set(model(**only2d)) == LOSSES  # in several processes each sums the same entries

    def test_samples_are_counted_for_the_log(self):
        cfg = small_config()
        batch = next(iter(build_test_loader(cfg)[1]))  # with img_metas in their container, as on a CPU
        assert build_model(cfg).train().train_step(batch, None)["num_samples"] == 2


class TestOutputs:
    def test_exactly_what_mmhuman3d_reads(self, h36m):
        _, _, _, outputs = h36m
        assert [set(output) for output in outputs] == [OUTPUT_KEYS] * 2
        output = outputs[0]
        shapes = {name: output[name].shape for name in OUTPUT_KEYS - {"image_path"}}
        assert shapes == {
            "keypoints_3d": (2, 17, 3),
            "smpl_pose": (2, 24, 3, 3),
            "smpl_beta": (2, 10),
            "camera": (2, 3),
            "vertices": (2, 6890, 3),
            "image_idx": (2, 1),
        }
        for name in OUTPUT_KEYS - {"image_path", "image_idx"}:
            assert isinstance(output[name], np.ndarray)
        assert output["image_path"][0].endswith("S11/images/h36m_p2_000000.jpg")
        assert [int(index) for batch in outputs for index in batch["image_idx"]] == list(range(NUM_PEOPLE))

    def test_camera_is_mmhuman3ds(self, h36m):
        """Its own projection puts the body where the chosen path stands in our camera."""
        cfg, model, _, outputs = h36m
        batch = first_batch(cfg)
        samples = model._samples(batch["img"], batch["img_metas"], batch)
        results = model.refiner(batch["img"], samples, mode="predict")
        transl = torch.stack([result.pred_bodies.transl[0] for result in results])
        points = torch.from_numpy(outputs[0]["vertices"])
        normalized = model.refiner.camera.project_normalized(points + transl[:, None])
        camera = torch.from_numpy(outputs[0]["camera"])
        pixels = project_points(points, camera, focal_length=5000.0, img_res=224)  # from the middle of the crop
        torch.testing.assert_close(pixels / 112, normalized, rtol=1e-4, atol=1e-4)
        assert (camera[:, 0] > 0.3).all()

    def test_its_visualisation_draws_the_chosen_path(self, h36m):
        cfg, model, _, outputs = h36m
        batch = first_batch(cfg)
        samples = model._samples(batch["img"], batch["img_metas"], batch)
        path = model.refiner(batch["img"], samples, mode="predict")[0].pred_bodies
        size = 56
        vertices = torch.from_numpy(outputs[0]["vertices"][:1])
        fragments = rasterize(
            vertices + path.transl[0], model.refiner.body.faces, 5000.0 * size / 224, (size / 2, size / 2), size
        )
        picture = visualize_smpl_hmr(
            cam_transl=outputs[0]["camera"][:1],
            bbox=size * np.array([[0.1, 0.1, 0.9, 0.9]]),  # it enlarges boxes by a quarter: this is the whole crop
            verts=vertices,
            body_model_config={"type": "SMPL", "model_path": "data/body_models"},
            render_choice="silhouette",
            resolution=(size, size),
            output_path=None,
            return_tensor=True,
            device="cpu",
        )
        drawn, expected = picture[0, ..., 3] > 0.5, fragments.mask[0]
        assert expected.sum() > 100
        assert (drawn & expected).sum() / (drawn | expected).sum() > 0.85  # its outlines are soft

    def test_keypoints_are_those_of_the_returned_body(self, h36m):
        _, model, _, outputs = h36m
        pose, betas = (torch.from_numpy(outputs[0][name]) for name in ("smpl_pose", "smpl_beta"))
        posed = model.refiner.body(pose, betas)
        expected = model.refiner.body.keypoints(posed, "h36m")  # from the surface
        np.testing.assert_allclose(outputs[0]["keypoints_3d"], expected, atol=1e-5)
        np.testing.assert_allclose(outputs[0]["vertices"], posed.vertices, atol=1e-6)


class TestEvaluation:
    """``HumanImageDataset.evaluate`` and ``mion.MeshMetric`` on the same predictions."""

    def test_h36m(self, h36m, tmp_path):
        cfg, _, dataset, outputs = h36m
        reported = dataset.evaluate(outputs, str(tmp_path), metric=["mpjpe", "pa-mpjpe"])
        assert reported == pytest.approx(mesh_metric(cfg, outputs, "keypoints3d", "data/body_models/smpl"), abs=1e-3)
        assert reported["MPJPE"] > reported["PA-MPJPE"] > 1

    def test_3dpw_by_gender_with_stage_3(self, tmp_path):
        cfg = small_config("mion_r50_56x56_pw3d-test")
        dataset, outputs = predict(cfg, model=build_model(cfg))
        reported = dataset.evaluate(outputs, str(tmp_path), metric=["mpjpe", "pa-mpjpe", "pve"])
        expected = mesh_metric(cfg, outputs, "smpl", "data/body_models/smpl")
        assert reported == pytest.approx(expected, abs=1e-2)  # two float32 skinnings
        assert set(reported) == {"MPJPE", "PA-MPJPE", "PVE"}

    def test_annotated_keypoints(self):
        cfg = small_config(**{"data.test.keypoints2d_source": "annotated"})
        annotated, detected = first_batch(cfg), first_batch(small_config())
        assert not torch.equal(annotated["keypoints2d_input"], detected["keypoints2d_input"])
        _, outputs = predict(cfg, model=build_model(cfg))
        assert all(np.isfinite(output["vertices"]).all() for output in outputs)


class TestStage3:
    def test_it_chooses_and_stays_as_it_is(self):
        cfg = small_config("mion_r50_56x56_pw3d-test")
        model = build_model(cfg)
        before = {name: value.clone() for name, value in model.cen.state_dict().items()}
        batch = first_batch(cfg)
        model.train()(**batch)["loss_keypoints2d"].backward()
        assert all(parameter.grad is None for parameter in model.cen.parameters())
        assert any(parameter.grad is not None for parameter in model.refiner.parameters())
        for name, value in model.cen.state_dict().items():
            assert torch.equal(value, before[name]), name

    def test_it_has_the_refiners_body_and_camera(self):
        model = build_model(small_config("mion_r50_56x56_pw3d-test", **{"model.head.network.focal_length": 4000.0}))
        assert model.cen.body is model.refiner.body
        assert model.cen.camera == model.refiner.camera
        assert model.refiner.selector.focal_length == 4000.0

    def test_its_choice_is_returned(self):
        cfg = small_config("mion_r50_56x56_pw3d-test")
        model = build_model(cfg).eval()
        batch = first_batch(cfg)
        samples = model._samples(batch["img"], batch["img_metas"], batch)
        network = MODELS.build(dict(type="mion.MION", refiner=model.refiner, cen=model.cen, selection="cen"))
        with torch.no_grad():
            expected = network(batch["img"], samples)
            output = model(**batch)
            scores = model.cen(batch["img"], expected.bodies)
        np.testing.assert_allclose(
            output["smpl_pose"], expected.bodies.pose[torch.arange(2), scores.argmin(dim=1)].numpy(), atol=1e-5
        )


def test_a_checkpoint_goes_to_this_packages_tools(trained):
    """mmhuman3d's ResNet and torchvision's carry the same names and give the same features."""
    cfg = small_config()
    checkpoint = trained[1] / "epoch_2.pth"
    model = build_model(cfg).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=False)["state_dict"])
    head, neck = (dict(cfg.model[name]) for name in ("head", "neck"))
    refiner = {
        **head["network"],
        "type": "mion.RefinementNetwork",
        "backbone": dict(type="mion.TorchvisionResNet", depth=18),
        "neck": {**neck, "type": "mion.DeconvNeck"},
    }
    selector = {**cfg.model.selector, "type": "mion.CandidateSelector"}
    stages = {"refiner": refiner, "selector": selector, "selection": "first"}
    network = MODELS.build(dict(type="mion.MION", **stages, refiner_checkpoint=checkpoint))
    batch = first_batch(cfg)
    samples = model._samples(batch["img"], batch["img_metas"], batch)
    with torch.no_grad():
        expected = network.eval()(batch["img"], samples)
        output = model(**batch)
    np.testing.assert_allclose(output["smpl_pose"], expected.bodies.pose[:, 0].numpy(), atol=1e-5)


class TestBadInput:
    def test_a_batch_without_keypoints(self):
        cfg = small_config()
        batch = first_batch(cfg)
        for name in ("keypoints2d", "keypoints2d_input"):
            del batch[name]
        with pytest.raises(ValueError, match=r"MION starts from 2D keypoints: add keypoints2d .*MIONInferencer"):
            build_model(cfg).eval()(**batch)

    def test_keypoints_of_another_convention(self):
        cfg = small_config(**{"model.convention": "smpl_49"})
        with pytest.raises(ValueError, match=r"\(2, 190, 3\), expected \(\.\.\., 49, C\) for convention 'smpl_49'"):
            build_model(cfg).eval()(**first_batch(cfg))

    def test_a_crop_of_another_size(self):
        cfg = small_config()
        batch = {**first_batch(cfg), "img": torch.zeros(2, 3, 112, 112)}
        with pytest.raises(ValueError, match="a crop of 112 px, but the model's image_size is 224"):
            build_model(cfg).eval()(**batch)
