from __future__ import annotations

import math

import pytest
import torch
from support.fake_tensors import become_fake
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from mion_plugin.consistency.reading.network import LARGEST_ERROR, SMALLEST_ERROR
from mion_plugin.registry import MODELS

FIELDS = ("depths", "errors")


def plain_reading(reader, image, keypoints2d):
    """One person, one loop: the network as it would be written without sharing anything."""
    fine, coarse = reader.backbone(image[None])
    flat = torch.einsum("oc,chw->ohw", reader.coarse.weight[:, :, 0, 0], coarse[0]) + reader.coarse.bias[:, None, None]
    fine = torch.einsum("oc,chw->ohw", reader.fine.weight[:, :, 0, 0], fine[0]) + reader.fine.bias[:, None, None]
    rows = []
    for x, y, confidence in keypoints2d.tolist():
        row = torch.zeros(len(fine) + 3)
        if confidence > 0:
            place = torch.tensor([x / 112 - 1, y / 112 - 1])
            sampled = functional.grid_sample(fine.relu()[None], place.view(1, 1, 1, 2), align_corners=False)
            row = torch.cat([sampled.flatten(), place, torch.tensor([confidence])])
        rows.append(row)
    weight = torch.cat([reader.from_image.weight, reader.from_keypoints.weight], dim=1)
    first = weight @ torch.cat([flat.relu().flatten(), *rows]) + reader.from_image.bias
    out = reader.out(reader.hidden(first.relu()).relu()).view(2, 17)
    low, high = math.log(SMALLEST_ERROR), math.log(LARGEST_ERROR)
    return out[0] - (out[0, 11] + out[0, 12]) / 2, (low + (high - low) * out[1].sigmoid()).exp()


class TestReading:
    def test_is_that_of_a_plain_loop(self, make_reader, images, keypoints2d) -> None:
        reader = make_reader()
        reading = reader(images, keypoints2d)
        assert reading.depths.shape == reading.errors.shape == (2, 4, 17)
        for image in range(2):
            for body in range(4):
                depths, errors = plain_reading(reader, images[image], keypoints2d[image, body])
                torch.testing.assert_close(reading.depths[image, body], depths, atol=1e-5, rtol=1e-4)
                torch.testing.assert_close(reading.errors[image, body], errors, atol=1e-5, rtol=1e-4)

    def test_of_one_does_not_depend_on_the_others(self, make_reader, images, keypoints2d) -> None:
        reader = make_reader()
        whole = reader(images, keypoints2d)
        order = torch.tensor([2, 0, 3, 1])
        for name in FIELDS:
            value = getattr(whole, name)
            alone = getattr(reader(images[1:], keypoints2d[1:, 2]), name)
            torch.testing.assert_close(alone, value[1:, 2], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(getattr(reader(images, keypoints2d[:, order]), name), value[:, order])

    def test_looks_at_each_image_once(self, make_reader, images, keypoints2d) -> None:
        reader, calls = make_reader(), []
        reader.backbone.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
        reader(images, keypoints2d)
        assert calls == [2]

    def test_of_a_large_batch_goes_in_blocks_but_for_training(self, make_reader) -> None:
        reader, calls = make_reader(locator={"width": 8, "hidden": 16}), []
        nn.init.normal_(reader.locator.heat.weight)
        reader.backbone.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
        images = torch.randn(450, 3, 32, 32, generator=torch.Generator().manual_seed(4))
        with torch.no_grad():
            found, whole = reader.eval().look(images), reader.train().look(images)
        assert calls == [196, 196, 58, 450]  # 16 images of 112 px have the pixels of 196 of 32
        torch.testing.assert_close(found.context, whole.context, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.fine, whole.fine, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.located.heat, whole.located.heat, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.located.features, whole.located.features, atol=1e-5, rtol=1e-4)

    def test_depends_on_picture_and_keypoints(self, make_reader, images, keypoints2d) -> None:
        reader = make_reader()
        reading = reader(images, keypoints2d).depths
        for other in (reader(images.flip(0), keypoints2d), reader(images, keypoints2d.flip(1))):
            assert (other.depths - reading).abs().mean() > 1e-4

    def test_is_relative_to_the_hips(self, make_reader, images, keypoints2d) -> None:
        depths = make_reader()(images, keypoints2d).depths
        torch.testing.assert_close(depths[..., [11, 12]].sum(dim=-1), torch.zeros(2, 4), atol=1e-6, rtol=0)

    def test_absent_keypoints_say_nothing_but_that(self, make_reader, images, keypoints2d) -> None:
        reader = make_reader()
        absent = keypoints2d[..., 2] == 0
        nonsense = keypoints2d.clone()
        nonsense[absent] = torch.tensor([float("nan"), float("inf"), 0.0])
        for name in FIELDS:
            assert torch.equal(getattr(reader(images, nonsense), name), getattr(reader(images, keypoints2d), name))
        nonsense[absent] = torch.tensor([float("nan"), 50.0, 1.0])  # absent, too: there is no such place
        for name in FIELDS:
            assert torch.equal(getattr(reader(images, nonsense), name), getattr(reader(images, keypoints2d), name))
        nonsense[absent] = torch.nan
        assert reader(images, nonsense).depths.isfinite().all()

    @pytest.mark.parametrize("grey", [False, True])
    @pytest.mark.parametrize("scale", [0.0, 1e6])
    def test_is_finite_for_any_input(self, make_reader, images, keypoints2d, grey, scale) -> None:
        reader = make_reader()
        with torch.no_grad():
            reader.out.weight.mul_(1e4)
        keypoints2d = torch.cat([scale * keypoints2d[..., :2], keypoints2d[..., 2:] * (scale > 0)], dim=-1)
        reading = reader(0 * images if grey else images, keypoints2d)
        assert reading.depths.isfinite().all()
        assert (reading.errors >= SMALLEST_ERROR * 0.999).all()
        assert (reading.errors <= LARGEST_ERROR * 1.001).all()

    def test_teaches_every_parameter(self, make_reader, images, keypoints2d) -> None:
        reader = make_reader()
        reading = reader(images, keypoints2d)
        (reading.depths.square().sum() + reading.errors.sum()).backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in reader.parameters())

    def test_in_bfloat16_is_about_the_same(self, make_reader, images, keypoints2d) -> None:
        reading, other = (make_reader(bfloat16_features=half)(images, keypoints2d).depths for half in (False, True))
        assert other.dtype == torch.float32
        torch.testing.assert_close(other, reading, atol=2e-2, rtol=0)

    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, make_reader, images, keypoints2d) -> None:
        reader = make_reader()
        with FakeTensorMode():
            become_fake(reader)
            reading = reader(torch.empty(images.shape, device="cuda"), torch.empty(keypoints2d.shape, device="cuda"))
            assert reading.depths.device.type == reading.errors.device.type == "cuda"


class TestParts:
    def test_a_backbone_with_one_map(self, make_reader, images, keypoints2d) -> None:
        reader = make_reader(backbone={"type": "mion.TinyBackbone"})
        assert reader.feature_channels == (16, 16)
        assert reader(images, keypoints2d).depths.shape == (2, 4, 17)

    def test_channels_may_be_given(self, make_reader, images, keypoints2d) -> None:
        class Silent(nn.Module):
            def forward(self, image):
                return image[:, :, ::4, ::4], image[:, :, ::8, ::8]

        assert make_reader(backbone=Silent(), feature_channels=(3, 3))(images, keypoints2d).depths.isfinite().all()
        with pytest.raises(ValueError, match="feature_channels must tell"):
            make_reader(backbone=Silent())
        with pytest.raises(ValueError, match=r"maps are \(3, 8, 8\) and \(3, 4, 4\).*\(4, h, w\) and \(3, 4, 4\)"):
            make_reader(backbone=Silent(), feature_channels=(4, 3))(images, keypoints2d)

    def test_the_locator_asks_for_all_channels(self, make_reader) -> None:
        class Silent(nn.Module):
            def forward(self, image):
                return image[:, :, ::4, ::4], image[:, :, ::8, ::8]

        with pytest.raises(
            ValueError, match=r"locator reads all maps .*does not tell their channels: .*attribute channels"
        ):
            make_reader(backbone=Silent(), feature_channels=(3, 3), locator={})
        told = Silent()
        told.channels = [3, 3]
        assert len(make_reader(backbone=told, feature_channels=(3, 3), locator={}).locator.lateral) == 2

    def test_maps_that_there_are_not(self, make_reader) -> None:
        told = nn.Identity()
        told.channels = (3, 5)
        assert make_reader(backbone=told).feature_channels == (3, 5)
        with pytest.raises(ValueError, match="map_indices has 2, but the backbone has 2 maps"):
            make_reader(backbone=told, map_indices=(0, 2))

    def test_another_convention(self, make_reader, images) -> None:
        reader = make_reader(convention="h36m")
        assert reader(images, torch.ones(2, 17, 3)).depths.shape == (2, 17)

    def test_is_registered(self) -> None:
        assert MODELS.get("mion.DepthReader") is not None

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"map_indices": (0,)}, r"map_indices is \(0,\)"),
            ({"hidden": (8, 0)}, "hidden is 0"),
            ({"map_size": 0}, "map_size is 0"),
            ({"fine_channels": -1}, "fine is -1"),
            ({"feature_channels": (1, 2, 3)}, r"feature_channels is \(1, 2, 3\)"),
            ({"convention": "nothing"}, "unknown keypoint convention"),
            ({"image_size": 0}, "image_size is 0"),
        ],
    )
    def test_wrong_options(self, make_reader, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            make_reader(**options)

    @pytest.mark.parametrize(
        ("image", "points", "message"),
        [
            ((2, 1, 32, 32), (2, 17, 3), "expected normalised floats"),
            ((2, 3, 32, 32), (2, 16, 3), "keypoints2d has shape"),
            ((2, 3, 32, 32), (3, 17, 3), "keypoints2d has shape"),
            ((2, 3, 32, 32), (17, 3), "keypoints2d has shape"),
            ((2, 3, 64, 64), (2, 17, 3), "set feature_channels and map_size"),
        ],
    )
    def test_wrong_shapes(self, make_reader, image, points, message) -> None:
        with pytest.raises(ValueError, match=message):
            make_reader()(torch.zeros(image), torch.zeros(points))


class TestOwnDepths:
    @pytest.fixture
    def own(self):
        return 0.3 * torch.randn(2, 4, 17, generator=torch.Generator().manual_seed(7))

    def make(self, make_reader, trained: bool = True):
        reader = make_reader(own_depths=True)
        if trained:
            nn.init.normal_(reader.out.weight, std=0.1)
        return reader

    def test_an_untrained_reader_says_what_the_body_says(self, make_reader, images, keypoints2d, own) -> None:
        reading = self.make(make_reader, trained=False)(images, keypoints2d, own)
        torch.testing.assert_close(reading.depths, own - own[..., 11:13].mean(dim=-1, keepdim=True))
        torch.testing.assert_close(reading.errors, torch.full_like(own, (SMALLEST_ERROR * LARGEST_ERROR) ** 0.5))

    def test_rows_that_are_nan_are_as_no_depths(self, make_reader, images, keypoints2d, own) -> None:
        reader = self.make(make_reader)
        own[:, 1] = torch.nan
        own[:, 2, 3] = torch.nan  # one of them spoils the body
        reading, without = reader(images, keypoints2d, own), reader(images, keypoints2d)
        for name in FIELDS:
            torch.testing.assert_close(getattr(reading, name)[:, 1:3], getattr(without, name)[:, 1:3])
            assert (getattr(reading, name)[:, 0] - getattr(without, name)[:, 0]).abs().max() > 1e-3

    def test_of_one_body_do_not_reach_another(self, make_reader, images, keypoints2d, own) -> None:
        reader = self.make(make_reader)
        whole, alone = reader(images, keypoints2d, own), reader(images, keypoints2d[:, 2], own[:, 2])
        for name in FIELDS:
            torch.testing.assert_close(getattr(alone, name), getattr(whole, name)[:, 2], atol=1e-5, rtol=1e-4)

    def test_a_reader_without_the_option_does_not_look(self, make_reader, images, keypoints2d, own) -> None:
        reader = make_reader()
        assert torch.equal(reader(images, keypoints2d, own).depths, reader(images, keypoints2d).depths)
