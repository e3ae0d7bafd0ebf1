"""Checkpoints of tensors and plain containers only, so that they load with ``weights_only=True`` anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from mion_plugin.registry import HOOKS

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Store mmengine's history of logged numbers as tensors, and its numpy scalars as numbers.

    Pickled as they are, the ``HistoryBuffer`` objects name functions by ``getattr``, which no safe reader admits.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Replace buffers and numpy scalars."""
        hub = checkpoint["message_hub"]
        info = hub["runtime_info"]
        info.update({name: value.item() for name, value in info.items() if isinstance(value, np.generic)})
        hub["log_scalars"] = {name: _to_tensors(buffer) for name, buffer in hub["log_scalars"].items()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Rebuild the buffers for a training that is resumed."""
        scalars = checkpoint.get("message_hub", {}).get("log_scalars", {})
        for name, value in scalars.items():
            if isinstance(value, dict):
                scalars[name] = _from_tensors(value)


def _to_tensors(buffer: HistoryBuffer) -> dict[str, Any]:
    history, counts = buffer.data
    return {"history": torch.tensor(history), "counts": torch.tensor(counts), "max_length": buffer.max_length}


def _from_tensors(content: dict[str, Any]) -> HistoryBuffer:
    history, counts = content["history"].tolist(), content["counts"].tolist()
    return HistoryBuffer(history, counts, max_length=content["max_length"])
