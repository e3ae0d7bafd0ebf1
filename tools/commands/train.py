"""Training on mmengine's runner."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from cli import program
from launching import add_hook, check_logs, launched, load_config, require_hooks
from mmengine.config import Config
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner, find_latest_checkpoint
from speed import compile_networks, set_products, train_in_bfloat16

from mion_plugin.engine.checkpoints import prepare_checkpoints, remove_partial_checkpoints
from mion_plugin.engine.unwrapping import unwrapped_model
from mion_plugin.files.presence import require_file

# Without them a training cannot be resumed (``--resume`` reads tensors and plain values alone), is not the same after
# it, does not tell its body, or goes on with weights that are NaN.
_NEEDED_HOOKS = (
    "mion.EpochSeedHook",
    "mion.PlainCheckpointHook",
    "mion.BodyFingerprintHook",
    "mion.StopOnInvalidLossHook",
)


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    prepare_checkpoints()
    with launched(args):
        cfg = make_config(args)
        remove_partial_checkpoints(cfg.work_dir)
        _advise_on_bfloat16(cfg)
        set_products(args)
        _train(cfg, args.compile)
    return 0


def _train(cfg: Config, backend: str | None) -> None:
    """A function of its own, since a runner that is still there keeps the connection of the processes alive."""
    runner = Runner.from_cfg(cfg)
    if backend is not None:
        compile_networks(unwrapped_model(runner), backend)
    runner.train()


def make_config(args: argparse.Namespace) -> Config:
    """The config with the command line's changes."""
    cfg = load_config(args)
    check_logs(cfg)
    require_hooks(cfg, *_NEEDED_HOOKS)
    _check_optimizer(cfg)
    if args.amp:
        if not torch.cuda.is_available():
            raise ValueError("--amp needs a GPU; on a CPU set the networks' bfloat16_features in the config instead")
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.setdefault("loss_scale", "dynamic")
    if args.bf16:
        train_in_bfloat16(cfg)
    if args.auto_scale_lr:
        if "base_batch_size" not in cfg.get("auto_scale_lr", {}):
            raise ValueError(f"--auto-scale-lr: {args.config} has no auto_scale_lr.base_batch_size")
        cfg.auto_scale_lr.enable = True
    if args.resume == "auto":
        if find_latest_checkpoint(cfg.work_dir):  # else a training that starts from load_from starts from there
            cfg.resume, cfg.load_from = True, None
    elif args.resume is not None:
        cfg.resume, cfg.load_from = True, args.resume
        require_file(Path(cfg.load_from), "checkpoint of --resume")
    if cfg.get("resume"):
        add_hook(cfg, "mion.FittingCheckpointHook", source=cfg.load_from or f"the latest checkpoint in {cfg.work_dir}")
    elif cfg.get("load_from"):
        add_hook(cfg, "mion.FittingCheckpointHook", source=cfg.load_from, partly=True)
    return cfg


def _check_optimizer(cfg: Config) -> None:
    """mmengine looks at the class before it asks whether there is one."""
    optimizer = (cfg.get("optim_wrapper") or {}).get("optimizer", {})
    if not isinstance(optimizer, dict):
        raise ValueError(f"optim_wrapper.optimizer is {optimizer!r}, expected a dict")
    name = optimizer.get("type")
    if isinstance(name, str) and OPTIMIZERS.get(name) is None:
        raise ValueError(f"optim_wrapper.optimizer.type {name}: no such optimizer is registered")


def _advise_on_bfloat16(cfg: Config) -> None:
    """Say which options of the config slow a CPU down that has to emulate bfloat16."""
    if torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX2":
        return
    options = [f"{name}=False" for name in _switched_on(cfg.get("model"), "model", "bfloat16")]
    if options:
        print(
            f"{program('train.py')}: this CPU has no instructions for bfloat16; the training is several times as fast "
            f"with --cfg-options {' '.join(options)}",
            file=sys.stderr,
        )


def _switched_on(part: Any, name: str, prefix: str) -> Iterator[str]:
    """Dotted names, below ``name``, of the options that are True and begin so."""
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key.startswith(prefix) and value is True:
            yield f"{name}.{key}"
        yield from _switched_on(value, f"{name}.{key}", prefix)
