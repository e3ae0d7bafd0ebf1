"""What the command line tools share."""

from __future__ import annotations

import argparse
import difflib
import functools
import inspect
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from mmengine.config import Config, DictAction

from mion_plugin.files import UnsafePickleError

# What the runner reads of a config's top level besides its arguments (mmengine 0.10).
_MORE_KEYS = """custom_imports model_wrapper_cfg sync_bn find_unused_parameters activation_checkpointing
    efficient_conv_bn_eval compile""".split()
_SIMILAR = 0.85  # of difflib: a letter or two of a key differ


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line: argparse's usage text would bury what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Print the error and end with exit code 2."""
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that train.py and test.py share with every OpenMMLab project."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="change entries of the config, e.g. train_dataloader.batch_size=8 optim_wrapper.optimizer.lr=1e-4",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none", help="job launcher")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help="set by the launcher")


def load_config(args: argparse.Namespace) -> Config:
    """Read the config file and apply ``--cfg-options``, ``--work-dir`` and ``--launcher``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file cannot be read, an option names an entry of something that has none, or a top-level key
            is misspelt: mmengine would take it for a variable and go on without.
    """
    path = Path(args.config)
    if not path.is_file():
        raise FileNotFoundError(f"config {path} does not exist")
    try:
        cfg = Config.fromfile(path)
        if args.cfg_options:
            _check_options(cfg, args.cfg_options)
            cfg.merge_from_dict(args.cfg_options)
    except Exception as error:  # a config is a program, which fails in any way it likes
        raise ValueError(f"config {path}: {str(error) or type(error).__name__}") from error
    _check_keys(cfg, path)
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
    from mmengine.runner import Runner  # at first use: it imports half of mmengine, which not every tool needs

    return frozenset(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"} | frozenset(_MORE_KEYS)


def _check_options(cfg: Config, options: dict[str, Any]) -> None:
    known = _runner_keys() | set(cfg)
    for option in options:
        key = option.split(".")[0]
        if key not in known:
            similar = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            raise ValueError(f"--cfg-options {option}: the config has no {key}{hint}")


def _check_keys(cfg: Config, path: Path) -> None:
    for key in set(cfg) - _runner_keys():
        similar = difflib.get_close_matches(key, _runner_keys(), n=1, cutoff=_SIMILAR)
        if similar:
            raise ValueError(f"config {path}: {key} is nothing that the runner reads; did you mean {similar[0]}?")


def add_hook(cfg: Config, hook: str, **arguments: Any) -> None:
    """Add a custom hook to a config."""
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), dict(type=hook, **arguments)]


def start_launcher(args: argparse.Namespace) -> None:
    """Let the launcher's workers find their rank, and each other where there is no GPU.

    mmengine selects a GPU whatever the backend, so on CPUs the processes are joined by gloo before it looks.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    if args.launcher == "pytorch" and not torch.cuda.is_available():
        torch.distributed.init_process_group("gloo")


def report_errors(tool: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Decorate ``main``: bad input ends with one line on standard error and exit code 2, not with a traceback."""

    def decorate(main: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(main)
        def wrapped(arguments: list[str] | None = None) -> int:
            if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no text
                sys.stdout.reconfigure(errors="backslashreplace")
            try:
                return main(arguments)
            except (OSError, ValueError, KeyError, TypeError, ImportError, UnsafePickleError) as error:
                print(f"{tool}: error: {_one_line(error)}", file=sys.stderr)
                return 2

        return wrapped

    return decorate


def _one_line(error: Exception) -> str:
    """The message of an error; of one from a data-loader worker, what the worker said without its traceback."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any("Original Traceback" in line for line in lines):
        return lines[-1].partition(": ")[2] or lines[-1]
    return " ".join(lines)


__all__ = ["OneLineParser", "add_common_arguments", "add_hook", "load_config", "report_errors", "start_launcher"]
