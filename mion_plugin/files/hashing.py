"""What tells files apart by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

_BLOCK = 1 << 20  # bytes
_MOST_LENGTHS = 64


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    told = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            told.update(block)
    return told.hexdigest()


def hash_files(paths: Iterable[Path]) -> str:
    """SHA-256 of several files and their names, likewise."""
    told = hashlib.sha256()
    for path in paths:
        told.update(f"{path.name}\0{hash_file(path)}\0".encode())
    return told.hexdigest()


def spread_lengths(root: Path, names: Sequence[str | Path]) -> tuple[int | None, ...]:
    """The lengths in bytes of up to 64 files below ``root``, evenly spread: tells folders with the same names apart.

    They stay the same where a folder is moved, and a million files are not looked at. One that is not there has None.
    """
    count = min(len(names), _MOST_LENGTHS)
    return tuple(_length(root / names[number * len(names) // count]) for number in range(count))


def file_lengths(root: Path, names: Sequence[str | Path]) -> np.ndarray:
    """(N,) the length in bytes of each of N files below ``root``, -1 of one that is not there: tells a changed one.

    Times are not asked, which a copy of a folder changes. Another content of the same length is taken for the same.
    """
    found = {name: _length(root / name) for name in dict.fromkeys(names)}
    return np.array([-1 if found[name] is None else found[name] for name in names], dtype=np.int64)


def lengths_digest(root: Path, names: Sequence[str | Path]) -> str:
    """``digest`` of ``file_lengths``."""
    return digest(file_lengths(root, names).tobytes())


def digest(content: bytes) -> str:
    """16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def told_by_content(option: str | os.PathLike[str]) -> str:
    """The value of an option that may name a file or a folder, with what tells the same name's contents apart.

    A file is known by its content, a folder by its files' names and lengths; what is neither, by the name alone.
    """
    path = Path(option)
    if path.is_dir():
        found = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        told = "\0".join([*found, lengths_digest(path, found)])
        return f"{option} ({digest(os.fsencode(told))})"
    return f"{option} ({hash_file(path)[:16]})" if path.is_file() else str(option)


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # not there, or no name that a file can have
        return None
