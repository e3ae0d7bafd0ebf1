"""TF32, mixed precision and compiled networks for training and testing."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from mion_plugin.consistency import ConsistencyEstimationNetwork
from mion_plugin.refinement import RefinementNetwork


def set_products(args: argparse.Namespace) -> None:
    """Let products and convolutions use TF32, or not: whatever torch's defaults are, the command line decides."""
    torch.set_float32_matmul_precision("high" if args.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = args.tf32


def train_in_bfloat16(cfg: Config) -> None:
    """Mixed precision in bfloat16, whose range is float32's: no loss scaling.

    Raises:
        ValueError: There is no GPU, for which alone mmengine has it.
    """
    if not torch.cuda.is_available():
        raise ValueError("--bf16 needs a GPU; on a CPU set the networks' bfloat16_features in the config instead")
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.dtype = "bfloat16"
    cfg.optim_wrapper.loss_scale = dict(enabled=False)


def evaluate_in_bfloat16(cfg: Config) -> None:
    """Run tests in bfloat16: mmengine's loop calls it fp16, and takes torch's type for autocast."""
    cfg.test_cfg = {**(cfg.get("test_cfg") or {}), "fp16": True}
    for device in ("cuda", "cpu"):
        torch.set_autocast_dtype(device, torch.bfloat16)


def compile_networks(model: nn.Module, backend: str) -> list[str]:
    """Compile what is the network alone of stages 2 and 3: ``decode``, from the first weight to the last.

    Around it are loops over samples, searches and rendering, which a compiler has nothing to gain from. Weights, their
    names and checkpoints stay as they are.

    Returns:
        The names of the compiled networks in the model.

    Raises:
        ValueError: An unknown backend, or a model without such networks.
    """
    known = torch._dynamo.list_backends(exclude_tags=())
    if backend not in known:
        raise ValueError(f"--compile {backend}: torch has no such backend, expected one of {', '.join(known)}")
    networks = {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, RefinementNetwork | ConsistencyEstimationNetwork)
    }
    frozen: Any = getattr(model, "refiner", None)  # of mion.ConsistencyModel: no submodule of it
    if not isinstance(frozen, nn.Module) and isinstance(getattr(frozen, "network", None), RefinementNetwork):
        networks["refiner.network"] = frozen.network
    if not networks:
        raise ValueError(f"--compile: {type(model).__name__} holds no mion.RefinementNetwork and no mion.CEN")
    for network in networks.values():
        network.decode = torch.compile(network.decode, backend=backend)  # type: ignore[method-assign]
    return list(networks)
