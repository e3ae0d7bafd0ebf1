from __future__ import annotations

import pytest
import torch
import torchvision

from mion_plugin.backbones import DeconvNeck, TorchvisionResNet
from mion_plugin.registry import MODELS


class TestTorchvisionResNet:
    @pytest.mark.parametrize(("depth", "num_stages", "shape"), [(18, 4, (512, 2, 2)), (18, 3, (256, 4, 4))])
    def test_features_are_torchvisions(self, depth: int, num_stages: int, shape: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        backbone = MODELS.build({"type": "mion.TorchvisionResNet", "depth": depth, "num_stages": num_stages}).eval()
        torch.manual_seed(0)
        reference = torchvision.models.resnet18().eval()
        image = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            expected = reference.maxpool(reference.relu(reference.bn1(reference.conv1(image))))
            for stage in ("layer1", "layer2", "layer3", "layer4")[:num_stages]:
                expected = getattr(reference, stage)(expected)
            (features,) = backbone(image)  # as OpenMMLab's
        assert features.shape == (2, *shape)
        assert backbone.out_channels == shape[0]
        torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)

    def test_resnet50_has_2048_channels_and_no_classifier(self) -> None:
        with torch.device("meta"):
            backbone = TorchvisionResNet(50)
            assert backbone(torch.zeros(1, 3, 224, 224))[-1].shape == (1, 2048, 7, 7)
        assert backbone.out_channels == 2048
        assert not any(name.startswith("fc") for name in backbone.state_dict())

    @pytest.mark.parametrize("norm", ["batch", "frozen", "group"])
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_weights_from_a_file(self, tmp_path, norm: str, wrapped: bool) -> None:
        reference = torchvision.models.resnet18()
        state = reference.state_dict()
        torch.save({"state_dict": state} if wrapped else state, tmp_path / "weights.pth")
        backbone = TorchvisionResNet(18, weights=tmp_path / "weights.pth", num_stages=2, norm=norm)
        assert torch.equal(backbone.state_dict()["layer2.1.conv2.weight"], state["layer2.1.conv2.weight"])
        assert torch.equal(backbone.state_dict()["bn1.weight"], state["bn1.weight"])

    def test_further_channels_start_at_zero_behind_weights_for_images(self, tmp_path) -> None:
        reference = torchvision.models.resnet18()
        torch.save(reference.state_dict(), tmp_path / "weights.pth")
        image = torch.randn(2, 3, 64, 64)
        wide, plain = (
            TorchvisionResNet(18, weights=tmp_path / "weights.pth", num_stages=1, in_channels=channels).eval()
            for channels in (6, 3)
        )
        assert torch.equal(wide.conv1.weight[:, :3], reference.conv1.weight)
        (features,) = wide(torch.cat([image, torch.randn(2, 3, 64, 64)], dim=1))
        torch.testing.assert_close(features, plain(image)[0], atol=1e-5, rtol=1e-5)
        features.square().sum().backward()
        assert wide.conv1.weight.grad[:, 3:].abs().sum() > 0  # but they learn

    def test_weights_for_as_many_channels_are_taken_whole(self, tmp_path) -> None:
        trained = TorchvisionResNet(18, num_stages=1, in_channels=6)
        assert trained.conv1.weight[:, 3:].std() > 0.01
        torch.save(trained.state_dict(), tmp_path / "weights.pth")
        loaded = TorchvisionResNet(18, weights=tmp_path / "weights.pth", num_stages=1, in_channels=6)
        assert torch.equal(loaded.conv1.weight, trained.conv1.weight)
        with pytest.raises(ValueError, match=r"1 entries differ, e\.g\. conv1\.weight"):
            TorchvisionResNet(18, weights=tmp_path / "weights.pth", num_stages=1)

    def test_frozen_norm_does_not_learn(self) -> None:
        backbone = TorchvisionResNet(18, num_stages=1, norm="frozen").train()
        before = {name: value.clone() for name, value in backbone.state_dict().items()}
        backbone(torch.randn(2, 3, 32, 32))
        assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
        assert not any("bn" in name for name, _ in backbone.named_parameters())

    def test_bad_weights(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError, match=r"checkpoint .*nowhere\.pth does not exist"):
            TorchvisionResNet(18, weights=tmp_path / "nowhere.pth")
        with pytest.raises(ValueError, match=r"weights 'IMAGENET', expected .*IMAGENET1K_V1"):
            TorchvisionResNet(18, weights="IMAGENET")
        torch.save(torchvision.models.resnet34().state_dict(), tmp_path / "other.pth")
        with pytest.raises(
            ValueError, match=r"other\.pth does not fit this ResNet: \d+ entries differ, e\.g\. layer1\.2"
        ):
            TorchvisionResNet(18, weights=tmp_path / "other.pth")
        (tmp_path / "cut.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:1000])
        with pytest.raises(ValueError, match=r"cut\.pth is not a checkpoint that can be read safely"):
            TorchvisionResNet(18, weights=tmp_path / "cut.pth")

    @pytest.mark.parametrize(
        ("option", "value", "expected"),
        [
            ("depth", 20, "18, 34"),
            ("num_stages", 5, "1 to 4"),
            ("norm", "bn", "group"),
            ("in_channels", 1, "at least 3"),
        ],
    )
    def test_bad_options(self, option: str, value: object, expected: str) -> None:
        with pytest.raises(ValueError, match=f"{option} is .*{value}.*{expected}"):
            TorchvisionResNet(**{"depth": 18, option: value})


class TestDeconvNeck:
    def test_the_papers_size(self) -> None:
        with torch.device("meta"):
            neck = DeconvNeck(in_channels=2048)
            (enlarged,) = neck(torch.zeros(2, 2048, 7, 7))
            assert enlarged.shape == (2, 384, 56, 56)

    @pytest.mark.parametrize(("num_layers", "side"), [(0, 3), (1, 6), (2, 12), (3, 24)])
    @pytest.mark.parametrize("norm", ["batch", "group"])
    def test_each_layer_doubles(self, num_layers: int, side: int, norm: str) -> None:
        neck = DeconvNeck(in_channels=5, channels=12, num_layers=num_layers, norm=norm)
        (enlarged,) = neck(torch.randn(2, 5, 3, 3))  # as OpenMMLab's
        assert enlarged.shape == (2, 12, side, side)

    def test_takes_one_of_several_feature_maps(self) -> None:
        maps = (torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4))
        assert DeconvNeck(6, 12, num_layers=1)(maps)[-1].shape == (1, 12, 8, 8)
        assert DeconvNeck(4, 12, num_layers=1, in_index=0)(maps)[-1].shape == (1, 12, 16, 16)

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match=r"\(1, 4, 8, 8\), expected \(B, 6, h, w\); set the neck's in_channels"):
            DeconvNeck(6, 12)(torch.zeros(1, 4, 8, 8))
        with pytest.raises(ValueError, match="num_layers -1: expected at least 1, 1 and 0"):
            DeconvNeck(6, 12, num_layers=-1)
        with pytest.raises(ValueError, match="norm is 'layer', expected one of batch, group"):
            DeconvNeck(6, 12, norm="layer")
