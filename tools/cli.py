"""What the command line tools share. It imports nothing that takes long, so that they answer a wrong option at once."""

from __future__ import annotations

import argparse
import functools
import importlib
import io
import itertools
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from mion_plugin.near_names import did_you_mean


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line: argparse's usage text would bury what is wrong.

    Numbers are finite, and whole ones fit into 64 bits. No value is empty, as what a shell makes of a variable that is
    not set, or dashes alone, which argparse drops or takes for an option.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for kind, read in ((int, _whole_number), (float, _finite_number), (Path, _path), (None, _text)):
            self.register("type", kind, read)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As argparse's; dashes in place of a value, and an option that there is not, end with an error that helps."""
        given = list(sys.argv[1:] if args is None else args)
        for place, (before, argument) in enumerate(itertools.pairwise(["", *given]), start=1):
            option, _, value = argument.partition("=")
            if _is_dashes(value):
                self._refuse_dashes(option, value)
            if _is_dashes(argument) and (argument != "--" or place == len(given)):  # `--` may part options from names
                self._refuse_dashes(before, argument)
        found, unknown = self.parse_known_args(given, namespace)
        if unknown:
            hint = did_you_mean(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found

    def error(self, message: str) -> NoReturn:
        """Print the error and end with exit code 2."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())} (see --help)\n")

    def _refuse_dashes(self, option: str, dashes: str) -> None:
        action = self._option_string_actions.get(option)
        if action is not None:
            wanted = "nothing" if action.nargs == 0 else f"a value, {_wanted(action)}"
            self.error(f"argument {option}: expected {wanted} after it, not {dashes}")

    def _match_argument(self, action: argparse.Action, arg_strings_pattern: str) -> int:
        """As argparse's, which says ``expected one argument`` and not what it is."""
        try:
            return super()._match_argument(action, arg_strings_pattern)
        except argparse.ArgumentError as error:
            error.message += f", {_wanted(action)}"
            raise


def _wanted(action: argparse.Action) -> str:
    """What an option's value is, in a few words."""
    if action.choices is not None:
        return f"one of {', '.join(map(str, action.choices))}"
    kinds = {int: "a whole number", float: "a number", Path: "a path"}
    return kinds.get(action.type) or (action.metavar if isinstance(action.metavar, str) else "a text")


def _is_dashes(text: str) -> bool:
    """Whether this is two dashes or more, and nothing else."""
    return len(text) > 1 and not text.strip("-")


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected a text, not {text!r}")
    return text


def _path(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected a path, not {text!r}")
    return Path(text)


def _whole_number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {_start(text)!r}") from None
    if abs(number) > sys.maxsize:
        raise argparse.ArgumentTypeError(f"{_start(text)} is too large")
    return number


def _finite_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, not {_start(text)!r}") from None
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{_start(text)} is no finite number")
    return number


def _start(text: str) -> str:
    return f"{text[:20]}..." if len(text) > 20 else text


class _ConfigOptions(argparse.Action):
    """mmengine's ``DictAction``, imported when such an option is given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest, nargs=self.nargs)(parser, namespace, values, option_string)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """``--cfg-options`` as of every OpenMMLab project."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=_ConfigOptions,
        metavar="KEY=VALUE",
        help="change entries of the config, e.g. train_dataloader.batch_size=8 optim_wrapper.optimizer.lr=1e-4",
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that train.py and test.py share with every OpenMMLab project."""
    add_config_options(parser)
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none", help="job launcher")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help="set by the launcher")


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """What makes the networks of train.py and test.py faster on current GPUs."""
    parser.add_argument(
        "--tf32",
        action="store_true",
        help="let the networks' float32 products and convolutions round what they read to 11 bits, as GPUs since "
        "Ampere can; candidates, losses and metrics keep all 24",
    )
    parser.add_argument(
        "--compile",
        nargs="?",
        const="inductor",
        metavar="BACKEND",
        help="compile the networks with torch.compile; default backend: inductor, which needs a compiler of C++",
    )


def run_command(name: str, args: argparse.Namespace) -> Any:
    """Do a tool's work: ``run(args)`` of its module in ``commands``, which is imported here and not before.

    Those modules import torch and much of the package: seconds that whoever asks for help should not wait.
    """
    return importlib.import_module(f"commands.{name}").run(args)


def program(tool: str) -> str:
    """What the user has called, for messages: the tool, or the command of ``mion`` that it is."""
    return sys.argv[0] if sys.argv[0].startswith("mion ") else tool


def report_errors(tool: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Decorate ``main``: bad input ends with one line on standard error and exit code 2, not with a traceback.

    So does Ctrl-C, of which the process then dies, so that a shell's loop ends, too.
    """

    def decorate(main: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(main)
        def wrapped(arguments: list[str] | None = None) -> int:
            if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no text
                sys.stdout.reconfigure(errors="backslashreplace")
            logging.raiseExceptions = False  # a log that cannot be written would print a traceback for every line
            try:
                return main(arguments)
            except Exception as error:
                if not _is_bad_input(error):
                    raise
                print(f"{program(tool)}: error: {_one_line(error)}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print(f"\n{program(tool)}: stopped", file=sys.stderr)
                sys.excepthook = _hide_interrupt
                raise

        return wrapped

    return decorate


def _hide_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As ``sys.excepthook``, without a traceback of Ctrl-C."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _is_bad_input(error: Exception) -> bool:
    if isinstance(error, OSError | ValueError | KeyError | TypeError | ImportError):
        return True
    from mion_plugin.files import UnsafePickleError  # it imports numpy

    return isinstance(error, UnsafePickleError)


# what the system says of these does not tell what was expected
_IN_THE_WAY: dict[type[OSError], str] = {
    FileExistsError: " is a file, expected a folder",
    NotADirectoryError: " is below a file, expected a folder there",
    IsADirectoryError: " is a folder, expected a file",
}


def _one_line(error: Exception) -> str:
    """The message of an error; of one from a data-loader worker, what the worker said without its traceback."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        told = next((told for kind, told in _IN_THE_WAY.items() if isinstance(error, kind)), f": {error.strerror}")
        return " ".join(f"{os.fsdecode(error.filename)}{told}".split())
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any("Original Traceback" in line for line in lines):
        return lines[-1].partition(": ")[2] or lines[-1]
    return " ".join(lines)


__all__ = ["OneLineParser", "add_common_arguments", "program", "report_errors", "run_command"]
