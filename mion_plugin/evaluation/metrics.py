"""The errors as an mmengine metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mion_plugin.evaluation.choice.fields import DEFAULT_CHOOSERS, choosers_of, path_scores
from mion_plugin.evaluation.errors import evaluation_joints, mpjpe, pa_mpjpe, pve, root_aligned, shape_l2
from mion_plugin.evaluation.points import (
    GEOMETRY,
    BodyPoints,
    PosedBodies,
    path_betas,
    path_pose,
    predicted_points,
    stack_paths,
)
from mion_plugin.evaluation.statistics import STATISTICS, current_names, path_statistics
from mion_plugin.evaluation.truth import Truth, gather_truth
from mion_plugin.registry import METRICS
from mion_plugin.samples import sample_name

JOINT_ERRORS = ("MPJPE", "PA-MPJPE")
VERTEX_ERRORS = ("PVE", "VERTEX-L2", "PVE-PELVIS")
ERRORS = (*JOINT_ERRORS, *VERTEX_ERRORS, "SHAPE-L2")
GROUND_TRUTHS = ("smpl", "keypoints3d")
CHOOSERS = "choosers"
# Field of a data sample -> prefix of its numbers; only the first must be there.
PATH_SETS = {"pred_bodies": "", "alternatives": "alternatives/", "candidates": "candidates/"}


@METRICS.register_module()
class MeshMetric(BaseMetric):
    """Errors of predicted bodies, of the alternatives to them and of the candidates they started from, millimetres.

    Data samples (as dicts) hold ``gt_body`` of ``PackBodyInputs``, and:

    - ``pred_bodies``: ``pose`` (N, 24, 3, 3) or (N, 24, 3) and ``betas`` (N, 10) of N paths; optionally ``vertices``
      (N, 6890, 3) and ``keypoints3d`` (N, 17, 3) in h36m order, both **without translation**, to spare posing the body
      again; optionally scores (N,) or ``selected`` (), see ``choosers``; optionally ``valid`` (), False for a person
      whose keypoints gave no candidates: counted with the others, and their number reported as ``num_invalid``;
    - ``alternatives``: the same for what else ``mion.MION`` gives, and
    - ``candidates``: for the bodies that the paths started from (``betas`` may be absent: mean shape). Either is left
      out where the samples have none.

    Errors, for each of the statistics of ``path_statistics``, named ``MPJPE/chosen``, ``candidates/MPJPE/oracle``, ...:

    - ``MPJPE``, ``PA-MPJPE``: 14 joints from the H36M regressor relative to the pelvis, as SPIN and mmhuman3d;
    - ``PVE``: as mmhuman3d: predicted pose and betas on the body of the **true gender**, nothing aligned;
    - ``VERTEX-L2``: the predicted (neutral) surface against the true one, nothing aligned; how the
      paper's table 6 is read here (it prints metres and does not say whether it aligns);
    - ``PVE-PELVIS``: the same with both surfaces relative to their pelvis;
    - ``SHAPE-L2``: L2 distance of the betas (paper, table 6), no unit.

    Args:
        errors: Which errors.
        statistics: Which statistics.
        ground_truth: Where the true joints come from: ``smpl``, the SMPL mesh of the sample's gender (3DPW), or
            ``keypoints3d``, the annotated joints (Human3.6M). Samples without it are left out of the joint errors,
            samples without SMPL of the others.
        choosers: Ways to choose a path: ``chosen``, what the model went by, and rules (``first``, ``reprojection``,
            ``cen``, ``cen+reprojection``); or name -> field of the paths (N,) whose lowest value chooses. See
            ``path_scores`` for paths without that field. Default: ``('chosen', 'reprojection')``.
        body: Config of the ``SMPLBody``; give ``model_path`` to score with the licensed SMPL.
        seed: Of the random path, which depends on (seed, ``sample_idx``) alone.
        collect_device, prefix, collect_dir: See mmengine's ``BaseMetric``.

    Raises:
        ValueError: An unknown error, statistic or ground truth.
    """

    default_prefix = "body"

    def __init__(
        self,
        errors: Sequence[str] = ERRORS,
        statistics: Sequence[str] = STATISTICS,
        ground_truth: str = "smpl",
        choosers: Mapping[str, str] | Sequence[str] | None = None,
        body: Mapping[str, Any] | None = None,
        seed: int = 0,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        for name, values, known in (
            ("errors", errors, ERRORS),
            ("statistics", current_names(statistics), STATISTICS),
            ("ground_truth", [ground_truth], GROUND_TRUTHS),
        ):
            unknown = [value for value in values if value not in known]
            if unknown or not values:
                raise ValueError(f"{name} {list(values)}, expected some of {', '.join(known)}")
        self.errors = tuple(errors)
        self.statistics = current_names(statistics)
        self.ground_truth = ground_truth
        self.choosers = choosers_of(choosers or DEFAULT_CHOOSERS)
        self.seed = seed
        self._bodies = PosedBodies(body or {"type": "mion.SMPLBody"})
        self._vertices = any(error in VERTEX_ERRORS for error in self.errors)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Measure a batch; only the errors are kept."""
        results: list[dict] = [{"draw": self._draw(sample), "invalid": _is_invalid(sample)} for sample in data_samples]
        truth: Truth | None = None
        for field in PATH_SETS:
            if PATH_SETS[field] and not any(field in sample for sample in data_samples):
                continue
            paths = stack_paths(data_samples, field)
            device = next(iter(paths.values())).device
            if truth is None:
                truth = gather_truth(data_samples, self._bodies, self.ground_truth, self._vertices, device)
            for result, sample in zip(results, data_samples, strict=True):
                result[field] = {CHOOSERS: self._choosers(sample, field)}
            for name, (rows, values) in self._measure(paths, truth).items():
                for row, value in zip(rows.tolist(), values.cpu().numpy(), strict=True):
                    results[row][field][name] = value
        self.results.extend(results)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Statistics over all samples.

        Raises:
            ValueError: No sample has the ground truth of an error, or the numbers of paths differ.
        """
        report: dict[str, float] = {
            "num_samples": len(results),
            "num_invalid": sum(result["invalid"] for result in results),
        }
        for field, prefix in PATH_SETS.items():
            if prefix and not any(field in result for result in results):
                continue
            for error in self.errors:
                rows = [result for result in results if error in result.get(field, {})]
                if not rows:
                    raise ValueError(
                        f"no sample has the ground truth for {error} (ground_truth={self.ground_truth!r}); leave it "
                        f"out of errors, which are {', '.join(self.errors)}"
                    )
                report |= {f"{prefix}{error}/{name}": value for name, value in self._reduce(rows, field, error).items()}
        return report

    def _reduce(self, rows: list[dict], field: str, error: str) -> dict[str, float]:
        counts = {len(row[field][error]) for row in rows}
        if len(counts) > 1:
            raise ValueError(f"samples have {', '.join(map(str, sorted(counts)))} paths, expected one number for all")
        names = [name for name in self.choosers if all(name in row[field][CHOOSERS] for row in rows)]
        choosers = {name: np.stack([row[field][CHOOSERS][name] for row in rows]) for name in names}
        draws = np.array([row["draw"] for row in rows])
        return path_statistics(np.stack([row[field][error] for row in rows]), choosers, draws, self.statistics)

    def _choosers(self, sample: dict, field: str) -> dict[str, np.ndarray]:
        element = sample[field]
        num_paths = next(len(element[key]) for key in GEOMETRY if key in element)
        try:
            return path_scores(element, self.choosers, num_paths)
        except ValueError as error:
            raise ValueError(f"{sample_name(sample)}: {field}: {error}") from None

    def _draw(self, sample: dict) -> float:
        return np.random.default_rng([self.seed, int(sample["sample_idx"])]).random()

    def _measure(self, paths: dict[str, Tensor], truth: Truth) -> dict[str, tuple[Tensor, Tensor]]:
        """Name -> the rows of the batch that have it, and their values (rows, N)."""
        points = predicted_points(paths, self._bodies, self._vertices)
        rows = truth.has_joints.nonzero()[:, 0]
        measured: dict[str, tuple[Tensor, Tensor]] = {}
        if len(rows):
            pred = evaluation_joints(points.joints[rows])
            args = (pred, truth.joints[rows, None], truth.joints_mask[rows, None])
            measured |= {"MPJPE": (rows, mpjpe(*args)), "PA-MPJPE": (rows, pa_mpjpe(*args))}
        rows = truth.has_smpl.nonzero()[:, 0]
        if len(rows):
            errors = self._surface_errors(paths, points, truth, rows)
            measured |= {name: (rows, values) for name, values in errors.items()}
        return {name: value for name, value in measured.items() if name in self.errors}

    def _surface_errors(
        self, paths: dict[str, Tensor], points: BodyPoints, truth: Truth, rows: Tensor
    ) -> dict[str, Tensor]:
        """Errors (rows, N) against the SMPL truth of some rows of the batch."""
        errors = {}
        if "SHAPE-L2" in self.errors:
            errors["SHAPE-L2"] = shape_l2(path_betas(paths)[rows], truth.betas[rows, None])
        if points.vertices is None or truth.points.vertices is None:
            return errors
        pred, true = points.vertices[rows], truth.points.vertices[rows, None]
        errors["VERTEX-L2"] = pve(pred, true)
        if "PVE-PELVIS" in self.errors:
            aligned = root_aligned(pred, points.joints[rows, :, 0])
            errors["PVE-PELVIS"] = pve(aligned, root_aligned(true, truth.points.joints[rows, None, 0]))
        if "PVE" in self.errors:
            genders = [truth.genders[row] for row in rows.tolist()]
            same_gender = self._bodies.pose(path_pose(paths)[rows], path_betas(paths)[rows], genders, vertices=True)
            errors["PVE"] = pve(same_gender.vertices, true)  # type: ignore[arg-type]
        return errors


def _is_invalid(sample: dict) -> bool:
    return not bool(sample.get("pred_bodies", {}).get("valid", True))
