"""Checkpoint files, read without running code from them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from mion_plugin.files.presence import require_file
from mion_plugin.shipped import packaged_file

SAFETENSORS = ".safetensors"


def load_local_checkpoint(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read a checkpoint file of torch, or a ``.safetensors`` file, which holds tensors alone.

    One of the package, too: ``mion_plugin/models/...`` (``packaged_file``).

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable checkpoint, one that holds more than tensors and plain containers, or one whose bytes
            are not those that were written.
    """
    path = require_file(packaged_file(Path(os.path.expanduser(filename))), "checkpoint")
    if path.suffix == SAFETENSORS:
        return _load_safetensors(path, map_location)
    _refuse_packed(path)
    damaged = _damaged_member(path)
    if damaged is not None:
        raise ValueError(f"{path} is damaged: the checksum of {damaged} does not match; copy or install it again")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # what is damaged, or no checkpoint, fails in torch in many ways
        raise ValueError(f"{path} is not a checkpoint that can be read safely: {_reason(error)}") from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{path} holds a {type(checkpoint).__name__}, expected a checkpoint (a dict)")
    return checkpoint


def _load_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    from safetensors import SafetensorError  # comes with timm
    from safetensors.torch import load_file

    try:
        return load_file(path, device=str(map_location or "cpu"))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is not a checkpoint that can be read safely: {_reason(error)}") from error


def _refuse_packed(path: Path) -> None:
    """Raise ValueError for an archive with compressed parts: torch writes none, and they may unpack to any size."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [member.filename for member in archive.infolist() if member.file_size != member.compress_size]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return  # which ``torch.load`` judges
    if packed:
        raise ValueError(f"{path} is not a checkpoint: {packed[0]} in it is compressed")


def _damaged_member(path: Path) -> str | None:
    """The first part of a checkpoint whose checksum, which torch writes but does not check, tells of damage.

    None for an intact file, and for one that is no archive, which ``torch.load`` judges.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, UnicodeDecodeError):
        return None


def _reason(error: Exception) -> str:
    """One line of torch's many: the one that names what was refused, else the first that says something.

    Of a file that is no pickle torch says no more than a number.
    """
    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalpha, line))]
    refused = [line for line in lines if "Unsupported" in line]
    return (refused or lines or ["it is no file of torch's"])[0]
