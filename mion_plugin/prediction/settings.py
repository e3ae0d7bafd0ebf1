"""What decides the results of a run, noted beside them: a run goes on only with its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mion_plugin.files import atomic_path, remove_leftovers
from mion_plugin.files.json_files import read_note
from mion_plugin.files.pieces import check_settings
from mion_plugin.prediction.shards import read_problems

_NAME = "settings.json"


@contextmanager
def claimed_folder(folder: Path, settings: dict[str, str | int | float | bool | None], alone: bool) -> Iterator[None]:
    """Note the settings in a run's folder, or check that those of an earlier start, or another process, are the same.

    Where the run ends in an error and nobody is in the folder, the note and the shards go: the next run may have other
    settings, or look at the same photographs again.

    Args:
        folder: For the results; made if it is not there.
        settings: What decides the results, ready for JSON.
        alone: No other process writes into the folder now, so the note, and what killed ones left of it, can go.

    Raises:
        ValueError: The folder is of a run with other settings; the message names what differs.
    """
    _claim(folder / _NAME, json.dumps(settings, indent=1, sort_keys=True) + "\n", alone)
    try:
        yield
    except Exception:
        if alone:
            _release(folder)
        raise


def _claim(note: Path, text: str, alone: bool) -> None:
    if alone:
        remove_leftovers(note)
    if note.is_file():
        check_settings(text, read_note(note), f"{note.parent} is of a run")
        return
    with atomic_path(note) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _release(folder: Path) -> None:
    """Remove the shards and the note, unless a shard has people or cannot be read."""
    shards = sorted(folder.glob("*.npz"))
    try:
        if any(num_people for _, num_people, _ in map(read_problems, shards)):
            return
    except (OSError, ValueError):
        return
    for path in (*shards, folder / _NAME):
        path.unlink(missing_ok=True)


def model_digest(model: nn.Module, config: Mapping[str, Any]) -> str:
    """Of a model's config, without the places of its weights, and of all its weights and buffers."""
    told = hashlib.sha256(json.dumps(_without_checkpoints(config), sort_keys=True, default=str).encode())
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        told.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        told.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return told.hexdigest()[:16]


def _without_checkpoints(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {key: _without_checkpoints(value) for key, value in config.items() if not key.endswith("_checkpoint")}
    return config
