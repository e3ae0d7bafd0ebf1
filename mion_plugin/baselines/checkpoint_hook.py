"""Loading checkpoints of mmhuman3d."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from mion_plugin.baselines.checkpoints import from_mmhuman3d, is_from_mmhuman3d
from mion_plugin.registry import HOOKS

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


@HOOKS.register_module()
class MMHuman3DCheckpointHook(Hook):
    """Let ``MMHuman3DMethod`` load checkpoints that mmhuman3d wrote; others are left as they are."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Rename the weights."""
        weights = checkpoint.get("state_dict", checkpoint)
        if is_from_mmhuman3d(weights):
            checkpoint["state_dict"] = from_mmhuman3d(weights)
