"""mmhuman3d's checkpoints tell with which body model their network was trained."""

from __future__ import annotations

from typing import Any

from mmcv.parallel import is_module_wrapper
from mmcv.runner import Hook

from mion_plugin.weights import BODY, find_body


class BodyFingerprintHook(Hook):
    """``mion.BodyFingerprintHook`` for mmcv's runner: the body's fingerprint goes into checkpoints.

    ``custom_hooks = [dict(type='BodyFingerprintHook')]`` in a config. The runner writes what its ``meta`` holds into
    every checkpoint, that of the best score included. ``MIONEstimator`` itself compares what is loaded.
    """

    def before_run(self, runner: Any) -> None:
        """Add ``meta.body``, of this model: a resumed training's meta is the checkpoint's."""
        model = runner.model.module if is_module_wrapper(runner.model) else runner.model
        body = find_body(model)
        if body is not None:
            runner.meta = {**(runner.meta or {}), BODY: body.fingerprint.record()}
