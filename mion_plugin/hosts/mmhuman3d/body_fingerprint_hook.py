"""mmhuman3d's checkpoints tell with which body model their network was trained."""

from __future__ import annotations

from typing import Any

from mmcv.parallel import is_module_wrapper
from mmcv.runner import Hook

from mion_plugin.weights import BODY, check_body, find_body, trained_body


class BodyFingerprintHook(Hook):
    """``mion.BodyFingerprintHook`` for mmcv's runner: the body's fingerprint goes into checkpoints.

    ``custom_hooks = [dict(type='BodyFingerprintHook')]`` in a config. The runner writes what its ``meta`` holds into
    every checkpoint, that of the best score included. It does not tell hooks what ``load_from`` loads: that is not
    compared.

    Raises:
        ValueError: The training that is resumed had another body; the message names both.
    """

    def before_run(self, runner: Any) -> None:
        """Compare what was resumed, and add ``meta.body``."""
        model = runner.model.module if is_module_wrapper(runner.model) else runner.model
        body = find_body(model)
        if body is None:
            return
        meta = runner.meta or {}
        if runner.iter > 0:
            source = "the checkpoint of resume_from"
            check_body(model, trained_body({"meta": meta}, source), source)
        runner.meta = {**meta, BODY: body.fingerprint.record()}
