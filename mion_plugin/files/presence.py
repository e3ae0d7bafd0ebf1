"""Whether there is a file, or a folder, to read."""

from __future__ import annotations

from pathlib import Path


def require_file(path: Path, kind: str = "file", remedy: str = "") -> Path:
    """``path``, if there is a file with something in it.

    Args:
        path: Where.
        kind: What to call it in errors, e.g. ``candidate pool``.
        remedy: What follows in the errors, with its punctuation.

    Raises:
        FileNotFoundError: There is none, or a folder in its place.
        ValueError: It is empty.
        OSError: The name is too long, or a folder of it may not be entered.
    """
    if not path.is_file():
        wrong = "is a folder, expected a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{kind} {path} {wrong}{remedy}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is not a readable {kind}: it is empty{remedy}")
    return path


def require_folder(path: Path, kind: str = "folder", remedy: str = "") -> Path:
    """``path``, if there is a folder; arguments and errors as ``require_file``."""
    if not path.is_dir():
        wrong = "is a file, expected a folder" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{kind} {path} {wrong}{remedy}")
    return path
