"""Commands in process groups of their own: started, watched through ``/proc``, killed with all their workers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_GROUP, _STATE, _RESIDENT = 2, 0, 21  # of the fields of /proc/PID/stat after the command's name; see proc(5)
_GONE_WITHIN = 10.0  # seconds that the kernel may take to remove killed processes


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, on one thread so that sums have one order.

    Args:
        command: Program and arguments.
        log: File that its output is added to.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )


def kill_group(process: subprocess.Popen[bytes]) -> bool:
    """SIGKILL for a started command and its workers; False if it had ended by itself before.

    Raises:
        TimeoutError: Some are still there after that.
    """
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    end = time.monotonic() + _GONE_WITHIN
    while _stats_of_group(process.pid):
        if time.monotonic() > end:
            raise TimeoutError(f"processes of group {process.pid} are alive {_GONE_WITHIN:.0f} s after SIGKILL")
        time.sleep(0.01)
    return killed


def resident_memory(process: subprocess.Popen[bytes]) -> int:
    """Bytes in memory of a started command and its workers; pages that they share count for each."""
    return PAGE_SIZE * sum(int(fields[_RESIDENT]) for fields in _stats_of_group(process.pid))


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a command's output."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def _stats_of_group(group: int) -> list[list[str]]:
    """Fields of ``/proc/PID/stat`` after the name, for each process of a group that has not ended."""
    found = []
    for folder in os.scandir("/proc"):
        if not folder.name.isdigit():
            continue
        try:
            text = Path(folder.path, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
        fields = text.rpartition(")")[2].split()
        if int(fields[_GROUP]) == group and fields[_STATE] not in "ZX":
            found.append(fields)
    return found
