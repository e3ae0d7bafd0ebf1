"""The hash of what made a row: weights, configs and test data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.fitting import CANDIDATE_ITERATIONS, CANDIDATE_PRIOR, PRIOR
from benchmarks.fitting_rivals import smplify_config
from benchmarks.methods.rows import (
    CORRECTED,
    FIRST_LIFTED,
    KEYPOINT_FIT,
    LIFTED,
    MION,
    SMPLIFY,
    Row,
)
from benchmarks.methods.ways import best_checkpoint
from mmengine.config import Config
from torch import nn

from mion_plugin.files.hashing import hash_file
from mion_plugin.mion import MultiInitializationOptimizationNetwork

_DIGITS = 8
# The weights themselves count, and alternatives are no part of any row.
_NOT_TOLD = ("refiner_checkpoint", "cen_checkpoint", "alternatives")


class Identities:
    """Hashes of rows for one model and one test.

    Args:
        model: The whole MION.
        cfg: Its config.
        weights: See ``Ways``.
        data: What tells the test's people from others.
    """

    def __init__(
        self, model: MultiInitializationOptimizationNetwork, cfg: Config, weights: Path, data: Mapping[str, Any]
    ) -> None:
        self._cfg = {key: value for key, value in cfg.model.to_dict().items() if key not in _NOT_TOLD}
        self._weights = weights
        self._data = data
        self._digests = {
            "selector": _arrays_digest(model.selector, ("body_pose", "global_orient", "keypoints3d")),
            "refiner": weights_digest(model.refiner),
            "cen": weights_digest(model.cen),
        }

    def of(self, row: Row) -> str | None:
        """Eight hexadecimal digits; None for a row whose weights are not there."""
        told: list[Any] = [self._data, row.key]
        if row.baseline is not None:
            checkpoint = best_checkpoint(self._weights, row.baseline)
            if checkpoint is None:
                return None
            told += [Config.fromfile(row.baseline).model.to_dict(), hash_file(checkpoint)]
        if row.start == MION:
            return self.of_model(row.key)
        if row.keypoints == CORRECTED:
            told += self._part("cen")
        if row.start in (FIRST_LIFTED, LIFTED):
            told += self._part("refiner")
        if row.baseline is None:
            told += self._part("selector")
        return digest([*told, *self._fit(row)])

    def of_model(self, name: str) -> str:
        """Of something that depends on the whole model."""
        return digest([self._data, name, self._cfg, self._digests])

    def _part(self, name: str) -> list[Any]:
        return [self._cfg[name], self._digests[name]]

    def _fit(self, row: Row) -> list[Any]:
        if row.then is None:
            return []
        if row.then != KEYPOINT_FIT:
            return [smplify_config(row.then == SMPLIFY)]
        if row.start in (FIRST_LIFTED, LIFTED):
            return [self._cfg["fit"]]
        return [PRIOR, CANDIDATE_PRIOR, CANDIDATE_ITERATIONS]


def digest(told: Any) -> str:
    """Of plain values; those that JSON does not know count by their text."""
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def weights_digest(module: nn.Module | None) -> str:
    """Of a module's structure and weights."""
    told = hashlib.sha256(repr(module).encode())
    for name, value in ({} if module is None else module.state_dict()).items():
        told.update(name.encode() + np.ascontiguousarray(value.cpu().numpy()).tobytes())
    return told.hexdigest()


def _arrays_digest(module: nn.Module, names: tuple[str, ...]) -> str:
    """Of buffers that are no part of the weights: stage 1's pool."""
    told = hashlib.sha256()
    for name in names:
        told.update(np.ascontiguousarray(getattr(module, name).cpu().numpy()).tobytes())
    return told.hexdigest()
