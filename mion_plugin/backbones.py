"""Image features for stages 2 and 3: a headless backbone, and deconvolutions that enlarge its output (paper, 3.2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mion_plugin.registry import MODELS
from mion_plugin.weights import load_weights

RGB = 3  # channels of an image
CHECKPOINT_SUFFIXES = (".pth", ".pt", ".bin")
_DEPTHS = (18, 34, 50, 101, 152)
_STAGE_CHANNELS = (64, 128, 256, 512)
_NUM_STAGES = len(_STAGE_CHANNELS)
_GROUPS = 32  # of group normalisation, Wu and He, 2018
_STATISTICS = ("num_batches_tracked", "running_mean", "running_var")  # which frozen or group normalisation may lack


def channels_last(module: nn.Module) -> None:
    """Lay convolution weights out by pixel.

    Measured on a CPU, training is 1.2 times as fast, in bfloat16 1.3 times; EfficientNet-Lite0 1.8 and 1.2 times.
    """
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's annotations


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(min(_GROUPS, channels), channels)


@MODELS.register_module()
class TorchvisionResNet(nn.Module):
    """A torchvision ResNet without pooling and classifier; parameters are named as in torchvision and OpenMMLab.

    Args:
        depth: 18, 34, 50, 101 or 152.
        weights: None for random ones; the name of torchvision weights such as ``IMAGENET1K_V1``, which torchvision
            downloads; or a checkpoint file (``.pth``, ``.pt``, ``.bin``), whose classifier and missing stages are
            dropped.
        num_stages: How many of the four stages to keep. Four have stride 32; three have stride 16 and, in ResNet-18, a
            quarter of the parameters.
        norm: ``batch``; ``group`` (does not depend on the batch size); or ``frozen``, batch normalisation that keeps
            the statistics of ``weights``, as DETR.
        in_channels: Of the input: 3 of an image, and any that follow. ``weights`` for images alone are taken for the
            first three, and the further channels' filters start at zero, so that the features start as the image's.

    Raises:
        ImportError: torchvision is not installed.
        ValueError: An unknown option, no readable checkpoint, or weights of another network.
        FileNotFoundError: No such checkpoint.
    """

    def __init__(
        self,
        depth: int = 50,
        weights: str | os.PathLike[str] | None = None,
        num_stages: int = _NUM_STAGES,
        norm: str = "batch",
        in_channels: int = RGB,
    ) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ValueError(f"depth is {depth}, expected one of {', '.join(map(str, _DEPTHS))}")
        if not 1 <= num_stages <= _NUM_STAGES:
            raise ValueError(f"num_stages is {num_stages}, expected 1 to {_NUM_STAGES}")
        if in_channels < RGB:
            raise ValueError(f"in_channels is {in_channels}, expected at least {RGB}, those of an image")
        network = _torchvision_models().get_model(f"resnet{depth}", weights=None, norm_layer=_resnet_norm(norm))
        if in_channels > RGB:
            network.conv1 = _first_layer(in_channels)
        self.stem = ("conv1", "bn1", "relu", "maxpool")
        self.stages = tuple(f"layer{stage}" for stage in range(1, num_stages + 1))
        for name in (*self.stem, *self.stages):
            self.add_module(name, getattr(network, name))
        self.out_channels = _STAGE_CHANNELS[num_stages - 1] * (4 if depth >= 50 else 1)  # bottlenecks widen fourfold
        if weights is not None:
            self._load(_read_weights(weights, depth), str(weights))
        channels_last(self)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Features (B, out_channels, H / stride, W / stride) of normalised images (B, in_channels, H, W).

        One map, in a tuple: what OpenMMLab's necks and heads take.
        """
        features = image.contiguous(memory_format=torch.channels_last)
        for name in (*self.stem, *self.stages):
            features = self.get_submodule(name)(features)
        return (features,)

    def _load(self, state: dict[str, Tensor], name: str) -> None:
        own = self.state_dict()
        state = widened_first_layer(state, own, own["conv1.weight"].shape[1])
        dropped = ("fc.", *(f"layer{stage}." for stage in range(len(self.stages) + 1, _NUM_STAGES + 1)))
        unknown = [
            key for key in state if key not in own and not key.startswith(dropped) and not key.endswith(_STATISTICS)
        ]
        misfit = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
        if wrong := sorted(unknown + misfit):
            raise ValueError(f"{name} does not fit this ResNet: {len(wrong)} entries differ, e.g. {wrong[0]}")
        self.load_state_dict({key: state[key] for key in own})


@MODELS.register_module()
class DeconvNeck(nn.Module):
    """Deconvolutions (kernel 4, stride 2) with normalisation and ReLU; each doubles height and width.

    The paper's three take stride-32 features of a 224 x 224 image to 384 x 56 x 56. With ``num_layers=0``, a 1 x 1
    convolution changes the number of channels alone.

    Args:
        in_channels: Of the features, e.g. 2048 for ResNet-50, 512 for ResNet-18, 256 for its first three stages.
        channels: Of every deconvolution, and so the width of the transformer.
        num_layers: Number of deconvolutions.
        norm: ``batch`` or ``group``.
        in_index: Which feature map to take of a backbone that returns several.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self, in_channels: int, channels: int = 384, num_layers: int = 3, norm: str = "batch", in_index: int = -1
    ) -> None:
        super().__init__()
        if min(in_channels, channels) < 1 or num_layers < 0:
            raise ValueError(
                f"in_channels {in_channels}, channels {channels}, num_layers {num_layers}: expected at least 1, 1 and 0"
            )
        norms: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "group": _group_norm}
        if norm not in norms:
            raise ValueError(f"norm is {norm!r}, expected one of {', '.join(norms)}")
        self.in_channels, self.channels, self.in_index = in_channels, channels, in_index
        layers: list[nn.Module] = []
        for layer in range(num_layers):
            inputs = in_channels if layer == 0 else channels
            layers += [
                nn.ConvTranspose2d(inputs, channels, kernel_size=4, stride=2, padding=1, bias=False),
                norms[norm](channels),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*(layers or [nn.Conv2d(in_channels, channels, kernel_size=1)]))
        channels_last(self)

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor]:
        """Enlarge features (B, in_channels, h, w), or the last of several, to (B, channels, 2^n h, 2^n w).

        One map, in a tuple: what OpenMMLab's heads take.

        Raises:
            ValueError: Another number of channels than ``in_channels``.
        """
        if not isinstance(features, Tensor):
            features = features[self.in_index]
        if features.dim() != 4 or features.shape[1] != self.in_channels:
            raise ValueError(
                f"the backbone's features have shape {tuple(features.shape)}, expected (B, {self.in_channels}, h, w); "
                "set the neck's in_channels to the backbone's"
            )
        return (self.layers(features),)


def last_map(features: Tensor | Sequence[Tensor]) -> Tensor:
    """A network's only feature map, bare or in a tuple, or the last of several."""
    return features if isinstance(features, Tensor) else features[-1]


def _torchvision_models() -> Any:
    try:
        import torchvision
    except ImportError as error:
        raise ImportError(
            "TorchvisionResNet needs torchvision: pip install 'mion-plugin[train]', or the build that belongs to "
            "your torch"
        ) from error
    return torchvision.models


def _first_layer(in_channels: int) -> nn.Module:
    """ResNet's first convolution for more channels than an image's, initialised as torchvision does."""
    layer = nn.Conv2d(in_channels, _STAGE_CHANNELS[0], kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def widened_first_layer(state: Mapping[str, Tensor], own: Mapping[str, Tensor], in_channels: int) -> dict[str, Tensor]:
    """``state`` with zeros for the input channels that its first layer lacks, if it was for images alone.

    Args:
        state: Name -> weights as read.
        own: Name -> weights of the network that is to take them, whose first layer has ``in_channels``.
        in_channels: Of the input.
    """
    result = dict(state)
    for name, wanted in own.items():
        given = state.get(name)
        if given is not None and given.shape[1:2] == (RGB,) and wanted.shape[1:2] == (in_channels,):
            missing = given.new_zeros(given.shape[0], in_channels - RGB, *given.shape[2:])
            result[name] = torch.cat([given, missing], dim=1)
    return result


def _resnet_norm(norm: str) -> Callable[..., nn.Module]:
    if norm == "frozen":
        _torchvision_models()
        from torchvision.ops import FrozenBatchNorm2d

        return FrozenBatchNorm2d
    norms: dict[str, Callable[..., nn.Module]] = {"batch": nn.BatchNorm2d, "group": _group_norm}
    if norm not in norms:
        raise ValueError(f"norm is {norm!r}, expected one of batch, group, frozen")
    return norms[norm]


def _read_weights(weights: str | os.PathLike[str], depth: int) -> dict[str, Tensor]:
    """The state dict that ``weights`` names; see ``TorchvisionResNet``."""
    path = Path(weights)
    if path.suffix not in CHECKPOINT_SUFFIXES:
        known = _torchvision_models().get_model_weights(f"resnet{depth}")
        if str(weights) != "DEFAULT" and str(weights) not in known.__members__:
            raise ValueError(
                f"weights {str(weights)!r}, expected a file ({', '.join(CHECKPOINT_SUFFIXES)}), DEFAULT or one of "
                f"torchvision's: {', '.join(known.__members__)}"
            )
        return known[str(weights)].get_state_dict(progress=False, check_hash=True)
    return load_weights(path)
