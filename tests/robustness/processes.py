"""Commands in process groups of their own: started, watched through ``/proc``, killed with all their workers."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch

PAGE_SIZE, TICKS_PER_SECOND = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
# of the fields of /proc/PID/stat after the command's name; see proc(5)
_STATE, _GROUP, _TIMES, _RESIDENT = 0, 2, slice(11, 15), 21
_GONE_WITHIN = 10.0  # seconds that the kernel may take to remove killed processes


def start(main: Callable[[list[str]], int | None], arguments: Sequence[str], log: Path) -> ForkProcess:
    """Run a tool's ``main`` in a process forked from this one, with a group of its own.

    What this process has imported is there, so that the new one begins with its work. It computes on one thread, so
    that sums have one order.

    Args:
        main: Takes the command line and returns the exit code.
        arguments: The command line.
        log: File that its output is added to.
    """
    process = get_context("fork").Process(target=_run, args=(main, list(arguments), log))
    process.start()
    return process


def kill_group(process: ForkProcess) -> bool:
    """SIGKILL for a process of ``start`` and its workers; False if it had ended by itself before.

    Raises:
        TimeoutError: Some are still there after that.
    """
    group = process.pid
    assert group is not None
    if process.exitcode is not None:
        return False
    os.kill(group, signal.SIGKILL)  # alone as long as it has no group
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    process.join()
    end = time.monotonic() + _GONE_WITHIN
    while stats_of_group(group):
        if time.monotonic() > end:
            raise TimeoutError(f"processes of group {group} are alive {_GONE_WITHIN:.0f} s after SIGKILL")
        time.sleep(0.01)
    return process.exitcode == -signal.SIGKILL


def resident_memory(process: ForkProcess) -> int:
    """Bytes in memory of a process of ``start`` and its workers; pages that they share count for each."""
    assert process.pid is not None
    return PAGE_SIZE * sum(int(fields[_RESIDENT]) for fields in stats_of_group(process.pid))


def cpu_seconds(process: ForkProcess) -> float:
    """Time on processors of a process of ``start`` and its workers; unlike the clock, it knows no other load."""
    ticks = 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one ended while we looked
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in (process.pid, *children):
            ticks += sum(map(int, _fields(Path(f"/proc/{pid}/stat"))[_TIMES]))
    return ticks / TICKS_PER_SECOND


def stats_of_group(group: int) -> list[list[str]]:
    """Fields of ``/proc/PID/stat`` after the name, for each process of a group that has not ended."""
    found = []
    for folder in os.scandir("/proc"):
        if not folder.name.isdigit():
            continue
        try:
            fields = _fields(Path(folder.path, "stat"))
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
        if int(fields[_GROUP]) == group and fields[_STATE] not in "ZX":
            found.append(fields)
    return found


def finish(process: ForkProcess, log: Path) -> None:
    """Wait for a process; raises as ``check_success``."""
    process.join()
    check_success(process, log)


def check_success(process: ForkProcess, log: Path) -> None:
    """Raise RuntimeError with the end of its output unless a process has ended well."""
    if process.exitcode != 0:
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        raise RuntimeError("\n".join([f"exit code {process.exitcode}; see {log}", *text.splitlines()[-5:]]))


def _run(main: Callable[[list[str]], int | None], arguments: list[str], log: Path) -> None:
    os.setsid()
    with log.open("ab") as output:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", buffering=1, closefd=False) for descriptor in (1, 2))
    torch.set_num_threads(1)
    sys.exit(main(arguments) or 0)


def _fields(stat: Path) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()
