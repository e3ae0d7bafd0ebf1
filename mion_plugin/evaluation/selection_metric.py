"""The choice of a path as an mmengine metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from mion_plugin.evaluation.choice.fields import RULE_FIELDS, choosers_of, path_scores
from mion_plugin.evaluation.choice.quality import NUM_RESAMPLES, selection_statistics
from mion_plugin.evaluation.metrics import CHOOSERS, MeshMetric
from mion_plugin.evaluation.points import GEOMETRY
from mion_plugin.registry import METRICS
from mion_plugin.samples import sample_name

# field; several fields, their ranks within the sample added; or field -> weight, the weighted sum
Chooser = str | Sequence[str] | Mapping[str, float]
DEFAULT_CHOOSERS = tuple(RULE_FIELDS)
_TIE_BREAK = 1e-3  # sums of ranks are multiples of a half


@METRICS.register_module()
class SelectionMetric(MeshMetric):
    """How well scores choose among the paths of ``pred_bodies``, and among the ``candidates`` if those have scores.

    Data samples as for ``MeshMetric``. Numbers are named ``MPJPE/cen/regret``, ``candidates/MPJPE/first/gap_closed``
    and so on, see ``selection_statistics``; errors are in millimetres. ``MPJPE/random/regret`` is that of a random
    path in expectation.

    Args:
        errors: Which true errors; see ``MeshMetric``.
        ground_truth: See ``MeshMetric``.
        choosers: Rules (``first``, ``reprojection``, ``cen``, ``cen+reprojection``: the default) and ``chosen``; or
            name -> what chooses: a field of the paths (``first`` for path 1); several fields, whose ranks within
            the sample are added, the first field deciding between equals; or fields with weights, whose weighted sum
            counts (a log-likelihood of the keypoints is linear in ``fit_loss``). The lowest wins. Choosers whose fields
            are absent are left out.
        num_resamples: Of the bootstrap intervals over samples; 0 for none.
        body: See ``MeshMetric``.
        seed: Of the resampling.
        collect_device, prefix, collect_dir: See mmengine's ``BaseMetric``.

    Raises:
        ValueError: An unknown error or ground truth, a chooser without fields.
    """

    default_prefix = "selection"

    def __init__(
        self,
        errors: Sequence[str] = ("MPJPE",),
        ground_truth: str = "smpl",
        choosers: Mapping[str, Chooser] | Sequence[str] | None = None,
        num_resamples: int = NUM_RESAMPLES,
        body: Mapping[str, Any] | None = None,
        seed: int = 0,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(
            errors=errors,
            ground_truth=ground_truth,
            body=body,
            seed=seed,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
        )
        if num_resamples < 0:
            raise ValueError(f"num_resamples is {num_resamples}, expected 0 or more")
        self.num_resamples = num_resamples
        self.selection_choosers = choosers_of(choosers or DEFAULT_CHOOSERS)
        for name, chooser in self.selection_choosers.items():
            if not chooser:
                raise ValueError(f"chooser {name!r} is {chooser!r}, expected a field or several")

    def _choosers(self, sample: dict, field: str) -> dict[str, np.ndarray]:
        element = sample[field]
        num_paths = next(len(element[key]) for key in GEOMETRY if key in element)
        found = {}
        for name, chooser in self.selection_choosers.items():
            try:
                values = chooser_values(element, chooser, num_paths)
            except ValueError as error:
                raise ValueError(f"{sample_name(sample)}: {field}: {error}") from None
            if values is not None:
                found[name] = values
        return found

    def _reduce(self, rows: list[dict], field: str, error: str) -> dict[str, float]:
        counts = {len(row[field][error]) for row in rows}
        if len(counts) > 1:
            raise ValueError(f"samples have {', '.join(map(str, sorted(counts)))} paths, expected one number for all")
        errors = np.stack([row[field][error] for row in rows])
        report = {"random/regret": float((errors.mean(axis=1) - errors.min(axis=1)).mean())}
        for name in self.selection_choosers:
            if all(name in row[field][CHOOSERS] for row in rows):
                values = np.stack([row[field][CHOOSERS][name] for row in rows])
                numbers = selection_statistics(errors, values, self.seed, self.num_resamples)
                report |= {f"{name}/{number}": value for number, value in numbers.items()}
        return report


def chooser_values(element: Mapping[str, Any], chooser: Chooser, num_paths: int) -> np.ndarray | None:
    """Values (N,) of the paths, the lowest wins, or an index (); None if a field is absent.

    Args:
        element: ``pred_bodies`` or ``candidates`` of one sample.
        chooser: See ``SelectionMetric``.
        num_paths: N.

    Raises:
        ValueError: A field that is neither N scores nor one index, or an index among several fields.
    """
    fields = [chooser] if isinstance(chooser, str) else list(chooser)
    found = path_scores(element, {f"field {field}": field for field in fields}, num_paths)
    if len(found) < len(fields):
        return None
    values = list(found.values())
    if isinstance(chooser, str):
        return values[0]
    if any(value.shape == () for value in values):
        raise ValueError(f"{', '.join(fields)} cannot be combined: one of them is an index")
    if isinstance(chooser, Mapping):
        # a weight of 0 must not make NaN of an infinite fit loss
        weighted = [weight * value for weight, value in zip(chooser.values(), values, strict=True) if weight]
        return np.sum([np.zeros(num_paths), *weighted], axis=0)
    ranks = rankdata(np.stack(values), axis=1)
    return ranks.sum(axis=0) + _TIE_BREAK * ranks[0]
