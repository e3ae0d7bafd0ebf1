from __future__ import annotations

import pytest
import torch
from support.tiny_mion import make_body_pool, make_mion, make_samples

from mion_plugin.bodies import Bodies
from mion_plugin.body.depths import body_depths
from mion_plugin.candidates import CandidateSelector
from mion_plugin.consistency import DepthReaderTraining, DepthReading
from mion_plugin.consistency.reading.frozen_bodies import FrozenBodies
from mion_plugin.consistency.reading.losses import laplace_loss
from mion_plugin.evaluation import DepthMetric
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.samples import collect_targets, input_keypoints

PLAIN = {"detected": 1.0, "noise": 0.0, "drop": 0.0, "drop_all": 0.0, "grey": 0.0}


@pytest.fixture
def make_training(make_consistency):
    def make(**inputs) -> DepthReaderTraining:
        return DepthReaderTraining(make_consistency(), inputs={**PLAIN, **inputs}).eval()

    return make


class TestLoss:
    def test_is_the_laplace_likelihood_of_the_true_depths(self, make_training, body, images, samples) -> None:
        model = make_training()
        losses = model(images, samples, "loss")
        targets = collect_targets(samples, images.device)
        true = body_depths(body, targets.rotations, targets.betas, "coco")
        reading = model(images, samples)
        density = torch.distributions.Laplace(reading.depths, reading.errors)
        torch.testing.assert_close(losses["loss_depth"], -density.log_prob(true).mean())
        torch.testing.assert_close(losses["depth_error"], 1000 * (reading.depths - true).abs().mean())
        torch.testing.assert_close(losses["stated_error"], 1000 * reading.errors.mean())
        assert not losses["depth_error"].requires_grad

    def test_counts_labelled_samples_alone(self, make_training, images, samples) -> None:
        model = make_training()
        one = model(images[:1], samples[:1], "loss")
        samples[1].gt_body.has_smpl = torch.tensor(0)
        torch.testing.assert_close(model(images, samples, "loss"), one)
        samples[0].gt_body.has_smpl = torch.tensor(0)
        losses = model(images, samples, "loss")
        assert {name: float(value) for name, value in losses.items()} == dict.fromkeys(losses, 0.0)
        losses["loss_depth"].backward()
        assert all(parameter.grad.abs().sum() == 0 for parameter in model.parameters())

    def test_gets_no_gradient_from_nonsense_without_label(self) -> None:
        depths, errors = torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
        true = torch.stack([torch.ones(3), torch.full((3,), torch.nan)])
        laplace_loss(DepthReading(depths, errors), true, torch.tensor([True, False])).backward()
        assert depths.grad.isfinite().all()
        assert (depths.grad[1] == 0).all()
        assert (errors.grad[1] == 0).all()

    @pytest.mark.parametrize(("inputs", "picture"), [({"drop_all": 1.0}, True), ({"grey": 1.0}, False)])
    def test_reaches_the_picture_unless_it_is_grey(self, make_training, images, samples, inputs, picture) -> None:
        images.requires_grad_(True)
        make_training(**inputs)(images, samples, "loss")["loss_depth"].backward()
        assert bool(images.grad.abs().sum() > 0) == picture

    def test_falls(self, make_training, images, samples) -> None:
        model = make_training().train()
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        values = []
        for _ in range(60):
            losses = model(images, samples, "loss")
            optimizer.zero_grad()
            losses["loss_depth"].backward()
            optimizer.step()
            values.append(float(losses["loss_depth"]))
        assert values[-1] < values[0] - 1.0


class TestPredictions:
    def test_hold_readings_of_all_inputs(self, make_training, images, samples) -> None:
        model = make_training()
        predicted = [sample.pred_depths for sample in model(images, samples, "predict")]
        reading = model(images, samples)
        for row, element in enumerate(predicted):
            torch.testing.assert_close(element.depths, reading.depths[row])
            torch.testing.assert_close(element.errors, reading.errors[row])
        torch.testing.assert_close(predicted[0].depths_grey, model(0 * images, samples).depths[0])
        for sample in samples:
            sample.gt_body.keypoints2d = torch.zeros(17, 3)
        torch.testing.assert_close(predicted[0].depths_image, model(images, samples).depths[0])
        assert "pred_depths" not in samples[0]

    def test_without_truth_are_left_out_of_the_metric(self, make_training, images, body) -> None:
        model, samples = make_training(), make_samples(body)
        samples[1].gt_body.has_smpl = torch.tensor(0)
        metric = DepthMetric()
        metric.process(None, [sample.to_dict() for sample in model(images, samples, "predict")])
        report = metric.compute_metrics(metric.results)
        assert report["num_samples"] == 1
        losses = model(images[:1], samples[:1], "loss")
        assert report["error"] == pytest.approx(float(losses["depth_error"]), rel=1e-5)
        assert {"error/grey", "error/image", "calibration", "calibration/grey", "calibration/image"} < set(report)
        with pytest.raises(ValueError, match="no sample has true_depths"):
            metric.compute_metrics([])

    def test_a_samplers_repeats_do_not_count(self, make_training, images, body) -> None:
        """Dealing out evenly to processes repeats samples at the end; the evaluator cuts them off by their number."""
        model, samples = make_training(), make_samples(body)
        samples[1].gt_body.has_smpl = torch.tensor(0)
        metric = DepthMetric()
        predicted = [sample.to_dict() for sample in model(images, samples, "predict")]
        metric.process(None, [*predicted, predicted[0]])
        assert metric.evaluate(size=len(samples))["depth/num_samples"] == 1


def test_other_conventions_of_the_data(make_training, images, samples) -> None:
    """Keypoints convert by name, both those that stage 1 sees and the true ones."""
    model = make_training(detected=0.5, noise=0.01)
    torch.manual_seed(0)
    expected = model(images, samples, "loss")
    for sample in samples:
        sample.set_metainfo({"keypoints2d_convention": "human_data"})
        sample.gt_body.keypoints2d = convert_keypoints(sample.gt_body.keypoints2d, "coco", "human_data")[0]
    torch.manual_seed(0)
    torch.testing.assert_close(model(images, samples, "loss"), expected)


def test_an_unknown_mode(make_training, images, samples) -> None:
    with pytest.raises(ValueError, match="mode is 'test'"):
        make_training()(images, samples, "test")


def test_the_model_is_what_mion_looks_for(make_training) -> None:
    names = set(make_training().state_dict())
    assert {"cen.calibration_slope", "cen.calibration_offset", "cen.reader.from_image.weight"} < names
    assert all(name.startswith("cen.") for name in names)


class TestBodies:
    """A reader that also learns from the bodies of stages 1 and 2."""

    @pytest.fixture
    def model(self, make_consistency, body) -> DepthReaderTraining:
        model = DepthReaderTraining(make_consistency(reader={"own_depths": True}), inputs=PLAIN).eval()
        model._bodies = _GivenBodies(body)
        return model

    def test_the_loss_is_the_mean_over_none_and_each(self, model, images, samples) -> None:
        torch.nn.init.normal_(model.reader.out.weight, std=0.1)
        losses = model(images, samples, "loss")
        targets = collect_targets(samples, images.device)
        true = body_depths(model.cen.body, targets.rotations, targets.betas, "coco")
        bodies = model._bodies(images, None)
        own, places = model.cen.depths(bodies), model.cen.project(bodies)
        readings = [model(images, samples), *(model.reader(images, places[:, n], own[:, n]) for n in range(2))]
        expected = [-torch.distributions.Laplace(each.depths, each.errors).log_prob(true).mean() for each in readings]
        torch.testing.assert_close(losses["loss_depth"], sum(expected) / 3)
        torch.testing.assert_close(losses["own_error"], 1000 * (own[:, 0] - true).abs().mean())
        torch.testing.assert_close(losses["corrected_error"], 1000 * (readings[1].depths - true).abs().mean())

    def test_a_model_gives_them_from_the_keypoints(self, body, images, samples) -> None:
        whole = make_mion(
            body, selection="first", selector=CandidateSelector(pool=make_body_pool(body), num_candidates=4)
        )
        frozen = FrozenBodies({"type": "mion.MION", "refiner": whole.refiner, "selector": whole.selector}, 2)
        keypoints2d = input_keypoints(samples, frozen.model.keypoints2d_convention, images.device)
        torch.manual_seed(0)
        bodies = frozen(images, keypoints2d)
        every = whole.estimate(images, keypoints2d).bodies
        assert bodies.transl.shape == (2, 2, 3)
        apart = (bodies.pose[:, :, None] - every.pose[:, None]).abs().amax(dim=(3, 4, 5))
        assert (apart.amin(dim=2) < 1e-5).all()  # each is one of all
        assert not any(weight.requires_grad for weight in frozen.model.parameters())

    def test_at_least_one(self) -> None:
        with pytest.raises(ValueError, match="num_bodies is 0, expected at least 1"):
            FrozenBodies({}, 0)


class _GivenBodies:
    """Two bodies of each image, whatever is asked."""

    def __init__(self, body) -> None:
        self.body = body

    def __call__(self, image, keypoints2d) -> Bodies:
        generator = torch.Generator().manual_seed(4)
        pose = 0.2 * torch.randn(len(image), 2, 24, 3, generator=generator)
        pose[..., 0, 0] += torch.pi
        return Bodies.with_mean_shape(pose, torch.tensor([0.0, 0.2, 45.0]).repeat(len(image), 2, 1))
