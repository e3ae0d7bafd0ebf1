"""Checkpoints tell with which body model their network was trained, and are held to it; so are data that are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from mion_plugin.engine.unwrapping import unwrapped_model
from mion_plugin.parts import check_parts
from mion_plugin.registry import HOOKS
from mion_plugin.weights import (
    BODY,
    check_body,
    check_initial_weights,
    find_body,
    has_body,
    part_with_body,
    trained_body,
)

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


@HOOKS.register_module()
class BodyFingerprintHook(Hook):
    """Write the body's fingerprint into checkpoints, and compare those that the runner or ``init_cfg`` loads.

    A network knows the vertices' order, the body's height and the colours of its PNCC, and loads into any other body
    without complaint. It learns from any other, too, where the training data make their bodies themselves
    (``mion.LiftingDataset``, ``mion.SURREALSynthesisDataset``).

    Raises:
        ValueError: A checkpoint was trained with another body, or the training data show another, or through another
            camera; the message names both.
    """

    priority = "VERY_LOW"  # after hooks that change the checkpoint

    def before_train(self, runner: Runner) -> None:
        """Compare the files that the model or a network of it has started from, and the bodies of the training data."""
        model = unwrapped_model(runner)
        check_initial_weights(model)
        network = part_with_body(model)
        for maker in _makers_of_bodies(runner.train_dataloader.dataset):
            check_parts(**{f"training data ({type(maker).__name__})": maker, "model": network})

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add ``meta.body``."""
        body = find_body(unwrapped_model(runner))
        if body is not None:
            checkpoint["meta"][BODY] = body.fingerprint.record()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare it with the model's."""
        source = str(runner._load_from or "the checkpoint")  # mmengine has no public name for it
        check_body(unwrapped_model(runner), trained_body(checkpoint, source), source)


def _makers_of_bodies(dataset: Any) -> Iterator[Any]:
    """What poses bodies in a data set, or in those that it mixes or wraps."""
    if has_body(dataset):
        yield dataset
    inner = [getattr(dataset, name, None) for name in ("dataset", "synthesizer")]
    for part in (*inner, *getattr(dataset, "datasets", ())):
        if part is not None:
            yield from _makers_of_bodies(part)
