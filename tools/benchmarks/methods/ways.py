"""How the rows' bodies are made: starts, fits, and the choice among several."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import roma
import torch
from benchmarks.fitting import CANDIDATE_ITERATIONS, CANDIDATE_PRIOR, build_fit
from benchmarks.fitting_rivals import Fit, smplify_fit
from benchmarks.methods.people import Batch
from benchmarks.methods.rows import (
    BASELINES,
    CANDIDATES,
    CORRECTED,
    FIRST_CANDIDATE,
    FIRST_LIFTED,
    KEYPOINT_FIT,
    LIFTED,
    MEAN_POSE,
    MION,
    SMPLIFY,
    UNPLACED,
    Row,
)
from mmengine.config import Config
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.candidates import CandidateSelector, fit_translation
from mion_plugin.fitting import FittedBodies
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS
from mion_plugin.weights import load_part

_FIRST = slice(1)


class Ways:
    """Everything that rows are made of.

    Args:
        model: The whole MION.
        weights: Folder with a folder for each training of a baseline, named as its config.
    """

    def __init__(self, model: MultiInitializationOptimizationNetwork, weights: Path) -> None:
        self.model, self._weights = model, weights
        self.baseline = cache(self._build_baseline)
        self.fit = cache(self._build_fit)

    @torch.no_grad()
    def answer(self, row: Row, batch: Batch, keypoints2d: Tensor) -> Bodies:
        """(B, 1) what a row makes of a batch; ``keypoints2d`` (B, 17, 3) are those that it reads."""
        bodies = self._start(row, batch, keypoints2d)
        if row.then is None:
            return bodies
        fitted = self.fit(row.then, row.start)(bodies, keypoints2d)
        assert isinstance(fitted, FittedBodies)
        return fitted.take(fitted.cost.argmin(dim=1, keepdim=True))

    @torch.no_grad()
    def correct(self, batch: Batch) -> Tensor:
        """(B, 17, 3) the detector's keypoints as corrected by the picture."""
        cen = self.model.cen
        return cen.correct_keypoints(cen.look(batch.image), batch.keypoints2d)  # type: ignore[union-attr,operator]

    def _start(self, row: Row, batch: Batch, keypoints2d: Tensor) -> Bodies:
        model = self.model
        if row.start in BASELINES:
            bodies = self._predicted(row.start, batch)
            return self._placed(bodies, keypoints2d) if row.start in UNPLACED and row.then is not None else bodies
        if row.start == MEAN_POSE:
            return mean_pose(model.selector, keypoints2d)
        if row.start == MION:
            return self._mion(row, batch)
        candidates = model.selector(keypoints2d)
        if row.start in (FIRST_CANDIDATE, CANDIDATES):
            return candidates.take(_FIRST) if row.start == FIRST_CANDIDATE else candidates
        asked = candidates.take(_FIRST) if row.start == FIRST_LIFTED else candidates
        return model.refiner(batch.image, asked, keypoints2d)

    def _mion(self, row: Row, batch: Batch) -> Bodies:
        """The path that the model chooses; it corrects the keypoints by itself."""
        correct, self.model.correct_keypoints = self.model.correct_keypoints, row.keypoints == CORRECTED
        try:
            output = self.model.estimate(batch.image, batch.keypoints2d)
        finally:
            self.model.correct_keypoints = correct
        return output.bodies.take(output.selected[:, None])

    def _predicted(self, name: str, batch: Batch) -> Bodies:
        predicted = [sample.pred_bodies for sample in self.baseline(name)(batch.image, batch.samples, "predict")]
        return Bodies(*(torch.stack([one.get(key) for one in predicted]) for key in ("pose", "betas", "transl")))

    def _placed(self, bodies: Bodies, keypoints2d: Tensor) -> Bodies:
        """The bodies where their keypoints come nearest to those (B, 17, 3)."""
        model = self.model
        points = model.body.pose_keypoints(bodies.pose, bodies.betas, convention=model.keypoints2d_convention)
        camera = model.camera
        transl, _ = fit_translation(points.double(), keypoints2d.double(), camera.focal_length, camera.principal_point)
        transl[..., 2].abs_()  # somebody seen from the wrong side may fit best behind the camera
        return Bodies(bodies.pose, bodies.betas, transl.to(bodies.transl))

    def _build_baseline(self, name: str) -> nn.Module:
        path = best_checkpoint(self._weights, BASELINES[name])
        if path is None:
            raise FileNotFoundError(f"{name} is not trained: {training_command(BASELINES[name])}")
        method = MODELS.build(Config.fromfile(BASELINES[name]).model).eval()
        load_part(method, path)
        return method

    def _build_fit(self, name: str, start: str) -> Fit:
        """The fit of that name; a ``KeypointFit``'s prior is as wide as bodies of that start may be wrong."""
        if name != KEYPOINT_FIT:
            return smplify_fit({}, self.model.camera.image_size, in_pixels=name == SMPLIFY)
        if start in (FIRST_LIFTED, LIFTED):
            return self.model.fit  # type: ignore[return-value]
        return build_fit(self.model, CANDIDATE_PRIOR, iterations=CANDIDATE_ITERATIONS)


def mean_pose(selector: CandidateSelector, keypoints2d: Tensor) -> Bodies:
    """(B, 1) the mean of the pool's poses in that of its orientations, and at that place, that fit best."""
    mean = roma.special_procrustes(roma.rotvec_to_rotmat(selector.body_pose.double()).mean(dim=0))
    pose = torch.cat([selector.rotations[:, None], mean.expand(len(selector.rotations), *mean.shape)], dim=1).float()
    points = _default_body().pose_keypoints(pose, convention=selector.keypoints2d_convention).double()
    middle = (selector.image_size / 2, selector.image_size / 2)
    found = [fit_translation(points, person.double(), selector.focal_length, middle) for person in keypoints2d]
    best = torch.stack([loss.argmin() for _, loss in found])
    transl = torch.stack([transl[index] for (transl, _), index in zip(found, best, strict=True)]).float()
    return Bodies.with_mean_shape(pose[best][:, None], transl[:, None])


@cache
def _default_body() -> nn.Module:
    from mion_plugin.body import SMPLBody

    return SMPLBody()


def best_checkpoint(weights: Path, config: Path) -> Path | None:
    """The best epoch of a finished or running training, or None."""
    found = sorted((weights / config.stem).glob("best_*.pth"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def training_command(config: Path) -> str:
    """What trains a baseline, and goes on where it was interrupted."""
    return f"python tools/train.py {config} --resume"
