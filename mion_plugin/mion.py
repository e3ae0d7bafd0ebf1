"""MION: several bodies for a photograph, and the one that fits it best (paper, section 3 and figure 1).

candidates = selector(keypoints2d)                  stage 1: several coarse bodies that explain the keypoints
bodies = refiner(image, candidates, keypoints2d)    stage 2: each refined in a branch of its own
scores = cen(image, bodies)                         stage 3: how far each is from the truth, by the picture
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.evaluation.choice.rules import (
    LABEL_RULES,
    RULES,
    Labels,
    combined_scores,
    first_scores,
    fit_loss_of,
    reprojection_error,
)
from mion_plugin.fitting import FittedBodies
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision, require_full_precision
from mion_plugin.parts import Part, build_at_camera, build_part, check_parts
from mion_plugin.refinement.network import RefinementNetwork
from mion_plugin.registry import MODELS
from mion_plugin.renamed_parts import parts_of_refiner, rename_weights
from mion_plugin.samples import (
    DEFAULT_CONVENTIONS,
    add_results,
    check_mode,
    check_samples,
    convention_read,
    known_depths,
    pack_bodies,
    provided_candidates,
    read_depths,
    read_keypoints,
    stack_images,
)
from mion_plugin.weights import REFINER_PARTS, load_part

Path = str | os.PathLike[str]
_SELECTOR = MappingProxyType({"type": "mion.CandidateSelector"})


@dataclass(frozen=True)
class MIONOutput:
    """N refined bodies for each of B images, and which of them is the answer.

    Attributes:
        keypoints2d: (B, K, 3) what the stages have read: the keypoints that were given, or as corrected by the picture.
            None where none were given.
        candidates: (B, N) of stage 1.
        bodies: (B, N) of stage 2, fitted if there is a fit; poses as matrices; with ``fit_loss`` where keypoints are
            given.
        scores: (B, N) of stage 3, in body heights, or None without one.
        combined_scores: (B, N) those combined with the reprojection error, or None without network or keypoints.
        selection_scores: (B, N) what ``selection`` goes by; the lowest wins, the first of equals.
        selected: (B,) the path that wins.
    """

    keypoints2d: Tensor | None
    candidates: Bodies
    bodies: Bodies
    scores: Tensor | None
    combined_scores: Tensor | None
    selection_scores: Tensor
    selected: Tensor


@MODELS.register_module(name=["MultiInitializationOptimizationNetwork", "MION"])
class MultiInitializationOptimizationNetwork(BaseModel):
    """Candidates from 2D keypoints, each refined, and the one that agrees best with the image.

    For testing: the stages are trained on their own. Each is replaceable, by a config or a built module:

    - ``selector``: ``selector(keypoints2d) -> Bodies``; for ``num_candidates`` also ``selector.keep(num_candidates)``;
    - ``refiner``: ``refiner(image, candidates, keypoints2d) -> Bodies``, with its ``body`` and ``camera``, and
      ``keypoints2d_convention`` if it reads keypoints; one with a true ``reads_depths`` is also given ``depths``, where
      there are any;
    - ``cen``: ``cen(image, bodies) -> scores (B, N)``, the lowest is best; for ``correct_keypoints`` also
      ``cen.look(image)``, ``cen.correct_keypoints(seen, keypoints2d)`` and ``cen(image, bodies, seen)``;
    - ``fit``: ``fit(bodies, keypoints2d) -> FittedBodies``, with ``depths`` as the refiner; for ``alternatives`` also
      ``fit.alternatives(bodies, keypoints2d, selected) -> Bodies``; not in the paper.

    Args:
        refiner: Stage 2, a ``mion.RefinementNetwork``, or the ``mion.MRT`` around it.
        selector: Stage 1, a ``mion.CandidateSelector``, whose camera defaults to the refiner's; None where the data
            provide candidates (``provided_candidates``).
        cen: Stage 3, a ``mion.CEN`` or ``mion.DepthConsistency``, whose camera and body default to the refiner's; None
            for none.
        fit: A ``mion.KeypointFit`` that pulls the refined bodies onto the 2D keypoints before they are scored; camera
            and body are the refiner's. None (the paper) for none.
        correct_keypoints: Have the third stage move the 2D keypoints to where it sees them in the picture, before stage
            1; all stages read those. Not in the paper.
        alternatives: With a fit, also predict, beside the N paths, the chosen one and N - 1 bodies that differ from it
            as far as the keypoints allow; see ``mion.KeypointFit.alternatives``. Fitted paths end near each other. Not
            in the paper.
        num_candidates: N, in place of the selector's.
        selection: The rule by which one of the N paths is chosen; see ``evaluation/choice/rules.py``.
        reprojection_weight: Of the reprojection error, the root mean square as a share of the crop's side, in the rule
            ``cen+reprojection``. A score is in body heights, and a person about fills the crop, so with 1 both errors
            count alike.
        seed: Of the rule ``random``.
        refiner_checkpoint: File with the refiner's weights: a training's checkpoint, or what ``save_weights`` wrote.
        cen_checkpoint: File with the network's.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: An option is out of range, parts do not suit each other, or a checkpoint does not fit its part.
    """

    def __init__(
        self,
        refiner: Part,
        selector: Part | None = _SELECTOR,
        cen: Part | None = None,
        fit: Part | None = None,
        correct_keypoints: bool = False,
        alternatives: bool = False,
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
        _check_options(selection, reprojection_weight, cen, cen_checkpoint, fit)
        self.selection, self.reprojection_weight, self.seed = selection, float(reprojection_weight), seed
        refiner, selector = parts_of_refiner(refiner, selector, default=_SELECTOR)
        self.refiner: RefinementNetwork = build_part(refiner)
        camera, body = self.refiner.camera, self.refiner.body
        self.selector: CandidateSelector | None = build_at_camera(selector, camera)
        self.cen: nn.Module | None = build_at_camera(cen, camera, body=body)
        self.fit: nn.Module | None = build_at_camera(fit, camera, body=body, convention=self.keypoints2d_convention)
        check_parts(selector=self.selector, cen=self.cen, fit=self.fit, refiner=self.refiner)
        self.correct_keypoints = correct_keypoints
        self.gives_alternatives = alternatives and self.fit is not None
        if correct_keypoints:
            _check_corrector(self.cen, self.keypoints2d_convention)
        if num_candidates is not None:
            _set_num_candidates(self.selector, num_candidates)
        if refiner_checkpoint is not None:
            load_part(self.refiner, refiner_checkpoint, REFINER_PARTS)
        if self.cen is not None and cen_checkpoint is not None:
            load_part(self.cen, cen_checkpoint, "cen")
        self.register_load_state_dict_pre_hook(_rename_loaded)

    @property
    def body(self) -> SMPLBody:
        """The body model that all stages share."""
        return self.refiner.body

    @property
    def camera(self) -> CropCamera:
        """The camera of the crop that all stages share."""
        return self.refiner.camera

    @property
    def keypoints2d_convention(self) -> str:
        """Order of the 2D keypoints that the stages read."""
        return convention_read(self.selector, self.refiner) or DEFAULT_CONVENTIONS["keypoints2d"]

    @torch.no_grad()
    def estimate(
        self,
        image: Tensor,
        keypoints2d: Tensor | None,
        candidates: Bodies | None = None,
        labels: Labels | None = None,
        depths: Tensor | None = None,
    ) -> MIONOutput:
        """The method: tensors in, tensors out; no gradients.

        Args:
            image: (B, 3, H, W) normalised float crops.
            keypoints2d: (B, K, 3) x, y in crop pixels and confidence, in ``keypoints2d_convention``; None only where no
                part reads them.
            candidates: (B, N) to start from, in place of stage 1's.
            labels: What the rules ``random`` and ``oracle`` need.
            depths: (B, K, 2) what is known of the keypoints' depths: metres behind the middle of the hips, camera
                frame, and precision, 1 / metres, 0 for unknown; see ``read_depths``. For a stage 2, and a fit, that
                read them; others go without.

        Raises:
            ValueError: Something that a stage cannot take, or that ``selection`` needs, is missing.
        """
        return self._estimate(image, keypoints2d, candidates, labels, depths)[0]

    def _estimate(
        self,
        image: Tensor,
        keypoints2d: Tensor | None,
        candidates: Bodies | None,
        labels: Labels | None,
        depths: Tensor | None,
    ) -> tuple[MIONOutput, list[Any]]:
        """``estimate``, and what ``look`` saw."""
        require_full_precision(self)
        keypoints2d, *seen = self.look(image, keypoints2d)
        if candidates is None:
            candidates = self.selector(keypoints2d)  # type: ignore[misc]
        bodies = self.refiner(image, candidates, keypoints2d, **known_depths(self.refiner, depths))
        if self.fit is not None:
            bodies = self.fit(bodies, keypoints2d, **known_depths(self.fit, depths))
        scores = None if self.cen is None else self.cen(image, bodies, *seen)
        return self.choose(candidates, bodies, scores, keypoints2d, labels), seen

    @torch.no_grad()
    def look(self, image: Tensor, keypoints2d: Tensor | None) -> tuple[Any, ...]:
        """The keypoints (B, K, 3) that the stages read and, where the picture corrects them, what ``cen.look`` gave.

        The latter is the dear part, and the third argument of ``cen``; arguments as ``estimate``.
        """
        if not self.correct_keypoints or keypoints2d is None:
            return (keypoints2d,)
        seen = self.cen.look(image)  # type: ignore[union-attr,operator]
        return self.cen.correct_keypoints(seen, keypoints2d), seen  # type: ignore[union-attr,operator]

    def choose(
        self,
        candidates: Bodies,
        bodies: Bodies,
        scores: Tensor | None,
        keypoints2d: Tensor | None = None,
        labels: Labels | None = None,
    ) -> MIONOutput:
        """Choose one of the refined bodies of each image by ``selection``; arguments as ``estimate``."""
        with full_precision(bodies.transl):
            known = {"first": first_scores(bodies.transl[..., 0])}
            if isinstance(bodies, FittedBodies):
                known["fit"] = bodies.cost
            if scores is not None:
                known["cen"] = scores.float()
            if keypoints2d is not None:
                fit_loss = fit_loss_of(bodies, keypoints2d, self.keypoints2d_convention, self.body, self.camera)
                bodies = bodies.measured(fit_loss)
                known["reprojection"] = reprojection_error(fit_loss, keypoints2d, self.camera.image_size)
            if "cen" in known and "reprojection" in known:
                known["cen+reprojection"] = combined_scores(
                    known["cen"], known["reprojection"], self.reprojection_weight
                )
            if self.selection in LABEL_RULES and labels is not None:
                known[self.selection] = labels.scores(self.selection, bodies, self.body)
        if self.selection not in known:
            needs = "labels" if self.selection in LABEL_RULES else "keypoints2d"
            raise ValueError(f"selection {self.selection!r} needs samples with {needs}")
        chosen_by = known[self.selection]
        scores, combined = known.get("cen"), known.get("cen+reprojection")
        return MIONOutput(keypoints2d, candidates, bodies, scores, combined, chosen_by, chosen_by.argmin(dim=1))

    @torch.no_grad()
    def alternatives(self, output: MIONOutput) -> Bodies:
        """What else the keypoints of an estimate allow, (B, N): the chosen body and others, with their ``fit_loss``.

        Raises:
            ValueError: There is no fit, or there were no keypoints.
        """
        if self.fit is None or output.keypoints2d is None:
            raise ValueError("alternatives need a fit and keypoints2d")
        bodies = self.fit.alternatives(output.bodies, output.keypoints2d, output.selected)  # type: ignore[operator]
        args = (output.keypoints2d, self.keypoints2d_convention, self.body, self.camera)
        return bodies.measured(fit_loss_of(bodies, *args))

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = "tensor",
    ) -> MIONOutput | list[BaseDataElement]:
        """Run the three stages on a batch of a data loader.

        Args:
            inputs: (B, 3, H, W), or B images (3, H, W), normalised float.
            data_samples: B samples of ``PackBodyInputs``; their ``depths_input``, if any, is what ``estimate`` takes as
                ``depths``.
            mode: ``tensor``: see ``estimate``. ``predict``: copies of the samples with ``candidates`` and
                ``pred_bodies`` (see ``pack_bodies``), in which the latter also hold ``scores`` (N,),
                ``combined_scores`` (N,) and ``selection_scores`` (N,), those of them that ``MIONOutput`` has, and
                ``selected`` (), the chosen path. With keypoints also ``keypoints2d_read`` (K, 3), those that the stages
                have read, as given or corrected; and ``alternatives``, if asked for, with ``scores`` of their own and
                the same ``selected``.

        Raises:
            ValueError: Images or samples that the stages cannot take, samples that lack what ``selection`` needs, or
                an unknown mode, or ``loss``.
        """
        if mode == "loss":
            raise ValueError(
                "mion.MION is for testing; train its stages on their own with tools/train.py: stage 2 as mion.MRT or "
                "mion.KeypointLifting, stage 3 as mion.ConsistencyModel or mion.DepthReaderTraining (stage 1 has "
                "nothing to train)"
            )
        check_mode(mode)
        image = stack_images(inputs)
        samples = check_samples(data_samples, len(image), self.camera.image_size)
        keypoints2d = read_keypoints(samples, self.selector, self.refiner, image.device)
        candidates = provided_candidates(samples, image.device) if self.selector is None else None
        depths = read_depths(samples, self.keypoints2d_convention, image.device)
        with torch.no_grad():
            output, seen = self._estimate(image, keypoints2d, candidates, Labels(samples, self.seed), depths)
            return output if mode == "tensor" else self._pack(image, samples, output, seen)

    def rename_weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See ``weights.RenamesWeights``."""
        return rename_weights(weights)

    def _pack(
        self, image: Tensor, samples: Sequence[BaseDataElement], output: MIONOutput, seen: list[Any]
    ) -> list[BaseDataElement]:
        names = ("scores", "combined_scores", "selection_scores", "selected")
        found = {name: getattr(output, name) for name in names}
        if isinstance(output.bodies, FittedBodies):
            found["fit_cost"] = output.bodies.cost
        by_keypoints: dict[str, Sequence[BaseDataElement] | Tensor] = {}
        if output.keypoints2d is not None:
            by_keypoints["keypoints2d_read"] = output.keypoints2d
            if self.gives_alternatives:
                others = self.alternatives(output)
                scores = None if self.cen is None else self.cen(image, others, *seen)
                posed = others.is_posed(self.body)
                by_keypoints["alternatives"] = pack_bodies(
                    others, self.body, posed, scores=scores, selected=output.selected
                )
        return add_results(
            samples,
            **by_keypoints,
            pred_bodies=pack_bodies(output.bodies, self.body, output.bodies.is_posed(self.body), **found),
            candidates=pack_bodies(output.candidates, self.body),
        )


def _check_options(
    selection: str, weight: float, cen: Part | None, cen_checkpoint: Path | None, fit: Part | None
) -> None:
    if selection not in RULES:
        raise ValueError(f"selection is {selection!r}, expected one of {', '.join(RULES)}")
    if cen is None and (selection.startswith("cen") or cen_checkpoint is not None):
        named = (
            f"selection is {selection!r}" if cen_checkpoint is None else f"cen_checkpoint is {str(cen_checkpoint)!r}"
        )
        raise ValueError(f"{named}, but cen is None; give the network's config, or selection='first' and no checkpoint")
    if selection == "fit" and fit is None:
        raise ValueError("selection is 'fit', but fit is None; give dict(type='mion.KeypointFit')")
    if not 0 <= weight < float("inf"):
        raise ValueError(f"reprojection_weight is {weight}, expected a number not below 0")


def _check_corrector(cen: nn.Module | None, convention: str) -> None:
    if not getattr(cen, "corrects_keypoints", False):
        named = "None" if cen is None else f"a {type(cen).__name__} that corrects none"
        raise ValueError(
            f"correct_keypoints is set, but cen is {named}; expected a mion.DepthConsistency whose reader has a locator"
        )
    own = cen.reader.convention  # type: ignore[union-attr]
    if own != convention:
        raise ValueError(f"the cen corrects 2D keypoints in {own!r}, the other stages read {convention!r}")


def _set_num_candidates(selector: CandidateSelector | None, num_candidates: int) -> None:
    if selector is None:
        raise ValueError(f"num_candidates is {num_candidates}, but selector is None: the data provide the candidates")
    if not hasattr(selector, "keep"):
        raise ValueError(
            f"num_candidates is {num_candidates}, but the selector is a {type(selector).__name__}, which has no method "
            "keep(num_candidates): leave it out, and set the number there"
        )
    selector.keep(num_candidates)


def _rename_loaded(model: nn.Module, weights: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Let a whole model's checkpoint of version 0.1 load: called by ``load_state_dict`` before it reads."""
    renamed = rename_weights(weights, prefix)
    weights.clear()
    weights.update(renamed)
