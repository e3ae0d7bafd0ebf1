"""A checkpoint of another model is an error, not a model with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from mion_plugin.engine.unwrapping import unwrapped_model
from mion_plugin.registry import HOOKS
from mion_plugin.weights import check_shared_weights, check_weights

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


@HOOKS.register_module()
class FittingCheckpointHook(Hook):
    """Refuse a checkpoint whose weights are not exactly the model's, before they are loaded.

    mmengine loads what fits and logs the rest, so that a model tested with another's checkpoint keeps random weights
    and gives numbers all the same. ``tools/test.py`` and ``tools/train.py --resume`` add this hook; for a training that
    starts from another's weights (``load_from``), ``tools/train.py`` adds it with ``partly``.

    Args:
        source: What to call the checkpoint in the error.
        partly: Take a checkpoint of which some weights fit, and refuse one of which none does.

    Raises:
        ValueError: Weights are missing, unknown or of another shape; or a training is to be resumed from a file that
            holds weights alone.
    """

    priority = "VERY_LOW"  # after hooks that change the checkpoint

    def __init__(self, source: str = "the checkpoint", partly: bool = False) -> None:
        self.source, self.partly = source, partly

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare the weights with the model's."""
        model = unwrapped_model(runner)
        if getattr(runner, "_resume", False) and "message_hub" not in checkpoint:  # mmengine has no public name for it
            raise ValueError(
                f"{self.source} holds weights and no state of a training to go on with, as a file of "
                "tools/publish_model.py does; start another training from it by load_from"
            )
        weights = checkpoint.get("state_dict", checkpoint)
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
        if self.partly:
            check_shared_weights(model, weights, self.source)
            return
        try:
            check_weights(model, weights, self.source)
        except ValueError as error:
            raise ValueError(f"{error}; give it the config that it was trained with") from None
