"""The three stages together: candidates, refinement, and the choice of one body (paper, figure 1)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mion_plugin import path_selection
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision
from mion_plugin.parts import Part, build_part
from mion_plugin.path_selection import RULES
from mion_plugin.registry import MODELS
from mion_plugin.weights import load_part

Path = str | os.PathLike[str]
_PATHS = ("pose", "betas", "transl")


@dataclass(frozen=True)
class MIONOutput:
    """N refined bodies for each of B images, and which of them is the answer.

    Attributes:
        pose: (B, N, 24, 3, 3) rotation matrices, index 0 the global orientation in the camera frame.
        betas: (B, N, 10).
        transl: (B, N, 3) metres, camera frame.
        scores: (B, N) of the consistency estimation network, or None without one.
        combined_scores: (B, N) those combined with the reprojection error, or None without network or keypoints.
        selection_scores: (B, N) what ``selection`` goes by; the lowest wins, the first of equals.
        selected: (B,) the path that wins.
    """

    pose: Tensor
    betas: Tensor
    transl: Tensor
    scores: Tensor | None
    combined_scores: Tensor | None
    selection_scores: Tensor
    selected: Tensor


@MODELS.register_module(name=["MultiInitializationOptimizationNetwork", "MION"])
class MultiInitializationOptimizationNetwork(BaseModel):
    """Candidates from 2D keypoints, each refined, and the one that agrees best with the image (paper, section 3).

    For testing: the stages are trained on their own. Each is replaceable: stage 1 in the refiner's config
    (``selector``, or None where the data bring candidates); stage 2 by any model whose mode ``predict`` gives
    ``pred_bodies`` as ``mion.MRT`` and that has its ``body`` and ``camera``; stage 3 by any module with
    ``cen(image, vertices) -> scores (B, N)``, or by nothing and another ``selection``.

    Args:
        refiner: A ``mion.MRT`` with its selector.
        cen: A ``mion.CEN``, whose camera and body default to the refiner's; None for none.
        num_candidates: N, in place of the selector's.
        selection: How one of the N paths is chosen:

            - ``cen``: by the lowest score of the network (paper, 3.3);
            - ``first``: the one whose candidate had the lowest fit loss (paper, table 1: 1-path);
            - ``reprojection``: by the lowest error to the 2D keypoints;
            - ``cen+reprojection``: by score + ``reprojection_weight`` x the root mean square of that error as a share
              of the crop's side;
            - ``random``: paper, table 3: w/o CEN; depends on (``seed``, ``sample_idx``) alone;
            - ``oracle``: by the lowest MPJPE, for which samples need ground truth (paper, table 3: upper bound).
        reprojection_weight: See ``cen+reprojection``. A score is in body heights, and a person about fills the crop, so
            with 1 both errors count alike.
        seed: See ``random``.
        refiner_checkpoint: File with the refiner's weights: a training's checkpoint, or what ``save_weights`` wrote.
        cen_checkpoint: File with the network's.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: An option is out of range or does not suit the parts, or a checkpoint does not fit its part.
    """

    def __init__(
        self,
        refiner: Part,
        cen: Part | None = None,
        num_candidates: int | None = None,
        selection: str = "cen",
        reprojection_weight: float = 1.0,
        seed: int = 0,
        refiner_checkpoint: Path | None = None,
        cen_checkpoint: Path | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        _check_options(selection, reprojection_weight, cen, cen_checkpoint)
        self.selection, self.reprojection_weight, self.seed = selection, float(reprojection_weight), seed
        self.refiner: Any = build_part(refiner)
        self.cen = None if cen is None else _build_cen(cen, self.refiner)
        if num_candidates is not None:
            _set_num_candidates(self.refiner, num_candidates)
        if refiner_checkpoint is not None:
            load_part(self.refiner, refiner_checkpoint, "refiner")
        if self.cen is not None and cen_checkpoint is not None:
            load_part(self.cen, cen_checkpoint, "cen")

    @property
    def body(self) -> SMPLBody:
        """The refiner's body model."""
        return self.refiner.body

    @property
    def camera(self) -> CropCamera:
        """The refiner's camera of the crop."""
        return self.refiner.camera

    @torch.no_grad()
    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = "tensor",
    ) -> MIONOutput | list[BaseDataElement]:
        """Run the three stages on a batch of a data loader; no gradients.

        Args:
            inputs: (B, 3, H, W), or B images (3, H, W), normalised float.
            data_samples: B samples of ``PackBodyInputs``.
            mode: ``predict``: a copy of each sample with ``pred_bodies`` and ``candidates`` as ``mion.MRT`` gives them,
                and in ``pred_bodies`` also ``scores`` (N,), ``combined_scores`` (N,), ``selection_scores`` (N,), those
                of them that ``MIONOutput`` has, and ``selected`` (), the chosen path. ``tensor``: a ``MIONOutput``.

        Raises:
            ValueError: Images or samples that the refiner cannot take, samples that lack what ``selection`` needs, or
                an unknown mode, or ``loss``.
        """
        if mode == "loss":
            raise ValueError(
                "mion.MION is for testing; train its stages on their own with tools/train.py: stage 2 as mion.MRT, "
                "stage 3 as mion.ConsistencyModel (stage 1 has nothing to train)"
            )
        if mode not in ("tensor", "predict"):
            raise ValueError(f"mode is {mode!r}, expected tensor or predict")
        results = self.refiner(inputs, data_samples, mode="predict")
        image = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
        output = self._choose(image, results)
        return output if mode == "tensor" else _add_choice(results, output)

    def _choose(self, image: Tensor, results: Sequence[BaseDataElement]) -> MIONOutput:
        """Score the paths of the refiner's results, and choose."""
        with full_precision(image):
            pose, betas, transl = (torch.stack([result.pred_bodies.get(key) for result in results]) for key in _PATHS)
            scores = None if self.cen is None else self._cen_scores(image, pose, betas, transl)
            reprojection, combined = self._reprojection(results), None
            if scores is not None and reprojection is not None:
                combined = path_selection.combined_scores(scores, reprojection, self.reprojection_weight)
            own = {"cen": scores, "reprojection": reprojection, "cen+reprojection": combined}
            chosen_by = own[self.selection] if self.selection in own else self._other_scores(results, transl[..., 0])
            if chosen_by is None:
                raise ValueError(f"selection {self.selection!r} needs samples with keypoints2d")
        return MIONOutput(pose, betas, transl, scores, combined, chosen_by, chosen_by.argmin(dim=1))

    def _cen_scores(self, image: Tensor, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        vertices = self.body(pose, betas, transl).vertices
        return self.cen(image, vertices).float()  # type: ignore[misc]

    def _reprojection(self, results: Sequence[BaseDataElement]) -> Tensor | None:
        """``reprojection_error`` (B, N), or None where the samples bring no keypoints."""
        if not all("fit_loss" in result.pred_bodies for result in results):
            return None
        fit_loss = torch.stack([result.pred_bodies.fit_loss for result in results])
        return path_selection.reprojection_error(fit_loss, results, self.camera.image_size)

    def _other_scores(self, results: Sequence[BaseDataElement], like: Tensor) -> Tensor:
        """Scores (B, N), as ``like``, of the rules that ask neither network nor keypoints."""
        if self.selection == "first":
            return path_selection.first_scores(like)
        if self.selection == "random":
            return path_selection.random_scores(results, like, self.seed)
        if not all("keypoints3d" in result.pred_bodies for result in results):
            raise ValueError("selection 'oracle' needs a body model with the Human3.6M regressor")
        keypoints3d = torch.stack([result.pred_bodies.keypoints3d for result in results])
        return path_selection.true_errors(results, keypoints3d, self.body)


def _add_choice(results: list[BaseDataElement], output: MIONOutput) -> list[BaseDataElement]:
    """The refiner's results with the scores and the chosen path in ``pred_bodies``."""
    for row, result in enumerate(results):
        for name in ("scores", "combined_scores", "selection_scores", "selected"):
            value = getattr(output, name)
            if value is not None:
                result.pred_bodies.set_data({name: value[row]})
    return results


def _check_options(selection: str, weight: float, cen: Part | None, cen_checkpoint: Path | None) -> None:
    if selection not in RULES:
        raise ValueError(f"selection is {selection!r}, expected one of {', '.join(RULES)}")
    if cen is None and (selection.startswith("cen") or cen_checkpoint is not None):
        named = (
            f"selection is {selection!r}" if cen_checkpoint is None else f"cen_checkpoint is {str(cen_checkpoint)!r}"
        )
        raise ValueError(f"{named}, but cen is None; give the network's config, or selection='first' and no checkpoint")
    if not 0 <= weight < float("inf"):
        raise ValueError(f"reprojection_weight is {weight}, expected a number not below 0")


def _build_cen(cen: Part, refiner: Any) -> nn.Module:
    camera = refiner.camera
    built = build_part(cen, focal_length=camera.focal_length, image_size=camera.image_size, body=refiner.body)
    own = getattr(built, "camera", camera)
    if (own.focal_length, own.image_size) != (camera.focal_length, camera.image_size):
        raise ValueError(
            f"the cen's camera has focal_length {own.focal_length} and image_size {own.image_size}, the refiner's "
            f"{camera.focal_length} and {camera.image_size}"
        )
    return built


def _set_num_candidates(refiner: Any, num_candidates: int) -> None:
    selector = getattr(refiner, "selector", None)
    if selector is None:
        raise ValueError(f"num_candidates is {num_candidates}, but the refiner has no selector: its data bring them")
    available = selector.scorer.num_candidates
    if not 1 <= num_candidates <= available:
        raise ValueError(f"num_candidates is {num_candidates}, expected 1 to {available}, the size of the pool")
    selector.num_candidates = num_candidates
