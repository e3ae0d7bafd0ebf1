"""What tells files apart by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK = 1 << 20  # bytes


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    told = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            told.update(block)
    return told.hexdigest()
