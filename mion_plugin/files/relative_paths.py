"""Paths that annotations name: they stay below the folder that they are joined to."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_DRIVE = re.compile(r"[A-Za-z]:")


def leads_out(path: str) -> bool:
    """Whether a path of an annotation names something else than a file below the folder that it is joined to."""
    forward = with_slashes(path)
    drive = _DRIVE.match(path)
    return not path or drive is not None or forward.startswith("/") or ".." in path_parts(path) or "\0" in path


def with_slashes(path: str) -> str:
    r"""A path with forward slashes: annotations that were written on Windows have ``val\0001.jpg``."""
    return path.replace("\\", "/")


def path_parts(path: str) -> tuple[str, ...]:
    r"""The names in a path, of whatever system: ``C:\clips\.\a.jpg`` and ``/clips/a.jpg`` -> clips, a.jpg."""
    parts = PurePosixPath(_DRIVE.sub("", with_slashes(path), count=1)).parts
    return tuple(part for part in parts if part.strip("/"))
