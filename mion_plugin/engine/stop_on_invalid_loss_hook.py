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

    Losses are looked at every ``interval`` steps and at the end of an epoch, all of those since the last look; in
    between nothing waits for a GPU or another process. All processes stop together. No checkpoint is spoilt meanwhile:
    a loss or a gradient that is not finite shows in the weights, and those are looked at when a checkpoint is made of
    them. A gradient scaler that skips steps (``--amp``) is left alone: the losses of these steps are finite, and the
    weights stay.

    Args:
        interval: Steps from one look to the next.

    Raises:
        ValueError: A loss, or a weight that is to be saved, is NaN or infinite; an interval below 1.
    """

    priority = "VERY_HIGH"  # before a checkpoint is written

    def __init__(self, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f"interval is {interval}, expected 1 step or more")
        self.interval = interval
        self._last_checkpoint: str | None = None
        self._sums: dict[str, torch.Tensor] = {}  # of the losses since the last look, where the losses are

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Keep the losses, or look at them: what mmengine adds up to the one that is trained, and that."""
        self._last_checkpoint = runner.message_hub.get_info("last_ckpt")
        for name, value in (outputs or {}).items():
            if "loss" in name:
                value = torch.as_tensor(value).detach()
                self._sums[name] = self._sums[name] + value if name in self._sums else value
        if (batch_idx + 1) % self.interval == 0:
            self._look(runner, step=runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Look at those of the last steps."""
        self._look(runner, step=runner.iter)

    def _look(self, runner: Runner, step: int) -> None:
        sums, self._sums = self._sums, {}
        losses = {name: value.item() for name, value in sums.items()}
        invalid = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
        anywhere = torch.tensor(len(invalid))
        all_reduce(anywhere, "max")
        if anywhere:
            raise self._error(runner, ", ".join(invalid) or "a loss of another process is NaN or infinite", step)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Look at the weights."""
        for name, value in checkpoint["state_dict"].items():
            if not torch.isfinite(value).all():
                raise self._error(runner, f"weight {name} is NaN or infinite", runner.iter + 1)

    def _error(self, runner: Runner, problem: str, step: int) -> ValueError:
        last = self._last_checkpoint
        kept = f"the last good checkpoint is {last}" if last else "no checkpoint was written before"
        where = f"epoch {runner.epoch + 1}, step {step}"
        return ValueError(f"training stopped at {where}: {problem}; {kept}. Try a smaller learning rate or clip_grad")
