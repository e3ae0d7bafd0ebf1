"""A training whose loss is no number any more ends, instead of going on for days with weights that are NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook

from mion_plugin.registry import HOOKS

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


@HOOKS.register_module()
class StopOnInvalidLossHook(Hook):
    """Stop the training when a loss is NaN or infinite; never save weights that are.

    Losses are looked at in every step, before a checkpoint of that step is written; mmengine reads them in every step
    anyway, so this costs no waiting for a GPU. All processes stop together. A finite loss can still have a gradient
    that is not, which shows in the weights: they are looked at when a checkpoint is made of them. A gradient scaler
    that skips steps (``--amp``) is left alone: the losses of these steps are finite, and the weights stay.

    Raises:
        ValueError: A loss, or a weight that is to be saved, is NaN or infinite.
    """

    priority = "VERY_HIGH"  # before a checkpoint is written

    def __init__(self) -> None:
        self._last_checkpoint: str | None = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Look at the losses: what mmengine adds up to the one that is trained, and that."""
        self._last_checkpoint = runner.message_hub.get_info("last_ckpt")
        losses = {name: torch.as_tensor(value).item() for name, value in (outputs or {}).items() if "loss" in name}
        invalid = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
        anywhere = torch.tensor(len(invalid))
        all_reduce(anywhere, "max")
        if anywhere:
            raise self._error(runner, ", ".join(invalid) or "a loss of another process is NaN or infinite")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Look at the weights."""
        for name, value in checkpoint["state_dict"].items():
            if not torch.isfinite(value).all():
                raise self._error(runner, f"weight {name} is NaN or infinite")

    def _error(self, runner: Runner, problem: str) -> ValueError:
        last = self._last_checkpoint
        kept = f"the last good checkpoint is {last}" if last else "no checkpoint was written before"
        where = f"epoch {runner.epoch + 1}, step {runner.iter + 1}"
        return ValueError(f"training stopped at {where}: {problem}; {kept}. Try a smaller learning rate or clip_grad")
