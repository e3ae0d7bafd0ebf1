"""Checkpoints tell with which body model their network was trained, and are held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from mion_plugin.engine.unwrapping import unwrapped_model
from mion_plugin.registry import HOOKS
from mion_plugin.weights import BODY, check_body, check_initial_weights, find_body, trained_body

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


@HOOKS.register_module()
class BodyFingerprintHook(Hook):
    """Write the body's fingerprint into checkpoints, and compare those that the runner or ``init_cfg`` loads.

    A network knows the vertices' order, the body's height and the colours of its PNCC, and loads into any other body
    without complaint.

    Raises:
        ValueError: A checkpoint was trained with another body; the message names both.
    """

    priority = "VERY_LOW"  # after hooks that change the checkpoint

    def before_train(self, runner: Runner) -> None:
        """Compare the files that the model or a network of it has started from (``check_initial_weights``)."""
        check_initial_weights(unwrapped_model(runner))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add ``meta.body``."""
        body = find_body(unwrapped_model(runner))
        if body is not None:
            checkpoint["meta"][BODY] = body.fingerprint.record()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare it with the model's."""
        source = str(runner._load_from or "the checkpoint")  # mmengine has no public name for it
        check_body(unwrapped_model(runner), trained_body(checkpoint, source), source)
