"""The model as mmengine's runner uses it."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.optim import OptimWrapper
from support.stick_pool import make_keypoints
from support.tiny_mion import make_body_pool, make_images, make_samples, refiner_config

from mion_plugin.candidates import CandidateSelector
from mion_plugin.consistency import ConsistencyModel, vertex_distance
from mion_plugin.evaluation import SelectionMetric
from mion_plugin.refinement import MeshRefinementTransformer
from mion_plugin.registry import MODELS
from mion_plugin.samples import collect_targets, input_keypoints

ALL_KINDS = {"candidate": 0.25, "refined": 0.5, "perturbed": 0.25}


@pytest.fixture
def refiner(body):
    torch.manual_seed(1)
    model = MODELS.build(refiner_config(body))
    for mlp in (model.head.rotation_mlp, model.head.camera_mlp):
        torch.nn.init.normal_(mlp[-1].weight, std=0.02)
    return model


@pytest.fixture
def make_model(make_cen):
    def make(cen_options=None, **options) -> ConsistencyModel:
        cen = make_cen(**(cen_options or {"output": "low_rank", "num_anchors": 16}))
        return ConsistencyModel(cen, **({"selector": None} | options)).eval()

    return make


class TestModes:
    def test_tensor_scores_all_candidates(self, make_model, images, samples, vertices) -> None:
        model = make_model()
        torch.testing.assert_close(model(images, samples), model.cen(images, vertices))
        assert torch.equal(model(list(images), samples), model(images, samples))

    def test_tensor_scores_refined_bodies(self, make_model, refiner, images, samples, candidates) -> None:
        model = make_model(refiner=refiner)
        output = refiner(images, candidates)
        vertices = model.cen.body(output.pose, output.betas, output.transl).vertices
        torch.testing.assert_close(model(images, samples), model.cen(images, vertices))

    def test_loss_is_eq_10_on_the_candidates(self, make_model, images, samples, vertices, body) -> None:
        model = make_model(num_bodies=4)
        losses = model(images, samples, mode="loss")
        truth = []
        for sample in samples:
            gt = sample.gt_body
            truth.append(body(torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose]), gt.smpl_betas))
        posed = body(torch.stack([sample.candidates.pose for sample in samples]))
        true = torch.stack([output.vertices for output in truth])[:, None]
        pelvis = torch.stack([output.joints[0] for output in truth])[:, None]
        distance = vertex_distance(true, posed.vertices, pelvis, posed.joints[:, :, 0], model.cen.body_height)
        predicted = model.cen.distances(images, vertices)
        assert losses["loss_distance"].item() == pytest.approx((predicted - distance).abs().mean().item(), rel=1e-4)
        assert losses["mean_distance"].item() == pytest.approx(distance.mean().item(), rel=1e-4)

    def test_loss_draws_as_many_bodies_as_asked_for(self, make_model, images, samples) -> None:
        model = make_model()
        sizes = []
        model.cen.head.register_forward_hook(lambda module, args, result: sizes.append(len(result)))
        for model.num_bodies in (1, 3):
            model(images, samples, mode="loss")
        assert sizes == [2, 6]

    def test_samples_without_smpl_do_not_count(self, make_model, images, samples) -> None:
        model = make_model(num_bodies=4)
        alone = model(images[:1], samples[:1], mode="loss")
        samples[1].gt_body.has_smpl = torch.tensor(0)
        for name, value in model(images, samples, mode="loss").items():
            torch.testing.assert_close(value, alone[name])
        assert "true_distance" not in model(images, samples, mode="predict")[1].pred_bodies

    def test_bad_input(self, make_model, images, samples) -> None:
        model = make_model(num_bodies=5)
        with pytest.raises(ValueError, match="num_bodies is 5, but each image has 4 candidates"):
            model(images, samples, mode="loss")
        with pytest.raises(ValueError, match="mode is 'test', expected one of tensor, loss, predict"):
            model(images, samples, mode="test")
        with pytest.raises(ValueError, match="2 images came with 1 data samples"):
            model(images, samples[:1])
        samples[1].set_metainfo({"crop_size": 112})
        with pytest.raises(ValueError, match=r"1\.jpg: a crop of 112 px, but the model's image_size is 224"):
            model(images, samples)


class TestPredictions:
    def test_fields(self, make_model, images, samples, body) -> None:
        model = make_model()
        results = model(images, samples, mode="predict")
        scores = model(images, samples)
        for row, (result, sample) in enumerate(zip(results, samples, strict=True)):
            paths = result.pred_bodies
            torch.testing.assert_close(paths.scores, scores[row])
            assert paths.selected == scores[row].argmin()
            assert torch.equal(paths.fit_loss, sample.candidates.fit_loss)
            assert torch.equal(paths.transl, sample.candidates.transl)
            joints = body.pose_keypoints(sample.candidates.pose, convention="h36m")
            torch.testing.assert_close(paths.keypoints3d, joints, atol=1e-4, rtol=0)
            assert bool(paths.valid)
            assert paths.true_distance.shape == (4,)
            assert "pred_bodies" not in sample
            assert not paths.scores.requires_grad

    def test_refined_bodies_and_what_they_started_from(self, make_model, refiner, images, samples) -> None:
        results = make_model(refiner=refiner)(images, samples, mode="predict")
        plain = make_model()(images, samples, mode="predict")
        alone = MeshRefinementTransformer(refiner, selector=None)
        refined = alone(images, samples, mode="predict")
        for result, candidate, expected in zip(results, plain, refined, strict=True):
            torch.testing.assert_close(result.candidates.scores, candidate.pred_bodies.scores)
            torch.testing.assert_close(result.candidates.true_distance, candidate.pred_bodies.true_distance)
            for name in ("pose", "betas", "transl", "fit_loss", "keypoints3d"):
                torch.testing.assert_close(result.pred_bodies.get(name), expected.pred_bodies.get(name))

    def test_the_truth_among_the_candidates_is_at_distance_0(self, make_model, images, samples) -> None:
        for sample in samples:
            gt = sample.gt_body
            gt.smpl_betas = torch.zeros(10)
            sample.candidates.pose[1] = torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose])
        for result in make_model()(images, samples, mode="predict"):
            distance = result.pred_bodies.true_distance
            assert distance.argmin() == 1
            assert distance[1] < 1e-5
            assert (distance[[0, 2, 3]] > 0.01).all()

    def test_metrics_read_them(self, make_model, refiner, images, samples) -> None:
        evaluator = Evaluator([SelectionMetric(num_resamples=10)])
        evaluator.process(data_samples=make_model(refiner=refiner)(images, samples, mode="predict"))
        report = evaluator.evaluate(2)
        for prefix in ("", "candidates/"):
            assert report[f"selection/{prefix}MPJPE/cen/regret"] >= 0
            assert f"selection/{prefix}MPJPE/reprojection/spearman" in report


class TestCandidates:
    @pytest.fixture
    def selector(self, body) -> CandidateSelector:
        return CandidateSelector(make_body_pool(body), num_candidates=5)

    def bare(self, body, seed: int = 0):
        """Samples with keypoints that the pool explains, and no candidates."""
        samples = make_samples(body, seed=seed)
        for sample, value in zip(samples, make_keypoints(make_body_pool(body), 2), strict=True):
            sample.gt_body.keypoints2d_input = value.float()
            del sample.candidates
        return samples

    def test_selected_for_samples_that_bring_none(self, make_model, selector, body) -> None:
        model, samples = make_model(selector=selector), self.bare(body)
        found = model.find_candidates(samples, torch.device("cpu"))
        keypoints = torch.stack([sample.gt_body.keypoints2d_input for sample in samples])
        assert torch.equal(found.pose, selector(keypoints).pose)

    def test_a_selection_and_its_validity_are_kept(self, make_model, selector, body) -> None:
        model, samples = make_model(selector=selector), self.bare(body)
        samples[0].gt_body.keypoints2d_input[:, 2] = 0
        found = model.find_candidates(samples, torch.device("cpu"))
        assert found.valid.tolist() == [False, True]
        mixed = model.find_candidates([samples[1], make_samples(body)[0], samples[0]], torch.device("cpu"))
        assert mixed.valid.tolist() == [True, True, False]
        assert torch.equal(mixed.pose[0], found.pose[1, :4])

    def test_batches_of_both_kinds(self, make_model, selector, body, samples) -> None:
        model, bare = make_model(selector=selector), self.bare(body)
        mixed = [bare[0], samples[0], bare[1], samples[1]]
        found = model.find_candidates(mixed, torch.device("cpu"))
        assert found.pose.shape == (4, 4, 24, 3)  # as many as the poorer kind has
        selected = model.find_candidates(bare, torch.device("cpu"))
        assert torch.equal(found.pose[[1, 3]], torch.stack([sample.candidates.pose for sample in samples]))
        assert torch.equal(found.fit_loss[[0, 2]], selected.fit_loss[:, :4])
        losses = model(make_images(4), mixed, mode="loss")
        assert all(value.isfinite() for value in losses.values())

    def test_invalid_samples_count_for_nothing_and_are_flagged(self, make_model, selector, body, images) -> None:
        model, samples = make_model(selector=selector, num_bodies=5), self.bare(body)
        samples[1].gt_body.keypoints2d_input[:, 2] = 0
        losses, alone = (model(images[:n], samples[:n], mode="loss") for n in (2, 1))
        for name, value in alone.items():
            torch.testing.assert_close(losses[name], value)
        results = model(images, samples, mode="predict")
        assert [bool(result.pred_bodies.valid) for result in results] == [True, False]
        assert results[1].pred_bodies.fit_loss.isinf().all()
        assert results[1].pred_bodies.combined_scores.isinf().all()

    def test_none_anywhere(self, make_model, body, images) -> None:
        with pytest.raises(ValueError, match="the model has no selector and the sample no candidates"):
            make_model()(images, self.bare(body))

    def test_the_selectors_camera(self, make_model, selector) -> None:
        with pytest.raises(
            ValueError,
            match=r"the selector's camera has focal_length 5000\.0 and image_size 224, the cen's 2500\.0 and 112",
        ):
            make_model({"focal_length": 2500.0, "image_size": 112}, selector=selector)


class TestRefiner:
    def test_is_neither_trained_nor_saved(self, make_model, refiner, images, samples) -> None:
        model = make_model(refiner=refiner, pairs=ALL_KINDS).train()
        before = copy.deepcopy(refiner.state_dict())
        assert not refiner.training
        assert all(name.startswith("cen.") for name in model.state_dict())
        assert all(name.startswith("cen.") for name, _ in model.named_parameters())
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        model.train_step({"inputs": list(images), "data_samples": samples}, wrapper)
        assert all(torch.equal(value, before[name]) for name, value in refiner.state_dict().items())

    @pytest.mark.parametrize("prefix", ["", "network.", "refiner.", "refiner.network."])
    def test_from_a_checkpoint(self, make_model, refiner, body, images, samples, tmp_path, prefix: str) -> None:
        """Of the network, of the model that trained it, of a whole model, and of one of version 0.1."""
        path = tmp_path / "refiner.pth"
        others = {"cen.weight": torch.zeros(1)} if prefix.startswith("refiner") else {}
        weights = {prefix + name: value for name, value in refiner.state_dict().items()}
        torch.save({"state_dict": {**weights, **others}}, path)
        model = make_model(refiner=refiner_config(body), refiner_checkpoint=path)
        torch.testing.assert_close(model(images, samples), make_model(refiner=refiner)(images, samples))

    def test_may_be_the_model_that_trains_it(self, make_model, refiner, body, images, samples, tmp_path) -> None:
        expected = make_model(refiner=refiner)(images, samples)
        model = make_model(refiner=MeshRefinementTransformer(refiner, selector=None))
        assert model.refiner.network is refiner
        assert torch.equal(model(images, samples), expected)
        torch.save({f"network.{name}": value for name, value in refiner.state_dict().items()}, tmp_path / "mrt.pth")
        config = {"type": "mion.MRT", "network": refiner_config(body), "selector": None}
        model = make_model(refiner=config, refiner_checkpoint=tmp_path / "mrt.pth")
        torch.testing.assert_close(model(images, samples), expected)

    def test_reads_the_keypoints_that_stage_1_reads(self, make_model, body, images, samples, candidates) -> None:
        torch.manual_seed(2)
        refiner = MODELS.build(refiner_config(body, queries={"keypoints": "lsp"}))
        torch.nn.init.normal_(refiner.head.rotation_mlp[-1].weight, std=0.02)
        model = make_model(refiner=refiner)
        assert model.keypoints2d_convention == "lsp"
        keypoints2d = input_keypoints(samples, "lsp", torch.device("cpu"))
        expected = model.cen(images, refiner(images, candidates, keypoints2d))
        torch.testing.assert_close(model(images, samples), expected)
        samples[1].gt_body.pop("keypoints2d")
        with pytest.raises(ValueError, match="queries read 14 2D keypoints, got none"):
            model(images, samples)

    def test_bad_checkpoints(self, make_model, body, tmp_path) -> None:
        config = refiner_config(body)
        with pytest.raises(ValueError, match="refiner_checkpoint is None, expected the weights"):
            make_model(refiner=config)
        with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
            make_model(refiner=config, refiner_checkpoint=tmp_path / "none.pth")
        torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
        with pytest.raises(ValueError, match=r"other\.pth is not a checkpoint of this RefinementNetwork"):
            make_model(refiner=config, refiner_checkpoint=tmp_path / "other.pth")
        with pytest.raises(
            ValueError,
            match=r"the refiner's camera has focal_length 5000\.0 and image_size 224, the cen's 2500\.0 and 112",
        ):
            make_model({"focal_length": 2500.0, "image_size": 112}, refiner=MODELS.build(config))
        with pytest.raises(ValueError, match="pairs has the kind 'refined', which needs a refiner"):
            make_model(pairs=ALL_KINDS)


class TestTraining:
    @pytest.mark.parametrize("amp", [False, True])
    def test_changes_every_parameter(self, make_model, refiner, images, samples, amp: bool) -> None:
        model = make_model({}, refiner=refiner, pairs=ALL_KINDS, loss={"ranking_weight": 1.0}).train()
        before = [parameter.clone() for parameter in model.parameters()]
        wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
            logged = model.train_step({"inputs": list(images), "data_samples": samples}, wrapper)
        assert {"loss", "loss_distance", "loss_ranking", "mean_distance", "ordered"} == set(logged)
        torch.testing.assert_close(logged["loss"], logged["loss_distance"] + logged["loss_ranking"])
        assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))

    def test_kinds_become_bodies(self, make_model, refiner, images, samples) -> None:
        """Candidates have the mean shape, refined bodies what the refiner gives, perturbed ones the true shape."""
        model = make_model(refiner=refiner, pairs=ALL_KINDS, perturbation={"mix": 0})
        candidates = model.find_candidates(samples, images.device)
        targets = collect_targets(samples, images.device)
        bodies = model.draw_bodies(images, samples, candidates, targets)
        refined = refiner(images, candidates)
        torch.testing.assert_close(bodies.betas[:, 0], torch.zeros(2, 10))
        torch.testing.assert_close(bodies.pose[:, 1:3], refined.pose[:, 1:3])
        torch.testing.assert_close(bodies.transl[:, 1:3], refined.transl[:, 1:3])
        torch.testing.assert_close(bodies.betas[:, 3], targets.betas)

    def test_the_seed_decides(self, make_model, refiner, images, samples) -> None:
        model = make_model(refiner=refiner, pairs=ALL_KINDS, num_bodies=3)
        losses = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            losses.append(model(images, samples, mode="loss")["loss_distance"].item())
        assert losses[0] == losses[1] != losses[2]

    def test_learns_the_order_of_a_few_bodies(self, make_model, body) -> None:
        samples, images = make_samples(body, batch=4), make_images(4)
        model = make_model({"output": "low_rank", "num_anchors": 16, "pooling": "body"}, num_bodies=4).train()
        model.consistency_loss.ranking_weight = 0.02
        wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=3e-3))
        batch = {"inputs": list(images), "data_samples": samples}
        history = [model.train_step(batch, wrapper) for _ in range(80)]
        assert history[-1]["loss_distance"] < 0.3 * history[0]["loss_distance"]
        assert history[-1]["ordered"] > 0.9


def test_builds_from_a_config(body) -> None:
    config = {
        "type": "mion.ConsistencyModel",
        "cen": {"type": "mion.CEN", "focal_length": 2500.0, "image_size": 112, "body": body},
        "selector": {"type": "mion.CandidateSelector", "pool": make_body_pool(body)},
        "loss": {"type": "mion.ConsistencyLoss", "norm": "mse"},
    }
    model = MODELS.build(config)
    assert (model.selector.focal_length, model.selector.image_size) == (2500, 112)
    with pytest.raises(ValueError, match="num_bodies is 0, expected at least 1"):
        MODELS.build({**config, "num_bodies": 0})
