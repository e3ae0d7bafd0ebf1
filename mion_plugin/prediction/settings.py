"""What decides the results of a run, noted beside them: a run goes on only with its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mion_plugin.files import atomic_path, remove_leftovers
from mion_plugin.files.json_files import read_note
from mion_plugin.files.pieces import check_settings

_NAME = "settings.json"


def claim_folder(folder: Path, settings: dict[str, str | int | float | bool | None], alone: bool) -> None:
    """Note the settings in a run's folder, or check that those of an earlier start, or another process, are the same.

    Args:
        folder: For the results; made if it is not there.
        settings: What decides the results, ready for JSON.
        alone: No other process writes into the folder now, so what killed ones left of the note can go.

    Raises:
        ValueError: The folder is of a run with other settings; the message names what differs.
    """
    note, text = folder / _NAME, json.dumps(settings, indent=1, sort_keys=True) + "\n"
    if alone:
        remove_leftovers(note)
    if note.is_file():
        check_settings(text, read_note(note), f"{folder} is of a run")
        return
    with atomic_path(note) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
