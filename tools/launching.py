"""What training and testing share: reading the config, and joining the processes of a launcher."""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import importlib.util
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mion_plugin.files.configs import read_config
from mion_plugin.near_names import did_you_mean

# What the runner reads of a config's top level besides its arguments (mmengine 0.10).
_MORE_KEYS = """custom_imports model_wrapper_cfg sync_bn find_unused_parameters activation_checkpointing
    efficient_conv_bn_eval compile""".split()
_LOADERS = [f"{part}_dataloader" for part in ("train", "val", "test")]
_SECTIONS = ["model", "optim_wrapper", "train_cfg", "val_cfg", "test_cfg", "default_hooks", "randomness", *_LOADERS]
# key -> the least that it may be
_NUMBERS = {
    "train_cfg.max_epochs": 1,
    "train_cfg.max_iters": 1,
    "optim_wrapper.optimizer.lr": 0,
    "randomness.seed": 0,
    **{f"{loader}.batch_size": 1 for loader in _LOADERS},
    **{f"{loader}.num_workers": 0 for loader in _LOADERS},
}
_SIMILAR = 0.85  # of difflib: a letter or two of a key differ


def load_config(args: argparse.Namespace) -> Config:
    """Read the config file and apply ``--cfg-options``, ``--work-dir`` and ``--launcher``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file cannot be read, an option names an entry of something that has none, or a top-level key
            is misspelt: mmengine would take it for a variable and go on without.
    """
    path = Path(args.config)
    cfg = read_config(path)
    if args.cfg_options:
        try:
            _check_options(cfg, args.cfg_options)
            cfg.merge_from_dict(args.cfg_options)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"config {path}: {error}") from error
    _check_keys(cfg, path)
    _check_values(cfg, path)
    cfg.launcher = args.launcher
    if args.launcher != "none" and not torch.cuda.is_available():
        # mmengine's own wrapping asks for a GPU by number
        cfg.setdefault("model_wrapper_cfg", dict(type="MMDistributedDataParallel", device_ids=None))
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs") / path.stem)
    return cfg


@functools.cache
def _runner_keys() -> frozenset[str]:
    """What mmengine reads of a config's top level; everything else there is a variable of the config's own."""
    return frozenset(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"} | frozenset(_MORE_KEYS)


def _check_options(cfg: Config, options: dict[str, Any]) -> None:
    known = _runner_keys() | set(cfg)
    for option in options:
        key = option.split(".")[0]
        if key not in known:
            raise ValueError(f"--cfg-options {option}: the config has no {key}{did_you_mean(key, known)}")


def _check_keys(cfg: Config, path: Path) -> None:
    for key in set(cfg) - _runner_keys():
        hint = did_you_mean(key, _runner_keys(), cutoff=_SIMILAR)
        if hint:
            raise ValueError(f"config {path}: {key} is nothing that the runner reads{hint}")


def _check_values(cfg: Config, path: Path) -> None:
    """mmengine fails on some of these in words that name neither key nor value."""
    if cfg.get("model") is None:
        raise ValueError(f"config {path} has no model")
    for key in _SECTIONS:
        if not isinstance(cfg.get(key, {}), dict | None):
            raise ValueError(f"config {path}: {key} is {cfg[key]!r}, expected a dict")
    for key, least in _NUMBERS.items():
        value: Any = cfg
        for name in key.split("."):
            value = value.get(name) if isinstance(value, (dict, Config)) else None
        if value is not None and not (isinstance(value, int | float) and value >= least):
            raise ValueError(f"config {path}: {key} is {value!r}, expected a number of at least {least}")


def check_logs(cfg: Config) -> None:
    """Refuse a log that nothing here can write, before seconds of building the rest.

    Raises:
        ImportError: The config logs to TensorBoard, which is not installed.
    """
    backends = (cfg.get("visualizer") or {}).get("vis_backends") or []
    wanted = any(_type_name(backend) == "TensorboardVisBackend" for backend in backends)
    if wanted and importlib.util.find_spec("tensorboard") is None:
        raise ImportError("the config logs to TensorBoard, which is not installed: pip install 'mion-plugin[train]'")


def add_hook(cfg: Config, hook: str, **arguments: Any) -> None:
    """Add a custom hook to a config."""
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), dict(type=hook, **arguments)]


def require_hooks(cfg: Config, *hooks: str) -> None:
    """Add the custom hooks that a config lacks, before its own.

    ``custom_hooks = [...]`` in a config takes the place of the inherited list, with the hooks that ``--resume`` needs.
    """
    given = cfg.get("custom_hooks") or []
    names = {_type_name(hook) for hook in given}
    cfg.custom_hooks = [*(dict(type=hook) for hook in hooks if hook.rpartition(".")[2] not in names), *given]


def _type_name(hook: Any) -> str:
    """The class's name of a hook, or of what a hook is built of."""
    kind = hook.get("type") if isinstance(hook, dict) else type(hook)
    return kind.rpartition(".")[2] if isinstance(kind, str) else getattr(kind, "__name__", "")


@contextlib.contextmanager
def launched(args: argparse.Namespace) -> Iterator[None]:
    """Let the launcher's workers find their rank, and each other where there is no GPU; part them after the work.

    mmengine selects a GPU whatever the backend, so on CPUs the processes are joined by gloo before it looks. It never
    parts them, and a thread of gloo that is still alive while Python shuts down may abort the process. After
    an error nobody is parted: that would wait for collectives of which the others are no longer a part.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    if args.launcher == "pytorch" and not torch.cuda.is_available():
        torch.distributed.init_process_group("gloo")
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        gc.collect()  # the runner refers to itself, and its model's wrapper to the group, which ends with the last one
