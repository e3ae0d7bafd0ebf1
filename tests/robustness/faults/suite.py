"""Running cases: each with a folder and a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from robustness.faults.case import Case, Limits
from robustness.faults.isolation import run_isolated
from robustness.faults.verdict import Verdict, judge, list_folder


def run_cases(cases: Iterable[Case], jobs: int = 2) -> Iterator[tuple[Case, Verdict]]:
    """Run cases; yields each with its verdict, in the order in which they end."""
    with tempfile.TemporaryDirectory(prefix="faults_") as top:
        inputs: dict[Path, dict[str, tuple]] = {}
        calls = (_prepare(case, Path(top) / f"{number:05d}", inputs) for number, case in enumerate(cases))
        for (case, folder), ending in run_isolated(calls, jobs):
            try:
                verdict = judge(case, ending, folder, inputs.pop(folder))
            finally:
                _remove(folder, case)
            yield case, verdict


def _prepare(
    case: Case, folder: Path, inputs: dict[Path, dict[str, tuple]]
) -> tuple[tuple[Case, Path], Callable[[], Any], Path, Limits]:
    """Make the input of a case, and what runs it."""
    for name in ("in", "out", "tmp"):
        (folder / name).mkdir(parents=True)
    if case.disk is not None:
        _mount(folder / "out", case.disk)
    given = case.make(folder / "in")
    inputs[folder] = list_folder(folder / "in")
    return (case, folder), lambda: case.enter(given, folder / "out"), folder, case.limits


def may_mount() -> bool:
    """Whether this process may make a small file system, to fill it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount(Path(folder), 1 << 20)
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", "--lazy", folder], check=True)
    return True


def _mount(folder: Path, size: int) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def _remove(folder: Path, case: Case) -> None:
    if case.disk is not None:
        # lazily: what was killed may not be gone yet
        subprocess.run(["umount", "--lazy", str(folder / "out")], check=True)
    with contextlib.suppress(OSError):
        os.chmod(folder / "out", 0o755)
    shutil.rmtree(folder)
