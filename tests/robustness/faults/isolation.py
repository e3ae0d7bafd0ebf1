"""Running a call in a forked process with limits on time, memory and files; a crash ends that process alone."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import resource
import selectors
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustness.faults.case import Limits

_CAPABILITY_VERSION = 0x20080522  # linux/capability.h
_PASSING_OVER = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_KEPT = 1 << 20  # bytes of what a process prints
_TOLD = 4000  # characters of a message
_POLL = 0.02  # seconds
STREAMS = ("stdout", "stderr", "report")


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        how: ``returned``, ``raised``, ``died`` or ``late``.
        value: What the call returned.
        error: Names of the error's class and its bases.
        message: Of the error; of a process that died, the signal or exit code.
        stdout: Text.
        stderr: Text.
    """

    how: str
    value: Any = None
    error: tuple[str, ...] = ()
    message: str = ""
    stdout: str = ""
    stderr: str = ""


@dataclass
class _Running:
    """A process and what it has said so far."""

    key: Any
    pid: int
    deadline: float
    pipes: dict[str, int]
    said: dict[str, bytearray] = field(default_factory=lambda: {name: bytearray() for name in STREAMS})


def run_isolated(
    calls: Iterable[tuple[Any, Callable[[], Any], Path, Limits]], jobs: int = 2
) -> Iterator[tuple[Any, Ending]]:
    """Run calls, ``jobs`` at once, each in a process of its own; yields them as they end.

    Args:
        calls: Key, function, working folder and limits of each; taken when there is room for one.
        jobs: Processes at once.
    """
    waiting, running = iter(calls), list[_Running]()
    more = True
    while more or running:
        while more and len(running) < jobs:
            call = next(waiting, None)
            more = call is not None
            if call is not None:
                running.append(_start(*call))
        _listen(running)
        for process in list(running):
            ending = _ended(process)
            if ending is not None:
                running.remove(process)
                yield process.key, ending


def _start(key: Any, function: Callable[[], Any], folder: Path, limits: Limits) -> _Running:
    ends = {name: os.pipe() for name in STREAMS}
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that forks and threads do not mix; ours are asleep
        pid = os.fork()
    if pid == 0:
        _become(function, folder, limits, {name: write for name, (_, write) in ends.items()})
    for _, write in ends.values():
        os.close(write)
    for read, _ in ends.values():
        os.set_blocking(read, False)
    return _Running(key, pid, time.monotonic() + limits.seconds, {name: read for name, (read, _) in ends.items()})


def _become(function: Callable[[], Any], folder: Path, limits: Limits, pipes: dict[str, int]) -> None:
    """The child's life; does not return."""
    try:
        os.setsid()
        faulthandler.disable()  # pytest's would print a crash that is expected
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(pipes["stdout"], 1)
        os.dup2(pipes["stderr"], 2)
        sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115  not pytest's
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        _limit(limits)
        answer: dict[str, Any] = {"how": "returned", "value": function()}
    except SystemExit as error:  # of a command line that cannot be read
        answer = {"how": "returned", "value": error.code}
    except BaseException as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        answer = {"how": "raised", "error": names, "message": _message(error)}
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os.write(pipes["report"], json.dumps(answer).encode())
    os._exit(0)


def _message(error: BaseException) -> str:
    """As ``str(error)``; of a KeyError without the quotes."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text[:_TOLD]


def _limit(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + limits.memory,) * 2)
    if limits.file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_size,) * 2)
    if limits.unprivileged and os.getuid() == 0:
        _obey_permissions()


def _obey_permissions() -> None:
    """Give up what lets root pass over permissions; its own files, such as Python's, stay open to it."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable capabilities, in two halves
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for index in range(3):
        sets[index] &= ~_PASSING_OVER
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def _listen(running: list[_Running]) -> None:
    """Read what the processes say, so that none waits for a full pipe."""
    with selectors.DefaultSelector() as selector:
        for process in running:
            for name, pipe in process.pipes.items():
                selector.register(pipe, selectors.EVENT_READ, (process, name))
        if not selector.get_map():
            time.sleep(_POLL)
            return
        for key, _ in selector.select(_POLL):
            process, name = key.data
            _read(process, name)


def _read(process: _Running, name: str) -> None:
    """Take what is there; beyond ``_KEPT`` it is dropped."""
    try:
        while piece := os.read(process.pipes[name], 1 << 16):
            process.said[name] += piece[: _KEPT - len(process.said[name])]
    except BlockingIOError:
        return
    os.close(process.pipes.pop(name))


def _ended(process: _Running) -> Ending | None:
    pid, status = os.waitpid(process.pid, os.WNOHANG)
    late = not pid and time.monotonic() > process.deadline
    if not pid and not late:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started ends with it
    if late:
        os.waitpid(process.pid, 0)
    for name in list(process.pipes):
        _read(process, name)
    for pipe in process.pipes.values():
        os.close(pipe)
    return _told(process, late, status)


def _told(process: _Running, late: bool, status: int) -> Ending:
    texts = {name: bytes(process.said[name]).decode("utf-8", "backslashreplace") for name in ("stdout", "stderr")}
    if late:
        return Ending("late", **texts)
    try:
        answer = json.loads(bytes(process.said["report"]))
    except ValueError:
        code = os.waitstatus_to_exitcode(status)
        return Ending("died", message=signal.Signals(-code).name if code < 0 else f"exit code {code}", **texts)
    return Ending(**{**answer, "error": tuple(answer.get("error", ()))}, **texts)
