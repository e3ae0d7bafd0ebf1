"""What the networks of configs cost: parameters, operations, memory for a backward pass."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

import mion_plugin  # noqa: F401  registers the components
from mion_plugin.bodies import Bodies
from mion_plugin.files.configs import read_config
from mion_plugin.refinement.network import RefinementNetwork
from mion_plugin.registry import MODELS

KINDS = ("mion.RefinementNetwork", "mion.CEN", "mion.DepthConsistency")
_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True)
class Cost:
    """Of one network.

    Attributes:
        parameters: Their number.
        image_flops: Floating-point operations of a forward pass per image, whatever the number of paths.
        path_flops: More of them for each path.
        image_bytes: What autograd keeps of a forward pass per image, in the config's precision.
        path_bytes: More of it for each path.
    """

    parameters: int
    image_flops: int
    path_flops: int
    image_bytes: int
    path_bytes: int


def run(args: argparse.Namespace) -> int:
    """Print a row for each network of the configs; returns the exit code."""
    print("| config | network | parameters, M | GFLOP per image + per path | MB kept per image + per path |")
    print("| --- | --- | --- | --- | --- |")
    for path in args.configs:
        for kind, network in build_networks(path).items():
            cost = measure(network)
            flops = f"{cost.image_flops / 1e9:.2f} + {cost.path_flops / 1e9:.2f}"
            kept = f"{cost.image_bytes / 1e6:.0f} + {cost.path_bytes / 1e6:.0f}"
            print(f"| {path.stem} | {kind} | {cost.parameters / 1e6:.2f} | {flops} | {kept} |")
    return 0


def build_networks(path: Path) -> dict[str, nn.Module]:
    """The networks of a config by their types, with random weights, the stand-in body and no selector.

    Raises:
        FileNotFoundError: No such config.
        ValueError: It cannot be read, or its model holds none of ``KINDS``.
    """
    found = _find_parts(read_config(path).get("model", {}))
    if not found:
        raise ValueError(f"config {path}: its model holds none of {', '.join(KINDS)}")
    networks = {kind: MODELS.build(part) for kind, part in found.items()}
    for network in networks.values():
        _switch_off_dropout(network)
    return networks


def measure(network: nn.Module) -> Cost:
    """The cost of one of ``KINDS``, from runs with one path and with two, of two images and of three."""
    network.train()
    (flops, kept), (flops_of_two, kept_of_two) = (_cost_of_image(network, paths) for paths in (1, 2))
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        image_flops=2 * flops - flops_of_two,
        path_flops=flops_of_two - flops,
        image_bytes=2 * kept - kept_of_two,
        path_bytes=kept_of_two - kept,
    )


def _cost_of_image(network: nn.Module, paths: int) -> tuple[int, int]:
    """Operations, and bytes kept for a backward pass, of one image with some paths.

    Not by one image alone: batch normalisation does not train on a single value, and weights that autocast has copied
    to bfloat16 are kept once, however many images there are.
    """
    (flops_of_two, kept_of_two), (flops_of_three, kept_of_three) = (_run(network, images, paths) for images in (2, 3))
    return flops_of_three - flops_of_two, kept_of_three - kept_of_two


def _find_parts(model: Any) -> dict[str, dict[str, Any]]:
    """The configs of the networks in a model's config, without the files that they name."""
    if not isinstance(model, dict):
        return {}
    if model.get("type") in KINDS:
        return {model["type"]: {**_without_weights(model), "body": None}}
    return {kind: part for value in model.values() for kind, part in _find_parts(value).items()}


def _without_weights(part: Mapping[str, Any]) -> dict[str, Any]:
    """A network's config whose backbone, its own or that of its reader, names no weights."""
    part = dict(part)
    if "weights" in (part.get("backbone") or {}):
        part["backbone"] = {**part["backbone"], "weights": None}
    if part.get("reader") is not None:
        part["reader"] = _without_weights(part["reader"])
    return part


def _switch_off_dropout(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "drop_prob", None), float):  # timm's, of whole branches
            module.drop_prob = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0


def _run(network: Any, images: int, paths: int) -> tuple[int, int]:
    """Operations, and bytes kept for a backward pass, of some images with some paths each."""
    camera = network.camera
    image = torch.zeros(images, 3, camera.image_size, camera.image_size)
    pose = torch.zeros(images, paths, 24, 3)
    pose[..., 0, 0] = torch.pi  # upright before the camera
    transl = torch.tensor([0.0, 0.0, 2.0 * camera.focal_length / camera.image_size]).expand(images, paths, 3)
    counter = FlopCounterMode(display=False, custom_mapping={_CPU_ATTENTION: _attention_flops})
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, Tensor] = {}  # by address; holding the tensors keeps addresses from being used twice

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    bodies = Bodies.with_mean_shape(pose, transl)
    with counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        if isinstance(network, RefinementNetwork):
            network(image, bodies, _keypoints(network, images))
        else:
            network(image, bodies)
    numbers = sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)
    return counter.get_total_flops(), numbers


def _keypoints(network: RefinementNetwork, images: int) -> Tensor | None:
    """What the queries read, if they read keypoints."""
    count = network.queries.num_keypoints
    return torch.ones(images, count, 3) if count else None


def _attention_flops(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    return sdpa_flop_count(query, key, value)
