"""A runner's model, whether or not it is distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


def unwrapped_model(runner: Runner) -> nn.Module:
    """The runner's model, without what distributes it."""
    from mmengine.model import is_model_wrapper  # at first use: it imports half of mmengine

    return runner.model.module if is_model_wrapper(runner.model) else runner.model
