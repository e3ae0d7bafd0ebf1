"""Measured rows in files, each with the hash of what made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.files.npz import read_npz, write_npz

_IDENTITY = "identity"
KEPT, STALE, MISSING, UNTRAINED = "kept", "stale", "missing", "not trained"


@dataclass(frozen=True)
class Measured:
    """Of one row, or of the curves.

    Attributes:
        identity: The hash of what made it.
        arrays: Name -> numbers of S people, (S,) or (S, N), or one number ().
    """

    identity: str
    arrays: dict[str, np.ndarray]


def read_row(folder: Path, key: str) -> Measured | None:
    """A row as it was kept, whatever made it; None if it never was.

    Raises:
        ValueError: The file cannot be read.
    """
    path = _path(folder, key)
    if not path.is_file():
        return None
    arrays = read_npz(path, "file of a measured row")
    if _IDENTITY not in arrays:
        raise ValueError(f"{path} has no {_IDENTITY}, expected a file that tools/benchmark.py methods wrote")
    return Measured(str(arrays.pop(_IDENTITY)), arrays)


def write_row(folder: Path, key: str, measured: Measured) -> None:
    """Keep a row, in place of what was kept of it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_npz(_path(folder, key), {**measured.arrays, _IDENTITY: np.array(measured.identity)})


def state(kept: Measured | None, identity: str | None) -> str:
    """Whether a row may be shown: only what is ``KEPT`` under the identity that it would have now."""
    if identity is None:
        return UNTRAINED
    if kept is None:
        return MISSING
    return KEPT if kept.identity == identity else STALE


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.npz"
