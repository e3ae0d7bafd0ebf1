from __future__ import annotations

import copy
import math

import pytest
import torch
from support.fake_tensors import become_fake
from support.tiny_mion import make_mion, make_samples
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.body import SMPLBody
from mion_plugin.consistency import DepthReaderTraining
from mion_plugin.consistency.reading.locator import (
    KeypointLocator,
    KeypointReading,
    LocatorEvidence,
    corrected_keypoints,
    heat_loss,
    location_loss,
)
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.samples import input_keypoints

READER = {"locator": {"width": 12, "hidden": 16}}
CAMERA = CropCamera(5000.0, 224)


@pytest.fixture
def locator() -> KeypointLocator:
    torch.manual_seed(0)
    return KeypointLocator(3, (4, 6), width=12, hidden=16).eval()


def one_place(heat, spread, place):
    """Mean of heat (h, w) times a Gaussian around a place (2,) or times nothing, by a loop over the pixels."""
    total, mean = 0.0, [0.0, 0.0]
    height, width = heat.shape
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5) * 2 / width - 1, (row + 0.5) * 2 / height - 1
            logit = float(heat[row, column])
            if place is not None:
                logit -= ((x - float(place[0])) ** 2 + (y - float(place[1])) ** 2) / (2 * spread**2)
            weight = math.exp(logit)
            total, mean = total + weight, [mean[0] + weight * x, mean[1] + weight * y]
    return torch.tensor(mean) / total


class TestPlaces:
    def test_are_the_detectors_before_anything_is_learned(self, locator) -> None:
        maps = [torch.randn(2, 4, 28, 28), torch.randn(2, 6, 14, 14)]
        places = 1.4 * torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(0)) - 0.7
        reading = locator(locator.look(maps), places, torch.full((2, 3), 0.8))
        torch.testing.assert_close(reading.places, places, atol=0.005, rtol=0)

    def test_are_the_mean_of_picture_times_detector(self, locator) -> None:
        torch.manual_seed(1)
        heat, places = 2 * torch.randn(1, 3, 7, 9), torch.rand(1, 3, 2) - 0.5
        confidence = torch.tensor([[0.9, 0.4, 0.0]])
        with torch.no_grad():
            locator.log_spread.copy_(torch.tensor([math.log(0.3), 0.5]))
            found = locator(LocatorEvidence(heat, torch.zeros(1, 3, 7, 9)), places, confidence).places[0]
        for index, sure in enumerate(confidence[0].tolist()):
            expected = one_place(heat[0, index], 0.3 * math.exp(-0.5 * sure) + 0.02, places[0, index] if sure else None)
            torch.testing.assert_close(found[index], expected, atol=1e-4, rtol=0)

    def test_of_absent_keypoints_do_not_depend_on_where_they_are_said_to_be(self, locator) -> None:
        evidence = locator.look([torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)])
        confidence = torch.tensor([[0.9, 0.0, 0.7]])
        places = torch.rand(1, 3, 2)
        moved = places.clone()
        moved[0, 1] = torch.tensor([5.0, torch.nan])
        found, expected = locator(evidence, moved, confidence), locator(evidence, places, confidence)
        assert torch.equal(found.places, expected.places)
        assert torch.equal(found.errors, expected.errors)

    def test_go_into_keypoints_that_are_present(self) -> None:
        keypoints2d = torch.tensor([[[10.0, 20.0, 0.7], [5.0, 6.0, 0.0]]])
        reading = KeypointReading(torch.tensor([[[0.0, -0.5], [0.1, 0.1]]]), torch.ones(1, 2), torch.zeros(1, 2, 4, 4))
        corrected = corrected_keypoints(reading, keypoints2d, CAMERA)
        assert torch.equal(corrected, torch.tensor([[[112.0, 56.0, 0.7], [5.0, 6.0, 0.0]]]))
        keypoints2d[0, 0, 1] = torch.nan  # no place, whatever the confidence: stage 1 must see that
        assert torch.equal(corrected_keypoints(reading, keypoints2d, CAMERA).isnan(), keypoints2d.isnan())


class TestLosses:
    def test_of_places_is_the_likelihood_up_to_a_constant(self) -> None:
        """exp(-r / b) / (2 pi b^2) integrates to 1 over the plane, and r is 2 b on average."""
        line = torch.linspace(-4, 4, 801)
        grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).flatten(0, 1)
        reading = KeypointReading(torch.tensor([[[0.2, -0.1]]]), torch.tensor([[0.6]]), torch.zeros(1, 1, 2, 2))
        yes = torch.ones(1, 1, dtype=torch.bool)
        values = torch.stack([location_loss(reading, place[None, None], yes) for place in grid[::97]])
        distance = (grid[::97] - torch.tensor([0.2, -0.1])).norm(dim=-1)
        density = (-distance / 0.3).exp() / (2 * math.pi * 0.3**2)
        torch.testing.assert_close(values, -density.log() - math.log(2 * math.pi), atol=2e-3, rtol=0)
        distance = (grid - torch.tensor([0.2, -0.1])).norm(dim=-1)
        density = (-distance / 0.3).exp() / (2 * math.pi * 0.3**2) * 0.01**2
        assert float(density.sum()) == pytest.approx(1.0, abs=0.01)
        assert float((density * distance).sum()) == pytest.approx(0.6, abs=0.01)

    def test_of_heat_is_least_where_its_mean_is_the_place(self) -> None:
        place = torch.tensor([[[0.13, -0.41]]])
        heat = torch.zeros(1, 1, 8, 8, requires_grad=True)
        yes = torch.ones(1, 1, dtype=torch.bool)
        optimizer = torch.optim.Adam([heat], lr=0.3)
        for _ in range(300):
            optimizer.zero_grad()
            heat_loss(heat, place, yes).backward()
            optimizer.step()
        evidence = LocatorEvidence(heat.detach(), torch.zeros(1, 3, 8, 8))
        reading = KeypointLocator(1, (4,), width=12)(evidence, torch.zeros(1, 1, 2), torch.zeros(1, 1))
        torch.testing.assert_close(reading.places.detach(), place, atol=0.01, rtol=0)

    def test_count_labelled_keypoints_alone(self) -> None:
        reading = KeypointReading(torch.rand(2, 3, 2, requires_grad=True), torch.ones(2, 3), torch.rand(2, 3, 4, 4))
        places = torch.rand(2, 3, 2)
        labelled = torch.tensor([[True, False, True], [False, False, False]])
        wrong = torch.where(labelled[..., None], places, torch.nan)
        for loss in (location_loss(reading, wrong, labelled), heat_loss(reading.heat, wrong, labelled)):
            assert loss.isfinite()
        location_loss(reading, wrong, labelled).backward()
        assert (reading.places.grad[~labelled] == 0).all()
        nobody = torch.zeros_like(labelled)
        assert float(location_loss(reading, wrong, nobody)) == float(heat_loss(reading.heat, wrong, nobody)) == 0.0


def test_learns_to_go_where_the_picture_shows_a_keypoint() -> None:
    """And to stay, and to say so, where there is no picture."""
    torch.manual_seed(0)
    locator = KeypointLocator(17, (17,), width=24, hidden=32)
    optimizer = torch.optim.Adam(locator.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=200)
    rows = (torch.arange(14) + 0.5) / 7 - 1
    yes = torch.ones(16, 17, dtype=torch.bool)

    def read():
        true = 1.4 * torch.rand(16, 17, 2) - 0.7
        down, across = (rows - true[..., 1:]).square(), (rows - true[..., :1]).square()
        picture = (-(down[..., :, None] + across[..., None, :]) / (2 * 0.15**2)).exp()
        picture[8:] = 0.0
        detected = true + 0.08 * torch.randn(16, 17, 2)
        return true, detected, locator(locator.look([picture]), detected, yes.float())

    for _ in range(200):
        true, _, reading = read()
        loss = location_loss(reading, true, yes) + heat_loss(reading.heat, true, yes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        true, detected, reading = read()
    before, after = (detected - true).norm(dim=-1), (reading.places - true).norm(dim=-1)
    assert after[:8].mean() < 0.5 * before[:8].mean()
    assert after[8:].mean() == pytest.approx(float(before[8:].mean()), rel=0.15)
    for part in (slice(8), slice(8, None)):
        assert reading.errors[part].mean() == pytest.approx(float(after[part].mean()), rel=0.3)


class TestInTheReader:
    def test_corrects_keypoints(self, make_consistency, images, keypoints2d) -> None:
        consistency = make_consistency(reader=READER)
        nn.init.normal_(consistency.reader.locator.heat.weight)
        seen, keypoints2d = consistency.look(images), keypoints2d[:, 0]
        corrected = consistency.correct_keypoints(seen, keypoints2d)
        present = keypoints2d[..., 2] > 0
        assert torch.equal(corrected[..., 2], keypoints2d[..., 2])
        assert torch.equal(corrected[~present], keypoints2d[~present])
        assert (corrected - keypoints2d)[present][:, :2].abs().max() > 0.1
        one = consistency.correct_keypoints(consistency.look(images[1:]), keypoints2d[1:])
        torch.testing.assert_close(one, corrected[1:])

    def test_scores_are_the_same_by_what_has_been_seen(self, make_consistency, images, bodies) -> None:
        consistency = make_consistency(reader=READER)
        torch.testing.assert_close(consistency(images, bodies, consistency.look(images)), consistency(images, bodies))

    def test_is_asked_for_what_it_lacks(self, make_consistency, images, keypoints2d) -> None:
        consistency = make_consistency()
        assert not consistency.corrects_keypoints
        with pytest.raises(ValueError, match="this reader does not correct keypoints: give it a locator"):
            consistency.correct_keypoints(consistency.look(images), keypoints2d[:, 0])

    def test_is_trained_with_it(self, make_consistency, images, samples) -> None:
        torch.manual_seed(0)
        model = DepthReaderTraining(make_consistency(reader=READER), errors={"noise": 6.0}).train()
        losses = model(images, samples, "loss")
        assert {"loss_depth", "loss_location", "loss_heat"} <= losses.keys()
        sum(value for name, value in losses.items() if name.startswith("loss")).backward()
        for name, parameter in model.reader.locator.named_parameters():
            assert parameter.grad is not None, name
        assert float(losses["detected_mean"]) > 2.0

    def test_sees_no_keypoints_that_are_not_annotated(self, make_consistency, images, samples, monkeypatch) -> None:
        model, seen = DepthReaderTraining(make_consistency(reader=READER), errors={"missing_prob": 0.0}).train(), []
        samples = copy.deepcopy(samples)
        for sample in samples:
            sample.gt_body.keypoints2d[:5] = 0  # as of joints that a data set's convention lacks
        locate = model.reader.locate
        monkeypatch.setattr(model.reader, "locate", lambda *args: locate(*args[:1], seen.append(args[1]) or args[1]))
        for _ in range(4):
            model(images, samples, "loss")
        confidence = torch.cat(seen)[..., 2]
        assert (confidence[:, :5] == 0).all()
        assert (confidence[:, 5:] > 0).any()

    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, make_consistency, images, keypoints2d) -> None:
        consistency, shape = make_consistency(reader=READER, body=SMPLBody()), keypoints2d[:, 0].shape
        with FakeTensorMode():
            become_fake(consistency)
            image, given = torch.empty(images.shape, device="cuda"), torch.empty(shape, device="cuda")
            assert consistency.correct_keypoints(consistency.look(image), given).device.type == "cuda"


class TestInMION:
    @pytest.fixture
    def config(self):
        reader = {"backbone": {"type": "mion.TinyBackbone"}, "map_size": 4, "coarse_channels": 5, "hidden": (24, 16)}
        return {"type": "mion.DepthConsistency", "reader": {**reader, **READER}}

    def test_all_stages_read_the_corrected_keypoints(self, body, images, config) -> None:
        options = {"cen": config, "selection": "cen+reprojection", "fit": {"type": "mion.KeypointFit"}}
        options["refiner"] = {"queries": {"candidate": True, "keypoints": "coco"}}
        model, samples = make_mion(body, correct_keypoints=True, **options), make_samples(body)
        plain = make_mion(body, **options)
        for each in (model, plain):
            torch.manual_seed(3)
            nn.init.normal_(each.cen.reader.locator.out.weight)
        given = input_keypoints(samples, "coco", torch.device("cpu"))
        output = model(images, samples)
        corrected = model.cen.correct_keypoints(model.cen.look(images), given)
        assert (corrected - given).abs().max() > 1.0
        torch.testing.assert_close(output.keypoints2d, corrected)
        read = [result.keypoints2d_read for result in model(images, samples, mode="predict")]
        torch.testing.assert_close(torch.stack(read), corrected)
        expected = plain.estimate(images, corrected, output.candidates)
        torch.testing.assert_close(output.bodies.pose, expected.bodies.pose, atol=1e-4, rtol=0)
        torch.testing.assert_close(output.combined_scores, expected.combined_scores, atol=1e-4, rtol=1e-4)
        uncorrected = plain.estimate(images, given, output.candidates)
        assert (uncorrected.bodies.pose - output.bodies.pose).abs().max() > 1e-3

    def test_needs_a_third_stage_that_can(self, body, config) -> None:
        with pytest.raises(ValueError, match=r"correct_keypoints is set, but cen is a TinyCEN that corrects none"):
            make_mion(body, correct_keypoints=True)
        with pytest.raises(ValueError, match=r"correct_keypoints is set, but cen is None; expected a mion\.DepthCons"):
            make_mion(body, cen=None, selection="first", correct_keypoints=True)
        config["reader"]["convention"] = "h36m"
        with pytest.raises(ValueError, match=r"corrects 2D keypoints in 'h36m', the other stages read 'coco'"):
            make_mion(body, cen=config, correct_keypoints=True)


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match=r"width 0, hidden 384: expected at least 1 each"):
        KeypointLocator(17, (8,), width=0)
    with pytest.raises(ValueError, match=r"map_channels \(\)"):
        KeypointLocator(17, ())
