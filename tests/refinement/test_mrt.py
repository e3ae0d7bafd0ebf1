"""The registered model as mmengine's runner uses it."""

from __future__ import annotations

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.structures import BaseDataElement
from support.stick_pool import make_keypoints
from support.tiny_mion import make_body_pool
from torch import nn

from mion_plugin.bodies import Bodies
from mion_plugin.body import BodyArrays, SMPLBody
from mion_plugin.candidates import CandidatePool, CandidateSelector
from mion_plugin.evaluation import MeshMetric
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.refinement import MeshRefinementTransformer
from mion_plugin.registry import MODELS
from mion_plugin.samples import provided_candidates

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
RESIDUAL = {"head": {"rotation": "residual"}, "queries": {"candidate": True}}


@pytest.fixture(scope="module")
def pool(body) -> CandidatePool:
    """The stick figures' own keypoints do not belong to their poses: the pool has the body's."""
    return make_body_pool(body)


def bring_pncc(model: MeshRefinementTransformer, samples: list[BaseDataElement]) -> None:
    for sample in samples:
        bodies = Bodies.with_mean_shape(sample.candidates.pose[None], sample.candidates.transl[None])
        sample.candidates.pncc = model.network.render_pncc(bodies)[0]


class TestModes:
    def test_tensor_is_the_network_on_all_candidates(self, make_model, make_samples) -> None:
        model, samples = make_model(), make_samples()
        output = model(IMAGES, samples)
        assert type(output) is Bodies
        pose, transl = (torch.stack([sample.candidates.get(key) for sample in samples]) for key in ("pose", "transl"))
        expected = model.network(IMAGES, Bodies.with_mean_shape(pose, transl))
        for name in ("pose", "betas", "transl"):
            assert torch.equal(getattr(output, name), getattr(expected, name))

    def test_images_may_come_as_a_list(self, make_model, make_samples) -> None:
        model, samples = make_model(), make_samples()
        assert torch.equal(model(list(IMAGES), samples).pose, model(IMAGES, samples).pose)

    def test_loss_draws_the_number_asked_for(self, make_model, make_samples) -> None:
        model, samples = make_model(), make_samples(count=4)
        sizes = []
        model.network.transformer.register_forward_hook(lambda module, args, result: sizes.append(len(result)))
        for model.train_candidates in (1, 3, 4):
            losses = model(IMAGES, samples, mode="loss")
            assert all(torch.isfinite(value) for value in losses.values())
        assert sizes == [2, 6, 8]

    def test_loss_takes_pncc_that_the_data_bring(self, make_model, make_samples, monkeypatch) -> None:
        model, samples = make_model(), make_samples()
        bring_pncc(model, samples)
        rendered = model(IMAGES, make_samples()).pose
        monkeypatch.setattr(model.network, "render_pncc", lambda *args: pytest.fail("rendered for nothing"))
        torch.testing.assert_close(model(IMAGES, samples).pose, rendered)
        model(IMAGES, samples, mode="loss")

    def test_bad_input(self, make_model, make_samples) -> None:
        model, samples = make_model(), make_samples()
        with pytest.raises(ValueError, match="2 images came with none data samples, expected one for each"):
            model(IMAGES)
        with pytest.raises(ValueError, match="2 images came with 1 data samples"):
            model(IMAGES, samples[:1])
        with pytest.raises(
            ValueError, match=r"images are torch.uint8 \(2, 3, 32, 32\), expected normalised.*Normalize"
        ):
            model(IMAGES.to(torch.uint8), samples)
        with pytest.raises(ValueError, match="mode is 'test', expected one of tensor, loss, predict"):
            model(IMAGES, samples, mode="test")
        samples[1].set_metainfo({"crop_size": 112})
        with pytest.raises(ValueError, match=r"1\.jpg: a crop of 112 px, but the model's image_size is 224"):
            model(IMAGES, samples)


class TestPredictions:
    def test_fields(self, make_model, make_samples, body) -> None:
        model, samples = make_model(predict_vertices=True), make_samples()
        results = model(IMAGES, samples, mode="predict")
        output = model(IMAGES, samples)
        for row, (result, sample) in enumerate(zip(results, samples, strict=True)):
            paths = result.pred_bodies
            assert {name: tuple(value.shape) for name, value in paths.items()} == {
                "pose": (3, 24, 3, 3),
                "betas": (3, 10),
                "transl": (3, 3),
                "fit_loss": (3,),
                "keypoints3d": (3, 17, 3),
                "vertices": (3, 6890, 3),
                "selected": (),
                "valid": (),
            }
            assert torch.equal(paths.pose, output.pose[row])
            assert paths.selected == 0
            posed = body(paths.pose, paths.betas)
            torch.testing.assert_close(paths.vertices, posed.vertices)
            torch.testing.assert_close(paths.keypoints3d, body.keypoints(posed, "h36m"), atol=1e-4, rtol=0)
            for name in ("pose", "transl", "fit_loss"):
                assert torch.equal(result.candidates.get(name), sample.candidates.get(name))
            assert result.image_path == f"{row}.jpg"
            assert result.gt_body is sample.gt_body
            assert "pred_bodies" not in sample  # the samples given stay as they were

    def test_nothing_to_train_means_no_gradient(self, make_model, make_samples) -> None:
        result = make_model()(IMAGES, make_samples(), mode="predict")[0]
        assert not any(value.requires_grad for value in result.pred_bodies.values() if value.is_floating_point())

    def test_untrained_residual_paths_score_as_their_candidates(self, make_model, make_samples) -> None:
        model = make_model(start="zero", **RESIDUAL)
        evaluator = Evaluator([MeshMetric()])
        evaluator.process(data_samples=model(IMAGES, make_samples(), mode="predict"))
        report = evaluator.evaluate(2)
        refined = {name: value for name, value in report.items() if "/candidates/" not in name}
        compared = 0
        for name, value in refined.items():
            of_candidates = report.get(name.replace("body/", "body/candidates/"))
            if of_candidates is not None and "reprojection" not in name:  # the candidates' fit loss is made up here
                assert value == pytest.approx(of_candidates, abs=0.02), name
                compared += 1
        assert compared > 20

    def test_first_path_is_the_metrics_choice(self, make_model, make_samples) -> None:
        evaluator = Evaluator([MeshMetric(errors=("MPJPE",))])
        evaluator.process(data_samples=make_model()(IMAGES, make_samples(), mode="predict"))
        report = evaluator.evaluate(2)
        assert report["body/MPJPE/chosen"] == report["body/MPJPE/path_1"]

    def test_fit_loss_is_that_of_stage_1(self, make_model, make_samples, pool) -> None:
        """An untrained residual model returns the candidates, whose fit loss the selector knows."""
        selector = CandidateSelector(pool, num_candidates=3)
        model = make_model(start="zero", selector=selector, **RESIDUAL)
        samples = make_samples()
        for sample, value in zip(samples, make_keypoints(pool, 2), strict=True):
            value[0] = torch.tensor([torch.nan, torch.nan, 0.0])
            sample.gt_body.keypoints2d_input = value.float()
        for result in model(IMAGES, samples, mode="predict"):
            torch.testing.assert_close(result.pred_bodies.fit_loss, result.candidates.fit_loss, rtol=1e-3, atol=0.5)

    def test_without_keypoints_there_is_no_fit_loss(self, make_model, make_samples) -> None:
        samples = make_samples()
        for sample in samples:
            sample.gt_body.pop("keypoints2d")
        result = make_model()(IMAGES, samples, mode="predict")[0]
        assert "fit_loss" not in result.pred_bodies
        assert "fit_loss" in result.candidates

    def test_body_without_the_h36m_regressor(self, make_model, make_samples) -> None:
        body = SMPLBody()
        body.arrays = BodyArrays(**{**vars(body.arrays), "regressor_h36m": None})
        result = make_model(body=body)(IMAGES, make_samples(), mode="predict")[0]
        assert "keypoints3d" not in result.pred_bodies
        assert "keypoints3d" not in result.candidates


class TestSelector:
    def build(self, make_model, pool, keypoints2d_target="annotated", **options):
        selector = {"type": "mion.CandidateSelector", "pool": pool, **options}
        return make_model(selector=selector, keypoints2d_target=keypoints2d_target)

    def with_keypoints(self, samples: list[BaseDataElement], pool: CandidatePool) -> list[BaseDataElement]:
        """The samples with keypoints that the pool explains."""
        for sample, value in zip(samples, make_keypoints(pool, len(samples)), strict=True):
            sample.gt_body.keypoints2d_input = value.float()
        return samples

    def test_takes_the_networks_camera(self, make_model, pool) -> None:
        model = self.build(make_model, pool)
        assert (model.selector.focal_length, model.selector.image_size) == (5000, 224)
        small = make_model(
            focal_length=2500,
            image_size=112,
            selector={"type": "mion.CandidateSelector", "pool": pool},
        )
        assert (small.selector.focal_length, small.selector.image_size) == (2500, 112)
        with pytest.raises(ValueError, match=r"selector's camera has focal_length 1000\.0 .* network's 5000"):
            self.build(make_model, pool, focal_length=1000)

    def test_candidates_are_those_of_stage_1_for_the_input_keypoints(self, make_model, make_samples, pool) -> None:
        model, samples = self.build(make_model, pool), self.with_keypoints(make_samples(), pool)
        keypoints2d = torch.stack([sample.gt_body.keypoints2d_input for sample in samples])
        selected = model.selector(keypoints2d)
        output = model(IMAGES, samples)
        assert torch.equal(output.pose, model.network(IMAGES, selected).pose)
        for row, result in enumerate(model(IMAGES, samples, mode="predict")):
            for name in ("pose", "betas", "transl", "fit_loss", "valid"):
                assert torch.equal(result.candidates.get(name), getattr(selected, name)[row])
            assert torch.equal(result.pred_bodies.pose, output.pose[row])

    def test_annotated_keypoints_where_no_others_are_given(self, make_model, make_samples, pool) -> None:
        model, samples = self.build(make_model, pool), self.with_keypoints(make_samples(), pool)
        expected = model(IMAGES, samples).pose
        for sample in samples:
            sample.gt_body.keypoints2d = sample.gt_body.pop("keypoints2d_input")
        assert torch.equal(model(IMAGES, samples).pose, expected)

    def test_keypoints_are_converted_by_name(self, make_model, make_samples, pool) -> None:
        model, samples = self.build(make_model, pool), self.with_keypoints(make_samples(), pool)
        expected = model(IMAGES, samples).pose
        for sample in samples:
            sample.set_metainfo({"keypoints2d_convention": "smpl_54"})
            sample.gt_body.keypoints2d_input = convert_keypoints(sample.gt_body.keypoints2d_input, "coco", "smpl_54")[0]
        assert torch.equal(model(IMAGES, samples).pose, expected)

    def test_without_keypoints(self, make_model, make_samples, pool) -> None:
        samples = make_samples()
        samples[1].gt_body.pop("keypoints2d")
        with pytest.raises(ValueError, match=r"1\.jpg: gt_body has neither keypoints2d_input nor keypoints2d"):
            self.build(make_model, pool)(IMAGES, samples)

    def test_queries_read_what_stage_1_reads(self, make_model, make_samples, pool) -> None:
        selector = {"type": "mion.CandidateSelector", "pool": pool}
        model = make_model(selector=selector, queries={"keypoints": "coco"})
        samples = self.with_keypoints(make_samples(), pool)
        keypoints2d = torch.stack([sample.gt_body.keypoints2d_input for sample in samples])
        expected = model.network(IMAGES, model.selector(keypoints2d), keypoints2d).pose
        assert torch.equal(model(IMAGES, samples).pose, expected)

    def test_invalid_samples_count_for_nothing_and_are_flagged(self, make_model, make_samples, pool) -> None:
        model, samples = self.build(make_model, pool), self.with_keypoints(make_samples(), pool)
        samples[1].gt_body.keypoints2d_input[:, 2] = 0
        model.train_candidates = model.selector.num_candidates  # no draw, so that both losses see the same
        losses, alone = (model(IMAGES[:n], samples[:n], mode="loss") for n in (2, 1))
        for name, value in alone.items():
            torch.testing.assert_close(losses[name], value)
        results = model(IMAGES, samples, mode="predict")
        assert [bool(result.pred_bodies.valid) for result in results] == [True, False]
        assert [bool(result.candidates.valid) for result in results] == [True, False]
        assert results[1].pred_bodies.fit_loss.isinf().all()
        assert all(torch.isfinite(results[1].pred_bodies.get(name)).all() for name in ("pose", "betas", "transl"))

    def test_batch_of_invalid_samples_alone(self, make_model, make_samples, pool) -> None:
        model = self.build(make_model, pool).train()
        samples = make_samples()
        for sample in samples:
            sample.gt_body.keypoints2d_input = torch.zeros(17, 3)
        losses = model(IMAGES, samples, mode="loss")
        assert all(value.item() == 0 for value in losses.values())
        sum(losses.values()).backward()
        assert all(parameter.grad is not None for parameter in model.parameters())

    def test_the_2d_target_is_annotated_or_detected(self, make_model, make_samples, pool) -> None:
        samples = self.with_keypoints(make_samples(), pool)
        for sample in samples:
            sample.gt_body.keypoints2d[:, :2] += 7  # the input stays
        samples[1].gt_body.has_keypoints2d = torch.tensor(0)  # nobody annotated this one
        found = {}
        for target in ("annotated", "detected"):
            torch.manual_seed(0)  # the draw of the candidates
            losses = self.build(make_model, pool, keypoints2d_target=target)(IMAGES, samples, mode="loss")
            found[target] = losses["loss_keypoints2d"].item()
        for sample in samples:
            sample.gt_body.keypoints2d = sample.gt_body.keypoints2d_input.clone()
            sample.gt_body.has_keypoints2d = torch.tensor(1)
        torch.manual_seed(0)
        expected = self.build(make_model, pool)(IMAGES, samples, mode="loss")["loss_keypoints2d"].item()
        assert found["detected"] == expected
        assert abs(found["annotated"] / expected - 1) > 0.01

    def test_a_detected_target_must_be_there(self, make_model, make_samples, pool) -> None:
        model = self.build(make_model, pool, keypoints2d_target="detected")
        with pytest.raises(
            ValueError, match=r"0\.jpg: gt_body has no keypoints2d_input, and keypoints2d_target is 'det"
        ):
            model(IMAGES, make_samples(), mode="loss")
        with pytest.raises(ValueError, match="keypoints2d_target is 'hrnet', expected one of annotated, detected"):
            self.build(make_model, pool, keypoints2d_target="hrnet")

    def test_state_dict_holds_no_pool(self, make_model, pool) -> None:
        assert not any(
            name.startswith(("selector", "body", "renderer")) for name in self.build(make_model, pool).state_dict()
        )


class TestTrainStep:
    @pytest.mark.parametrize("amp", [False, True])
    def test_changes_every_parameter(self, make_model, make_samples, amp: bool) -> None:
        model = make_model(**RESIDUAL).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
        wrapper = OptimWrapper(optimizer)
        before = [parameter.clone() for parameter in model.parameters()]
        batch = {"inputs": list(IMAGES), "data_samples": make_samples()}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):  # AmpOptimWrapper does so, but needs a GPU
            logged = model.train_step(batch, wrapper)
        assert {"loss", "loss_smpl_pose", "loss_keypoints2d", "mpjpe"} <= set(logged)
        terms = sum(value for name, value in logged.items() if name.startswith("loss_"))
        torch.testing.assert_close(logged["loss"], terms)
        changed = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
        assert all(changed)

    def test_test_step_normalises_by_a_data_preprocessor(self, make_model, make_samples) -> None:
        mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
        preprocessor = {"type": "ImgDataPreprocessor", "mean": mean, "std": std}
        model = make_model(data_preprocessor=preprocessor)
        raw = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
        results = model.test_step({"inputs": list(raw), "data_samples": make_samples()})
        normalised = (raw - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        expected = model(normalised, make_samples())
        torch.testing.assert_close(results[0].pred_bodies.pose, expected.pose[0])

    @pytest.mark.parametrize("options", [RESIDUAL, {}, {"head": {"representation": "axis_angle"}}])
    def test_overfits_four_samples(self, make_model, make_samples, options) -> None:
        model = make_model(start="zero", **options).train()
        samples = make_samples(batch=4, count=2, spread=0.3)
        bring_pncc(model, samples)
        batch = {"inputs": list(torch.randn(4, 3, 32, 32)), "data_samples": samples}
        model.train_candidates = 2
        wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=3e-3))
        history = [model.train_step(batch, wrapper) for _ in range(60)]
        assert history[-1]["loss"] < 0.4 * history[0]["loss"]
        assert history[-1]["mpjpe"] < 0.6 * history[0]["mpjpe"]


class TestKeypointsOfTheData:
    """Without a selector, the queries' convention counts."""

    def test_are_converted_to_the_queries_convention(self, make_model, make_samples) -> None:
        model, samples = make_model(queries={"keypoints": "lsp"}), make_samples()
        assert model.keypoints2d_convention == "lsp"
        keypoints2d = torch.stack(
            [convert_keypoints(sample.gt_body.keypoints2d, "coco", "lsp")[0] for sample in samples]
        )
        expected = model.network(IMAGES, provided_candidates(samples, torch.device("cpu")), keypoints2d)
        assert torch.equal(model(IMAGES, samples).pose, expected.pose)

    def test_must_be_there_if_the_queries_read_them(self, make_model, make_samples) -> None:
        samples = make_samples()
        samples[0].gt_body.pop("keypoints2d")
        with pytest.raises(ValueError, match=r"0\.jpg: gt_body has neither keypoints2d_input nor keypoints2d"):
            make_model(queries={"keypoints": "coco"})(IMAGES, samples)
        assert make_model()(IMAGES, samples).pose.shape == (2, 3, 24, 3, 3)


def test_builds_from_a_config(body, pool) -> None:
    """The paper's sizes."""
    config = {
        "type": "mion.MRT",
        "network": {
            "backbone": {"type": "mion.TorchvisionResNet", "depth": 50},
            "neck": {"type": "mion.DeconvNeck", "in_channels": 2048, "channels": 384},
            "body": body,
        },
        "selector": {"type": "mion.CandidateSelector", "pool": pool},
        "loss": {"type": "mion.MeshLoss", "error": "mse"},
    }
    model = MODELS.build(config)
    network = model.network
    assert network.transformer.width == network.position_encoding.channels == 384
    assert (network.renderer.height, network.renderer.width) == (56, 56)
    assert network.head.rotation == "absolute"
    assert (network.queries.from_candidate, network.queries.from_features, network.queries.keypoints) == (None,) * 3


def test_a_built_network_is_a_part(make_model, make_samples) -> None:
    built = make_model()
    model = MODELS.build({"type": "mion.MRT", "network": built.network, "selector": None})
    assert model.network is built.network
    assert (model.body, model.camera) == (built.body, built.camera)
    assert torch.equal(model(IMAGES, make_samples()).pose, built(IMAGES, make_samples()).pose)


def test_a_registered_openmmlab_backbone_works(make_model, inputs) -> None:
    """One of another scope, which gives a tuple, with its own init_weights."""

    class Backbone(nn.Module):
        initialised = False

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 16, 8, stride=8)

        def init_weights(self) -> None:
            self.initialised = True

        def forward(self, image):
            features = self.conv(image)
            return features, features[..., ::2, ::2]

    ROOT_MODELS.register_module(name="PyramidForTest", module=Backbone)
    try:
        neck = {"type": "mion.DeconvNeck", "in_channels": 16, "channels": 24, "num_layers": 2}
        model = make_model(backbone={"type": "PyramidForTest"}, neck=neck)
        assert model.network(*inputs).pose.shape == (2, 3, 24, 3, 3)
        model.init_weights()
        assert model.network.backbone.initialised
    finally:
        ROOT_MODELS._module_dict.pop("PyramidForTest")
