"""Paths that annotations name: they stay below the folder that they are joined to."""

from __future__ import annotations

from pathlib import PurePosixPath


def leads_out(path: str) -> bool:
    """Whether a path of an annotation names something else than a file below the folder that it is joined to."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return not path or path.startswith(("/", "\\")) or ".." in parts or "\0" in path
