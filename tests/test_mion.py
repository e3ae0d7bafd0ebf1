"""The three stages together, against the parts run one after the other."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from support.fake_tensors import become_fake
from support.tiny_mion import TinyCEN, make_body_pool, make_images, make_mion, make_samples, refiner_config
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.evaluation import MeshMetric
from mion_plugin.evaluation.choice.rules import RULES, Labels
from mion_plugin.fitting import KeypointFit, StartPrior
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.mion import MIONOutput
from mion_plugin.registry import MODELS
from mion_plugin.samples import bodies_to_give, input_keypoints
from mion_plugin.weights import load_part

IMAGES = make_images()
CHOICE = ("scores", "combined_scores", "selection_scores", "selected")


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


class TestPredict:
    def test_is_the_three_stages_one_after_the_other(self, body) -> None:
        model, samples = make_mion(body), make_samples(body)
        alone = MODELS.build({"type": "mion.MRT", "network": model.refiner, "selector": None})
        refined = alone(IMAGES, samples, mode="predict")
        results = model(IMAGES, samples, mode="predict")
        for row, (result, alone) in enumerate(zip(results, refined, strict=True)):
            paths = result.pred_bodies
            for name in ("pose", "betas", "transl", "keypoints3d", "fit_loss", "valid"):
                assert torch.equal(paths.get(name), alone.pred_bodies.get(name)), name
            assert torch.equal(result.candidates.pose, samples[row].candidates.pose)
            vertices = torch.stack([body(paths.pose[n], paths.betas[n], paths.transl[n]).vertices for n in range(4)])
            scores = model.cen(IMAGES[row : row + 1], vertices[None])[0]
            torch.testing.assert_close(paths.scores, scores)
            assert paths.selected == scores.argmin()
            assert torch.equal(paths.selection_scores, paths.scores)
            assert "pred_bodies" not in samples[row]
            assert not any(value.requires_grad for value in paths.values())

    def test_tensor_mode_is_the_same_stacked(self, body) -> None:
        model, samples = make_mion(body), make_samples(body)
        output, results = model(list(IMAGES), samples), model(IMAGES, samples, mode="predict")
        assert isinstance(output, MIONOutput)
        for name in ("pose", "betas", "transl", "fit_loss", "valid"):
            expected = torch.stack([result.pred_bodies.get(name) for result in results])
            assert torch.equal(getattr(output.bodies, name), expected), name
        for name in CHOICE:
            expected = torch.stack([result.pred_bodies.get(name) for result in results])
            assert torch.equal(getattr(output, name), expected), name

    @pytest.mark.parametrize("selection", RULES)
    def test_a_batch_of_one_equals_a_row_of_a_batch(self, body, selection) -> None:
        model = make_mion(body, selection=selection)
        images, samples = make_images(3), make_samples(body, batch=3)
        together = model(images, samples)
        for row in range(3):
            alone = model(images[row : row + 1], samples[row : row + 1])
            for name in CHOICE:
                torch.testing.assert_close(getattr(alone, name)[0], getattr(together, name)[row], rtol=1e-4, atol=1e-5)
            for name in ("pose", "betas", "transl"):
                one, all_three = getattr(alone.bodies, name), getattr(together.bodies, name)
                torch.testing.assert_close(one[0], all_three[row], rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("selection", ["cen", "reprojection", "cen+reprojection", "oracle"])
    def test_the_choice_follows_its_candidate_wherever_it_stands(self, body, selection) -> None:
        model, order = make_mion(body, selection=selection), torch.tensor([2, 0, 3, 1])
        before = model(IMAGES, make_samples(body))
        samples = make_samples(body)
        for sample in samples:
            for name, value in sample.candidates.items():
                sample.candidates.set_data({name: value[order]})
        after = model(IMAGES, samples)
        torch.testing.assert_close(after.selection_scores, before.selection_scores[:, order], rtol=1e-3, atol=1e-5)
        assert torch.equal(order[after.selected], before.selected)


class TestWithTheConsistencyNetwork:
    """``mion.CEN`` itself, on a small backbone."""

    CEN = MappingProxyType(
        {
            "type": "mion.CEN",
            "backbone": {"type": "mion.TinyBackbone"},
            "renderer": {"type": "mion.PNCCRenderer", "size": 32},
            "output": "low_rank",
            "pooling": "body",
        }
    )

    def test_scores_are_its_own_and_do_not_depend_on_the_batch(self, body) -> None:
        model, samples = make_mion(body, cen=self.CEN), make_samples(body)
        output = model(IMAGES, samples)
        for row in range(2):
            vertices = output.bodies.placed_vertices(body)[row]
            scores = model.cen(IMAGES[row : row + 1], vertices[None])[0]
            torch.testing.assert_close(output.scores[row], scores, rtol=1e-4, atol=1e-6)
            alone = model(IMAGES[row : row + 1], samples[row : row + 1])
            torch.testing.assert_close(alone.scores[0], scores, rtol=1e-4, atol=1e-6)
        assert output.scores.std(dim=1).min() > 0  # bodies differ
        assert (model.cen.camera, model.cen.body) == (model.camera, body)

    def test_weights_of_its_own_training(self, body, tmp_path) -> None:
        training = MODELS.build({"type": "mion.ConsistencyModel", "cen": {**self.CEN, "body": body}, "selector": None})
        torch.save({"state_dict": training.state_dict()}, tmp_path / "epoch_1.pth")
        model = make_mion(body, cen=self.CEN, cen_checkpoint=tmp_path / "epoch_1.pth")
        for name, value in training.cen.state_dict().items():
            assert torch.equal(model.cen.state_dict()[name], value), name


class TestDepths:
    """Depths of keypoints, for a stage 2 that reads them."""

    QUERIES = MappingProxyType({"queries": {"keypoints": "coco", "depths": True}})

    @pytest.fixture
    def informed(self, body):
        """Samples with depths, and those."""
        samples, generator = make_samples(body), torch.Generator().manual_seed(1)
        depths = torch.stack([0.3 * torch.randn(2, 17, generator=generator), torch.full((2, 17), 8.0)], dim=-1)
        depths[:, 3, 1] = 0.0
        for sample, value in zip(samples, depths, strict=True):
            sample.gt_body.depths_input = value
        return samples, depths

    def test_reach_stage_2_alone(self, body, informed) -> None:
        model, (samples, depths) = make_mion(body, refiner=self.QUERIES), informed
        output = model(IMAGES, samples)
        keypoints2d = torch.stack([sample.gt_body.keypoints2d for sample in samples])
        expected = model.refiner(IMAGES, output.candidates, keypoints2d, depths)
        assert torch.equal(output.bodies.pose, expected.pose)
        assert torch.equal(output.bodies.transl, expected.transl)
        plain = model(IMAGES, make_samples(body))
        assert torch.equal(plain.candidates.pose, output.candidates.pose)
        assert not torch.allclose(plain.bodies.pose, output.bodies.pose)
        direct = model.estimate(IMAGES, keypoints2d, output.candidates, depths=depths)
        assert torch.equal(direct.bodies.pose, output.bodies.pose)

    def test_stage_2_in_training_reads_them_too(self, body, informed) -> None:
        model, (samples, _) = make_mion(body, refiner=self.QUERIES), informed
        alone = MODELS.build({"type": "mion.MRT", "network": model.refiner, "selector": None}).eval()
        assert torch.equal(alone(IMAGES, samples).pose, model(IMAGES, samples).bodies.pose)

    def test_none_given_is_none_known_to_the_bit(self, body, informed) -> None:
        model, (samples, _) = make_mion(body, refiner=self.QUERIES), informed
        for sample in samples:
            sample.gt_body.depths_input = torch.zeros(17, 2)
        plain, unknown = model(IMAGES, make_samples(body)), model(IMAGES, samples)
        for name in ("pose", "betas", "transl", "fit_loss"):
            assert torch.equal(getattr(plain.bodies, name), getattr(unknown.bodies, name)), name
        keypoints2d = torch.stack([sample.gt_body.keypoints2d for sample in samples])
        assert torch.equal(plain.bodies.pose, model.refiner(IMAGES, plain.candidates, keypoints2d).pose)

    def test_a_stage_2_that_knows_of_none_goes_without(self, body, informed) -> None:
        class Plain(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.camera, self.body = CropCamera(5000.0, 224), body

            def forward(self, image: Tensor, candidates: Bodies, keypoints2d: Tensor | None) -> Bodies:
                return candidates

        samples, depths = informed
        unread, plain = make_mion(body)(IMAGES, samples), make_mion(body)(IMAGES, make_samples(body))
        assert torch.equal(unread.bodies.pose, plain.bodies.pose)
        model = make_mion(body)
        model.refiner = Plain()
        output = model.estimate(IMAGES, None, plain.candidates, depths=depths)
        assert output.bodies is plain.candidates

    def test_a_fit_that_asks_for_them_reads_them(self, body, informed) -> None:
        samples, _ = informed
        prior = {"type": "mion.StartPrior", "pool_share": 0.0}
        plain, told = (
            make_mion(body, selection="fit", fit={"type": "mion.KeypointFit", "prior": prior, "use_depths": asked})
            for asked in (False, True)
        )
        without = make_mion(body, selection="fit")(IMAGES, make_samples(body)).bodies
        assert torch.equal(plain(IMAGES, samples).bodies.pose, without.pose)
        assert not torch.allclose(told(IMAGES, samples).bodies.cost, without.cost)

    def test_another_shape_is_an_error(self, body, informed) -> None:
        model, (samples, depths) = make_mion(body, refiner=self.QUERIES), informed
        output = model(IMAGES, samples)
        keypoints2d = torch.stack([sample.gt_body.keypoints2d for sample in samples])
        with pytest.raises(ValueError, match=r"depths has shape \(2, 17\), expected \(2, 17, 2\)"):
            model.estimate(IMAGES, keypoints2d, output.candidates, depths=depths[..., 0])


class TestSelection:
    def test_first(self, body) -> None:
        output = make_mion(body, selection="first")(IMAGES, make_samples(body))
        assert output.selected.tolist() == [0, 0]
        assert output.scores is not None  # the metric compares all ways to choose

    def test_reprojection_in_shares_of_the_crop(self, body) -> None:
        model, samples = make_mion(body, selection="reprojection"), make_samples(body)
        output = model(IMAGES, samples)
        for row, sample in enumerate(samples):
            found = output.bodies
            points = body.pose_keypoints(found.pose[row], found.betas[row], found.transl[row], "coco").numpy()
            given = sample.gt_body.keypoints2d.numpy()
            pixels = 5000.0 * points[..., :2] / points[..., 2:] + 112.0
            squared = ((pixels - given[:, :2]) ** 2).sum(axis=-1)
            rms = np.sqrt(np.average(squared, axis=-1, weights=given[:, 2])) / 224.0
            np.testing.assert_allclose(output.selection_scores[row], rms, rtol=1e-3)
            assert output.selected[row] == rms.argmin()

    def test_combined(self, body) -> None:
        samples = make_samples(body)
        cen, reprojection = (make_mion(body, selection=rule)(IMAGES, samples) for rule in ("cen", "reprojection"))
        both = make_mion(body, selection="cen+reprojection", reprojection_weight=3.0)(IMAGES, samples)
        expected = cen.scores + 3.0 * reprojection.selection_scores
        torch.testing.assert_close(both.selection_scores, expected)
        torch.testing.assert_close(both.combined_scores, expected)
        assert torch.equal(both.selected, expected.argmin(dim=1))
        torch.testing.assert_close(cen.combined_scores, cen.scores + reprojection.selection_scores)  # the default's 1

    def test_random_depends_on_seed_and_sample_alone(self, body) -> None:
        samples, images = make_samples(body, batch=40), make_images(40)
        options = {"selection": "random", "cen": None}
        drawn = [make_mion(body, weights, seed=4, **options)(images, samples).selected for weights in (0, 1)]
        assert torch.equal(*drawn)
        assert set(drawn[0].tolist()) == {0, 1, 2, 3}
        model = make_mion(body, seed=5, **options)
        assert not torch.equal(model(images, samples).selected, drawn[0])
        model.seed = 4
        assert torch.equal(model(images, samples[::-1]).selected.flip(0), drawn[0])
        samples[3].pop("sample_idx")
        with pytest.raises(ValueError, match=r"3\.jpg: selection 'random' needs sample_idx"):
            model(images, samples)

    def test_oracle_is_the_metrics_best(self, body) -> None:
        model, samples = make_mion(body, selection="oracle"), make_samples(body, batch=3)
        evaluator = Evaluator([MeshMetric(errors=("MPJPE",))])
        evaluator.process(data_samples=model(make_images(3), samples, mode="predict"))
        report = evaluator.evaluate(3)
        assert report["body/MPJPE/chosen"] == report["body/MPJPE/oracle"] < report["body/MPJPE/mean"]

    def test_oracle_by_annotated_joints_or_not_at_all(self, body) -> None:
        model, samples = make_mion(body, selection="oracle"), make_samples(body)
        expected = model(IMAGES, samples).selection_scores
        for sample in samples:
            sample.gt_body.has_smpl = torch.tensor(0)
        torch.testing.assert_close(model(IMAGES, samples).selection_scores, expected, rtol=1e-4, atol=0.01)
        samples[1].gt_body.has_keypoints3d = torch.tensor(0)
        with pytest.raises(ValueError, match=r"1\.jpg: selection 'oracle' needs ground truth, SMPL or 3D keypoints"):
            model(IMAGES, samples)

    def test_without_keypoints(self, body) -> None:
        samples = make_samples(body)
        for sample in samples:
            sample.gt_body.pop("keypoints2d")
        output = make_mion(body)(IMAGES, samples)
        assert output.combined_scores is None
        assert "combined_scores" not in make_mion(body)(IMAGES, samples, mode="predict")[0].pred_bodies
        for selection in ("reprojection", "cen+reprojection"):
            with pytest.raises(ValueError, match=f"selection '{selection.replace('+', '.')}' needs samples with keyp"):
                make_mion(body, selection=selection)(IMAGES, samples)

    def test_samples_without_a_fit_stay_finite_where_it_matters(self, body) -> None:
        samples = make_samples(body)
        samples[1].candidates.valid = torch.tensor(0)
        samples[0].candidates.valid = torch.tensor(1)
        for selection in RULES:
            result = make_mion(body, selection=selection)(IMAGES, samples, mode="predict")[1].pred_bodies
            assert not result.valid
            assert not any(torch.isnan(value).any() for value in result.values() if value.is_floating_point())
            assert 0 <= result.selected < 4


class TestFit:
    """``mion.KeypointFit`` behind stage 2."""

    def test_bodies_are_those_of_the_fit_and_so_are_the_scores(self, body) -> None:
        model, samples = make_mion(body, selection="fit"), make_samples(body)
        output, plain = model(IMAGES, samples), make_mion(body, selection="cen")(IMAGES, samples)
        keypoints2d = torch.stack([sample.gt_body.keypoints2d for sample in samples])
        fitted = model.fit(plain.bodies, keypoints2d)
        for name in ("pose", "betas", "transl"):
            assert torch.equal(getattr(output.bodies, name), getattr(fitted, name)), name
        torch.testing.assert_close(output.scores, model.cen(IMAGES, fitted))
        assert not torch.allclose(output.scores, plain.scores, atol=1e-3)
        assert torch.equal(output.selection_scores, fitted.cost)
        assert (output.bodies.fit_loss < plain.bodies.fit_loss).all()
        result = model(IMAGES, samples, mode="predict")[0].pred_bodies
        assert torch.equal(result.fit_cost, fitted.cost[0])
        assert result.selected == fitted.cost[0].argmin()

    def test_no_refiner(self) -> None:
        with pytest.raises(
            ValueError, match=r"refiner is None, expected a mion\.RefinementNetwork .* alone take mion\.Ca"
        ):
            MODELS.build({"type": "mion.MION", "refiner": None, "selection": "first"})

    def test_camera_body_and_convention_are_the_refiners(self, body) -> None:
        model = make_mion(body, selection="fit", refiner={"focal_length": 2500.0, "image_size": 112})
        assert (model.fit.camera, model.fit.convention) == (model.camera, "coco")
        other = {
            "type": "mion.KeypointFit",
            "focal_length": 1000.0,
            "prior": {"type": "mion.StartPrior", "pool_share": 0},
        }
        with pytest.raises(ValueError, match=r"the fit's camera has focal_length 1000\.0 .* the refiner's 5000"):
            make_mion(body, fit=other)

    def test_a_fit_of_another_body_or_order_of_keypoints(self, body) -> None:
        prior, reads = StartPrior(pool_share=0), {"queries": {"keypoints": "coco"}}
        with pytest.raises(ValueError, match="the fit reads 2D keypoints in 'h36m', the refiner in 'coco'"):
            make_mion(body, refiner=reads, fit=KeypointFit(body, prior, convention="h36m"))  # as many of them
        with pytest.raises(ValueError, match=r"the fit's body is .*\(male\).*, the refiner's .*\(neutral\)"):
            make_mion(body, fit=KeypointFit(SMPLBody(gender="male"), prior))
        assert isinstance(make_mion(body, fit=KeypointFit(body, prior)).fit, KeypointFit)

    def test_keypoints_that_are_no_numbers_break_their_own_image_alone(self, body) -> None:
        config = {"type": "mion.KeypointFit", "prior": {"type": "mion.StartPrior", "pool_share": 0}}
        selector = {"type": "mion.CandidateSelector", "pool": make_body_pool(body), "num_candidates": 2}
        model = make_mion(body, selector=selector, fit=config, refiner={"queries": {"keypoints": "coco"}})
        keypoints2d = input_keypoints(make_samples(body), "coco", torch.device("cpu"))
        expected = model.estimate(IMAGES, keypoints2d)
        keypoints2d[0, 3, 0] = torch.nan  # of confidence 1
        output = model.estimate(IMAGES, keypoints2d)
        assert output.candidates.valid.tolist() == [False, True]
        assert output.bodies.pose.isfinite().all()
        assert torch.equal(output.scores[1], expected.scores[1])

    def test_alternatives_stand_beside_the_paths(self, body) -> None:
        model, samples = make_mion(body, selection="fit", alternatives=True), make_samples(body)
        plain = make_mion(body, selection="fit")(IMAGES, samples, mode="predict")
        output = model(IMAGES, samples)
        expected = model.fit.alternatives(output.bodies, output.keypoints2d, output.selected)
        scores = model.cen(IMAGES, expected)
        for row, (result, before) in enumerate(zip(model(IMAGES, samples, mode="predict"), plain, strict=True)):
            assert "alternatives" not in before
            for name, value in before.pred_bodies.items():
                assert torch.equal(result.pred_bodies.get(name), value), name
            others = result.alternatives
            for name in ("pose", "betas", "transl"):
                assert torch.equal(others.get(name), getattr(expected, name)[row])
            assert others.selected == before.pred_bodies.selected
            given, chosen = bodies_to_give(result), int(others.selected)
            assert torch.equal(given.pose, others.pose)
            torch.testing.assert_close(given.scores, scores[row])
            assert torch.equal(given.selection_scores, before.pred_bodies.selection_scores)
            assert torch.equal(given.fit_loss, others.fit_loss)
            torch.testing.assert_close(given.fit_loss[chosen], before.pred_bodies.fit_loss[chosen])
            moved = torch.arange(len(given.fit_loss)) != chosen
            assert (given.fit_loss != before.pred_bodies.fit_loss)[moved].all()
            posed = body(others.pose, others.betas).vertices  # not those of the paths
            torch.testing.assert_close(given.vertices, posed, atol=1e-5, rtol=0)
            assert bodies_to_give(before) is before.pred_bodies

    def test_alternatives_need_a_fit(self, body) -> None:
        model = make_mion(body, alternatives=True)
        assert "alternatives" not in model(IMAGES, make_samples(body), mode="predict")[0]
        with pytest.raises(ValueError, match="alternatives need a fit"):
            model.alternatives(model(IMAGES, make_samples(body)))

    def test_it_has_no_weights(self, body) -> None:
        assert make_mion(body, selection="fit").state_dict().keys() == make_mion(body).state_dict().keys()


def test_one_run_reports_every_way_to_choose(body) -> None:
    model, samples = make_mion(body, selection="cen+reprojection"), make_samples(body, batch=3)
    choosers = ("chosen", "first", "reprojection", "cen", "cen+reprojection")
    metric = MeshMetric(errors=("MPJPE",), choosers=choosers)
    evaluator = Evaluator([metric])
    results = model(make_images(3), samples, mode="predict")
    evaluator.process(data_samples=results)
    report = {name.removeprefix("body/MPJPE/"): value for name, value in evaluator.evaluate(3).items()}
    assert {*choosers, "random", "oracle", "mean"} <= report.keys()
    assert report["chosen"] == report["cen+reprojection"]
    assert report["first"] == report["path_1"]
    one_by_one = make_mion(body, selection="cen")(make_images(3), samples, mode="predict")
    evaluator.process(data_samples=one_by_one)
    assert evaluator.evaluate(3)["body/MPJPE/chosen"] == report["cen"]


class TestParts:
    def test_without_stage_3(self, body) -> None:
        result = make_mion(body, cen=None, selection="first")(IMAGES, make_samples(body), mode="predict")[0]
        assert result.pred_bodies.selected == 0
        assert "scores" not in result.pred_bodies
        assert "combined_scores" not in result.pred_bodies

    def test_another_stage_2(self, body) -> None:
        class Candidates(nn.Module):
            """The bodies, unchanged."""

            def __init__(self) -> None:
                super().__init__()
                self.body, self.camera = body, CropCamera()

            def forward(self, image, candidates, keypoints2d):
                return candidates

        model = MODELS.build(
            {"type": "mion.MION", "selector": None, "refiner": Candidates(), "cen": {"type": "mion.TinyCEN"}}
        )
        samples = make_samples(body)
        result = model(IMAGES, samples, mode="predict")[1].pred_bodies
        vertices = body(samples[1].candidates.pose, transl=samples[1].candidates.transl).vertices
        assert result.selected == model.cen(IMAGES[1:], vertices[None]).argmin()

    def test_the_network_takes_camera_and_body_from_the_refiner(self, body) -> None:
        model = make_mion(body, refiner={"focal_length": 2500.0, "image_size": 112})
        assert (model.cen.focal_length, model.cen.image_size) == (2500.0, 112)
        assert model.cen.body is model.refiner.body is model.body

    def test_the_number_of_candidates_is_a_matter_of_the_test(self, body) -> None:
        selector = {"type": "mion.CandidateSelector", "pool": make_body_pool(body), "num_candidates": 2}
        for count, expected in ((None, 2), (3, 3)):
            model = make_mion(body, selector=selector, num_candidates=count)
            assert model(IMAGES, make_samples(body)).scores.shape == (2, expected)
        with pytest.raises(ValueError, match="num_candidates is 0, expected 1 to 720, the size of the pool"):
            make_mion(body, selector=selector, num_candidates=0)
        partial = {**selector, "type": "mion.PartialSelector", "parts": 3}
        assert make_mion(body, selector=partial, num_candidates=3)(IMAGES, make_samples(body)).scores.shape == (2, 3)
        own = nn.Identity()
        own.keypoints2d_convention = "coco"
        with pytest.raises(
            ValueError, match="num_candidates is 3, but the selector is a Identity, which has no method"
        ):
            make_mion(body, selector=own, num_candidates=3)
        with pytest.raises(ValueError, match="num_candidates is 3, but selector is None: the data provide"):
            make_mion(body, num_candidates=3)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"selection": "best"}, "selection is 'best', expected one of first, reprojection, cen"),
            ({"cen": None}, "selection is 'cen', but cen is None; give the network's config, or selection='first'"),
            ({"cen": None, "selection": "cen+reprojection"}, r"selection is 'cen\+reprojection', but cen is None"),
            ({"cen": None, "selection": "first", "cen_checkpoint": "a.pth"}, "cen_checkpoint is 'a.pth', but cen is"),
            ({"selection": "fit", "fit": None}, r"selection is 'fit', but fit is None; give dict\(type='mion\.Keypoi"),
            ({"reprojection_weight": -1.0}, "reprojection_weight is -1.0, expected a number not below 0"),
            ({"refiner_checkpoint": "none.pth"}, "none.pth does not exist"),
        ],
    )
    def test_bad_options(self, body, options, message) -> None:
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            make_mion(body, **options)

    def test_a_network_with_another_camera(self, body) -> None:
        cen = TinyCEN(1000.0, 224, body)
        cen.camera = CropCamera(1000.0, 224)
        with pytest.raises(ValueError, match=r"the cen's camera has focal_length 1000\.0 .* the refiner's 5000"):
            make_mion(body, cen=cen)

    def test_bad_modes(self, body) -> None:
        model, samples = make_mion(body), make_samples(body)
        with pytest.raises(ValueError, match=r"for testing; train its stages on their own with tools/train\.py"):
            model(IMAGES, samples, mode="loss")
        with pytest.raises(ValueError, match="mode is 'test', expected one of tensor, loss, predict"):
            model(IMAGES, samples, mode="test")
        with pytest.raises(ValueError, match="2 images came with none data samples"):
            model(IMAGES)


class TestCheckpoints:
    def test_parts_load_from_trainings_of_their_own_and_from_the_whole(self, body, tmp_path) -> None:
        trained, samples = make_mion(body, weights_seed=1), make_samples(body)
        expected = trained(IMAGES, samples)
        stage_2 = {f"network.{name}": value for name, value in trained.refiner.state_dict().items()}
        torch.save({"state_dict": stage_2}, tmp_path / "mrt.pth")
        stage_3 = {f"cen.{name}": value for name, value in trained.cen.state_dict().items()}
        torch.save({"state_dict": stage_3}, tmp_path / "cen.pth")
        torch.save({"state_dict": trained.state_dict()}, tmp_path / "whole.pth")
        in_a_host = {f"refiner.{name}": value for name, value in stage_2.items()} | stage_3
        torch.save({"state_dict": in_a_host}, tmp_path / "mmhuman3d.pth")
        for names in (("mrt.pth", "cen.pth"), ("whole.pth", "whole.pth"), ("mmhuman3d.pth", "mmhuman3d.pth")):
            refiner, cen = (tmp_path / name for name in names)
            config = {"type": "mion.MION", "refiner": refiner_config(body), "cen": {"type": "mion.TinyCEN"}}
            config |= {"selector": None, "refiner_checkpoint": refiner, "cen_checkpoint": str(cen)}
            assert_same(MODELS.build(config).eval()(IMAGES, samples), expected)

    def test_a_checkpoint_of_another_model(self, body, tmp_path) -> None:
        torch.save({"state_dict": make_mion(body).cen.state_dict()}, tmp_path / "cen.pth")
        with pytest.raises(ValueError, match=r"cen\.pth is not a checkpoint of this RefinementNetwork: it lacks"):
            make_mion(body, refiner_checkpoint=tmp_path / "cen.pth")

    def test_state_dict_holds_the_two_networks_alone(self, body) -> None:
        names = make_mion(body).state_dict()
        assert {name.split(".")[0] for name in names} == {"refiner", "cen"}
        assert not any("body" in name or "selector" in name for name in names)


class TestVersion01:
    """Configs and checkpoints in which the refiner was a ``mion.MRT`` with the selector inside."""

    @pytest.fixture
    def old_refiner(self, body) -> dict:
        new = refiner_config(body)
        flat = {key: new[key] for key in ("backbone", "neck", "renderer", "transformer", "body")}
        selector = {"type": "mion.CandidateSelector", "pool": make_body_pool(body), "num_candidates": 3}
        flat |= {"rotation": "residual", "candidate_in_queries": True, "selector": selector}
        return {"type": "mion.MRT", "train_candidates": 2, **flat}

    def test_an_old_config_builds_the_same_model_and_says_what_is_new(self, body, old_refiner) -> None:
        cen = {"type": "mion.TinyCEN"}
        torch.manual_seed(0)
        with pytest.warns(FutureWarning) as warned:
            old = MODELS.build({"type": "mion.MION", "refiner": old_refiner, "cen": cen}).eval()
        told = " ".join(str(warning.message) for warning in warned)
        assert "refiner.selector is selector now" in told
        assert "rotation is network.head.rotation" in told
        torch.manual_seed(0)
        new = {"type": "mion.MION", "selector": old_refiner["selector"], "refiner": refiner_config(body), "cen": cen}
        samples = make_samples(body)
        assert_same(old(IMAGES, samples), MODELS.build(new).eval()(IMAGES, samples))

    def test_an_old_option_changes_the_new_place(self, body) -> None:
        selector = {"type": "mion.CandidateSelector", "pool": make_body_pool(body), "num_candidates": 3}
        config = {"type": "mion.MION", "selector": selector, "refiner": refiner_config(body), "selection": "first"}
        config["refiner"]["selector"] = {"num_candidates": 2}  # as --cfg-options model.refiner.selector... leaves it
        with pytest.warns(FutureWarning, match=r"refiner\.selector is selector now"):
            assert MODELS.build(config).selector.num_candidates == 2

    def test_old_options_of_the_network_change_the_new_place(self, body) -> None:
        config = {"type": "mion.MION", "selector": None, "refiner": refiner_config(body), "selection": "first"}
        config["refiner"] |= {"rotation": "absolute"}  # as --cfg-options model.refiner.rotation=absolute leaves it
        with pytest.warns(FutureWarning, match=r"rotation is network\.head\.rotation"):
            assert MODELS.build(config).refiner.head.rotation == "absolute"

    def test_a_misspelt_option_is_no_option(self, body, old_refiner) -> None:
        old_refiner["rotations"] = "residual"
        with pytest.warns(FutureWarning), pytest.raises(TypeError, match="unexpected keyword argument 'rotations'"):
            MODELS.build({"type": "mion.MION", "refiner": old_refiner, "selection": "first"})

    def test_a_whole_models_checkpoint_loads(self, body, tmp_path) -> None:
        trained = make_mion(body, weights_seed=1)
        old = {
            name.replace("refiner.", "refiner.network.") if name.startswith("refiner.") else name: value
            for name, value in trained.state_dict().items()
        }
        torch.save({"state_dict": old}, tmp_path / "whole.pth")
        by_name, by_file = make_mion(body), make_mion(body)
        by_name.load_state_dict(old)
        load_part(by_file, tmp_path / "whole.pth")
        for model in (by_name, by_file):
            for name, value in trained.state_dict().items():
                assert torch.equal(model.state_dict()[name], value), name


class TestDevices:
    @pytest.mark.parametrize("selection", ["cen", "first", "cen+reprojection", "random"])
    def test_forward_stays_on_its_device(self, body, selection) -> None:
        """All but the selector, whose shortlist's length fake tensors cannot know; see tests/candidates."""
        model, samples = make_mion(SMPLBody(), selection=selection), make_samples(body)
        keypoints2d = torch.stack([sample.gt_body.keypoints2d for sample in samples])
        pose, transl = (torch.stack([sample.candidates.get(key) for sample in samples]) for key in ("pose", "transl"))
        model(IMAGES, samples)  # builds what is made on first use
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            become_fake(model)

            def fake(value: Tensor) -> Tensor:
                return mode.from_tensor(value).to("cuda")

            valid, pncc = fake(torch.ones(2, dtype=torch.bool)), fake(torch.zeros(2, 4, 3, 8, 8))
            candidates = Bodies.with_mean_shape(fake(pose), fake(transl), valid=valid, pncc=pncc)
            output = model.estimate(fake(IMAGES), fake(keypoints2d), candidates, Labels(samples))
        for values in (output, output.bodies):
            for name, value in vars(values).items():
                if isinstance(value, Tensor):
                    assert value.device.type == "cuda", name

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_a_gpu_gives_what_a_cpu_gives(self, body) -> None:
        samples = make_samples(body)
        for selection in RULES:
            model = make_mion(SMPLBody(), selection=selection)
            expected = model(IMAGES, samples)
            output = model.to("cuda")(IMAGES.to("cuda"), samples)
            for name in CHOICE:
                torch.testing.assert_close(getattr(output, name).cpu(), getattr(expected, name), rtol=1e-2, atol=1e-3)


def assert_same(output: MIONOutput, expected: MIONOutput) -> None:
    """Bit for bit."""
    for name in CHOICE:
        assert torch.equal(getattr(output, name), getattr(expected, name)), name
    for name in ("pose", "betas", "transl", "fit_loss"):
        assert torch.equal(getattr(output.bodies, name), getattr(expected.bodies, name)), name
