"""Cases from damaged files, and calling the tools; shared by the doors."""

from __future__ import annotations

import functools
import importlib.util
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from robustness.faults.case import SAME, Case
from robustness.faults.damage import Damage

_TOOLS = Path(__file__).resolve().parents[4] / "tools"


def file_cases(
    door: str,
    name: str,
    damages: Iterable[Damage],
    enter: Callable[[Path, Path], int | None],
    *,
    same: Callable[[Path, Path], int | None] | None = None,
    beside: Path | None = None,
    **options: Any,
) -> Iterator[Case]:
    """A case for each damaged file.

    Args:
        door: See ``Case``.
        name: Where the damaged file lies in the input's folder, e.g. ``annotations/train.json``.
        damages: How it is damaged.
        enter: Goes through the door with that path.
        same: Likewise for what is legal: compares the result with that of the sound file.
        beside: Folder of sound files to put around it.
        **options: More of ``Case``.
    """
    mentions = (*options.pop("mentions", ()), Path(name).name)
    for damage in damages:
        yield Case(
            door,
            damage.kind,
            damage.name,
            functools.partial(_make, name=name, damage=damage, beside=beside),
            same if same is not None and damage.expected == SAME else enter,
            damage.expected,
            mentions=mentions,
            limits=damage.limits,
            **options,
        )


def _make(folder: Path, name: str, damage: Damage, beside: Path | None) -> Path:
    if beside is not None:
        shutil.copytree(beside, folder, dirs_exist_ok=True, symlinks=True)
        (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    damage.write(folder / name)
    return folder / name


@functools.cache
def tool(name: str) -> ModuleType:
    """A module of ``tools``; by its path, since ``test`` is also a package of Python's."""
    specification = importlib.util.spec_from_file_location(f"faults_{name}", _TOOLS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
