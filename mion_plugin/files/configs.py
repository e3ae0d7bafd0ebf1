"""Config files: read from a path, or found among those that come with the package."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from mmengine.config import Config

from mion_plugin.near_names import did_you_mean
from mion_plugin.shipped import shipped_folder

_BASES = "_base_"  # the folder of what configs inherit from
_OTHER_RUNNERS = "mmhuman3d"  # the folder of configs for that project's tools, some of whose names are ours, too


def read_config(path: str | os.PathLike[str]) -> Config:
    """The config in a file, or of a name. A config is a program, in whatever format: run only those that you trust.

    Args:
        path: See ``find_config``.

    Raises:
        FileNotFoundError: No such file or name.
        ValueError: It cannot be read, or fails.
    """
    file = find_config(path)
    try:
        return Config.fromfile(file)
    except Exception as error:  # a program fails in any way it likes
        raise ValueError(f"config {path}: {str(error) or type(error).__name__}") from error


def find_config(path: str | os.PathLike[str]) -> Path:
    """The file at a path; if there is none, the config of that name that comes with the package.

    Args:
        path: A file; or ``mrt_tiny_synthetic``, with or without its folder and ``.py``, as in
            ``configs/mion/mrt_tiny_synthetic.py``.

    Raises:
        FileNotFoundError: There is neither.
    """
    path = Path(path)
    if path.is_file():
        return path
    name = path.as_posix().removesuffix(".py").removeprefix("configs/")
    known = shipped_configs()
    found = known.get(name) or next((file for full, file in full_names(known).items() if full == name), None)
    if found is None and path.is_dir():
        raise FileNotFoundError(
            f"config {path} is a folder, expected a file; `mion configs` lists those of the package"
        )
    if found is None:
        hint = did_you_mean(name, known, "; `mion configs` lists those that come with the package")
        raise FileNotFoundError(f"config {path} does not exist{hint}")
    return found


def shipped_configs() -> dict[str, Path]:
    """Name -> file of the configs that come with the package; the names of mmhuman3d's begin with the folder."""
    root = shipped_folder("configs")
    files = [file for file in sorted(root.glob("*/*.py")) if file.parent.name != _BASES]
    return {_name(file): file for file in files}


def full_names(configs: dict[str, Path]) -> dict[str, Path]:
    """``shipped_configs`` with every name's folder before it."""
    return {f"{file.parent.name}/{file.stem}": file for file in configs.values()}


def describe_config(file: Path) -> str:
    """The first sentence of the comment that opens a config."""
    lines = itertools.takewhile(lambda line: re.match("# [^ ]", line), file.read_text(encoding="utf-8").splitlines())
    comment = " ".join(line.removeprefix("# ") for line in lines)
    return re.split(r"(?<=\.) (?=[A-Z])", comment, maxsplit=1)[0]  # "eq. 5" ends no sentence


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}" if file.parent.name == _OTHER_RUNNERS else file.stem
