"""What came of a case: an error, a skip, an accepted input, or a fault of ours."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from robustness.faults.case import REFUSED, SAME, Case
from robustness.faults.isolation import Ending

OUTCOMES = ("error", "skip", "accepted")
DOCUMENTED = {"OSError", "ValueError", "TypeError", "KeyError", "ImportError", "UnsafePickleError"}
EXHAUSTED = {"MemoryError", "RecursionError"}
CANARY = "canary"  # what hostile code creates in its working folder
_TEMPORARY = re.compile(r"^\..*\.[a-z0-9_]{8}(\.\w+)?$")
_HASHED = 1 << 20  # larger files are compared by size and time


@dataclass(frozen=True)
class Verdict:
    """The end of a case.

    Attributes:
        outcome: One of ``OUTCOMES``, or ``fault``.
        told: The message, or what the fault is.
    """

    outcome: str
    told: str


def list_folder(folder: Path) -> dict[str, tuple]:
    """What is in a folder, deeply: path -> kind, size, time and content, without following links or opening devices."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest = ""
        if stat.S_ISREG(status.st_mode) and status.st_size <= _HASHED:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        found[str(path.relative_to(folder))] = (stat.S_IFMT(status.st_mode), size, digest)
    return found


def judge(case: Case, ending: Ending, folder: Path, inputs: dict[str, tuple]) -> Verdict:
    """The verdict.

    Args:
        case: The case.
        ending: How its process ended.
        folder: Where it ran, with ``in``, ``out`` and ``tmp``.
        inputs: ``list_folder`` of ``in`` before.
    """
    outcome, told = _outcome(case, ending)
    if outcome == "skip" and case.expected == SAME:
        outcome, told = "fault", f"leaves out what is legal: {told}"
    fault = told if outcome == "fault" else _trace(case, outcome, folder, inputs)
    return Verdict("fault", fault) if fault else Verdict(outcome, told)


def _outcome(case: Case, ending: Ending) -> tuple[str, str]:
    if ending.how == "late":
        return "fault", f"hangs: not done after {case.limits.seconds:g} s"
    if ending.how == "died":
        return "fault", f"crashes: {ending.message}"
    if ending.how == "raised":
        return _raised(case, ending)
    if case.tool:
        return _tool_ended(case, ending)
    return _accepted(case, "accepted")


def _raised(case: Case, ending: Ending) -> tuple[str, str]:
    kind, message = ending.error[0], ending.message
    if kind == "WrongResultError":
        return "fault", f"wrong: {message}"
    if kind == "SkippedError":
        return "skip", message
    if EXHAUSTED & set(ending.error):
        return "fault", f"exhausts memory or stack: {kind}: {message}"
    if case.tool:
        return "fault", f"ends with a traceback: {kind}: {message}"
    if not DOCUMENTED & set(ending.error):
        return "fault", f"undocumented error: {kind}: {message}"
    return _clear(case, message)


def _clear(case: Case, message: str) -> tuple[str, str]:
    if not message.strip() or "\n" in message:
        return "fault", f"unclear error, not one line: {message!r}"
    if not any(mention in message for mention in case.mentions):
        return "fault", f"unclear error, names none of {case.mentions}: {message}"
    if case.expected == SAME:
        return "fault", f"refuses what is legal: {message}"
    return "error", message


def _tool_ended(case: Case, ending: Ending) -> tuple[str, str]:
    lines = [line.strip() for line in ending.stderr.replace("\r", "\n").splitlines() if line.strip()]
    if any("Traceback (most recent call last)" in line for line in lines):
        return "fault", f"prints a traceback: {lines[-1]}"
    if ending.value == 2:
        found = [case.tool in line for line in lines]  # a progress bar may stand before it
        if sum(found) != 1 or not found[-1]:
            return "fault", f"exit code 2 without one last line that begins with {case.tool!r}: {lines[-3:]}"
        return _clear(case, lines[-1].partition(case.tool)[2])
    if ending.value not in (0, None):
        return "fault", f"exit code {ending.value}"
    skipped = [line for line in lines if any(mention in line for mention in case.mentions)]
    return ("skip", skipped[0]) if skipped else _accepted(case, "accepted")


def _accepted(case: Case, told: str) -> tuple[str, str]:
    return ("fault", "accepts what it should refuse") if case.expected == REFUSED else ("accepted", told)


def _trace(case: Case, outcome: str, folder: Path, inputs: dict[str, tuple]) -> str:
    """What is on the disk and should not be; "" for nothing."""
    if (folder / CANARY).exists():
        return "executes code of the input"
    if list_folder(folder / "in") != inputs:
        return "changes its input"
    here = sorted(path.name for path in folder.iterdir() if path.name not in ("in", "out", "tmp"))
    left = sorted(path.relative_to(folder / "out").as_posix() for path in _files(folder / "out"))
    if outcome == "error":
        left = [
            path
            for path in left
            if _is_temporary(path) or not any(fnmatch.fnmatch(path, one) for one in case.may_leave)
        ]
    else:
        left = [path for path in left if _is_temporary(path)]
    left = here + left + [path.name for path in (folder / "tmp").iterdir()]
    return f"leaves {', '.join(left[:5])}" if left else ""


def _is_temporary(path: str) -> bool:
    """As ``tempfile`` names files for ``atomic_path``."""
    return _TEMPORARY.search(Path(path).name) is not None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
