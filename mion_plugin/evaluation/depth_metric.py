"""Depths that a network reads, as an mmengine metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mion_plugin.evaluation.errors import MILLIMETRES
from mion_plugin.registry import METRICS

_INPUTS = {"": "", "_grey": "/grey", "_image": "/image"}  # suffix of a field -> of a number's name


@METRICS.register_module()
class DepthMetric(BaseMetric):
    """How wrong the depths of keypoints are that ``mion.DepthReaderTraining`` predicts, and whether it knows.

    Data samples (as dicts) hold ``pred_depths`` with ``depths`` and ``errors`` (K,) in metres; ``depths_grey`` and
    ``errors_grey``, with a grey picture in the image's place; ``depths_image`` and ``errors_image``, without keypoints;
    and, if the truth is known, ``true_depths`` (K,). Others are left out. Numbers:

    - ``error``: mean distance from the true depth, millimetres; ``error/grey`` and ``error/image`` likewise. What the
      picture is worth is the difference between ``error/grey`` and ``error``;
    - ``calibration``: mean of distance / stated error, 1 for a network that knows how wrong it is; likewise;
    - ``num_samples``.

    Args:
        collect_device, prefix, collect_dir: See mmengine's ``BaseMetric``.
    """

    default_prefix = "depth"

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Measure a batch; two numbers for each sample and input are kept."""
        for sample in data_samples:
            element = sample["pred_depths"]
            row: dict[str, float] = {}  # empty for one left out: the evaluator counts rows to drop a sampler's repeats
            self.results.append(row)
            if "true_depths" not in element:
                continue
            for suffix, name in _INPUTS.items():
                distance = (element[f"depths{suffix}"] - element["true_depths"]).abs()
                row[f"error{name}"] = MILLIMETRES * float(distance.mean())
                row[f"calibration{name}"] = float((distance / element[f"errors{suffix}"]).mean())

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Means over all samples.

        Raises:
            ValueError: No sample has true depths.
        """
        results = [row for row in results if row]
        if not results:
            raise ValueError("no sample has true_depths, which need SMPL parameters; leave mion.DepthMetric out")
        means = {name: float(np.mean([row[name] for row in results])) for name in results[0]}
        return {"num_samples": len(results), **means}
