"""Training and testing of the consistency estimation network as an mmengine model (paper, 3.3)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.candidates.drawing import draw_candidates
from mion_plugin.consistency.distance import vertex_distance
from mion_plugin.consistency.frozen_refiner import FrozenRefiner
from mion_plugin.consistency.losses import ConsistencyLoss
from mion_plugin.consistency.network import ConsistencyEstimationNetwork
from mion_plugin.consistency.perturbation import Perturbation
from mion_plugin.consistency.training_bodies import check_kinds, draw_kinds, perturbed_bodies
from mion_plugin.evaluation.choice.rules import combined_scores, fit_loss_of, reprojection_error
from mion_plugin.geometry.precision import full_precision
from mion_plugin.parts import Part, build_at_camera, build_part, check_parts
from mion_plugin.registry import MODELS
from mion_plugin.samples import (
    DEFAULT_CONVENTIONS,
    Targets,
    add_results,
    check_mode,
    check_samples,
    collect_targets,
    convention_read,
    input_keypoints,
    known_keypoints,
    pack_bodies,
    provided_candidates,
    stack_images,
)

_SELECTOR = MappingProxyType({"type": "mion.CandidateSelector"})
_CANDIDATES_ALONE = MappingProxyType({"candidate": 1.0})


@MODELS.register_module()
class ConsistencyModel(BaseModel):
    """Trains a ``mion.CEN`` on pairs of an image and bodies, and scores the bodies of stages 1 and 2 with it.

    In training, an image meets ``num_bodies`` bodies of these kinds:

    - ``candidate``: stage 1's for the image's keypoints, or those that the data provide (``CandidatePairDataset``: the
      paper's pairs);
    - ``refined``: what the refiner makes of candidates, because it is such bodies that stage 3 will choose from;
    - ``perturbed``: the true body with limbs reflected in depth, tilted, or mixed with a candidate; see
      ``perturb_pose``.

    Args:
        cen: A ``mion.CEN``.
        selector: A ``CandidateSelector`` for samples without candidates, whose camera defaults to the network's;
            None where all have some.
        refiner: A ``mion.RefinementNetwork`` or ``mion.MRT`` (see ``FrozenRefiner``); then its bodies are what is
            scored.
        refiner_checkpoint: Its weights.
        pairs: Kind -> probability; the default and ``perturbed=0`` are the paper's.
        num_bodies: Bodies per image in training, at most the number of candidates; tests score all. The paper: 1.
        perturbation: Arguments of ``Perturbation``.
        loss: A ``ConsistencyLoss``.
        reprojection_weight: Of the rule ``cen+reprojection`` in predictions; see ``mion.MION``.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range, or a part's camera or body is another than the network's.
        FileNotFoundError: No such checkpoint.
    """

    def __init__(
        self,
        cen: Part,
        selector: Part | None = _SELECTOR,
        refiner: Part | None = None,
        refiner_checkpoint: str | os.PathLike[str] | None = None,
        pairs: Mapping[str, float] = _CANDIDATES_ALONE,
        num_bodies: int = 4,
        perturbation: Mapping[str, Any] | None = None,
        loss: Part | None = None,
        reprojection_weight: float = 1.0,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if num_bodies < 1:
            raise ValueError(f"num_bodies is {num_bodies}, expected at least 1")
        self.cen: ConsistencyEstimationNetwork = build_part(cen, type="mion.CEN")
        self.selector = build_at_camera(selector, self.cen.camera)
        self.pairs = check_kinds(pairs)
        self.num_bodies = num_bodies
        self.perturbation = Perturbation(**(perturbation or {}))
        self.consistency_loss: ConsistencyLoss = build_part(loss, type="mion.ConsistencyLoss")
        self.reprojection_weight = reprojection_weight
        self.refiner = None if refiner is None else FrozenRefiner(refiner, refiner_checkpoint)
        network = None if self.refiner is None else self.refiner.network
        check_parts(selector=self.selector, refiner=network, cen=self.cen)
        if self.pairs.get("refined", 0) > 0 and self.refiner is None:
            raise ValueError("pairs has the kind 'refined', which needs a refiner")

    @property
    def keypoints2d_convention(self) -> str:
        """Order of the 2D keypoints that selector and refiner read."""
        network = None if self.refiner is None else self.refiner.network
        return convention_read(self.selector, network) or DEFAULT_CONVENTIONS["keypoints2d"]

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = "tensor",
    ) -> Tensor | dict[str, Tensor] | list[BaseDataElement]:
        """Run the model on a batch of a data loader.

        Args:
            inputs: (B, 3, H, W), or B images (3, H, W), normalised float.
            data_samples: B samples of ``PackBodyInputs``.
            mode: ``tensor``: scores (B, N) of all candidates' bodies, refined if there is a refiner. ``loss``: see
                ``ConsistencyLoss.forward``. ``predict``: copies of the samples with ``pred_bodies``, those bodies, and
                ``candidates``, what they were refined from; see ``pack_bodies``, with the fields ``scores`` (N,),
                ``selected`` (), the index of the lowest, and where known ``combined_scores`` (N,) and
                ``true_distance`` (N,), the mean of ``vertex_distance`` in body heights.

        Raises:
            ValueError: Images or samples that the model cannot take, or an unknown mode.
        """
        check_mode(mode)
        image = stack_images(inputs)
        samples = check_samples(data_samples, len(image), self.cen.camera.image_size)
        candidates = self.find_candidates(samples, image.device)
        if mode == "loss":
            return self._loss(image, samples, candidates)
        keypoints2d = known_keypoints(samples, self.keypoints2d_convention, image.device)
        bodies = candidates if self.refiner is None else self.refiner(image, candidates, keypoints2d)
        if mode == "tensor":
            return self.cen(image, bodies)
        return self._predict(image, samples, candidates, bodies, keypoints2d)

    def find_candidates(self, samples: Sequence[BaseDataElement], device: torch.device) -> Bodies:
        """The samples' own candidates, and stage 1's for those without; as many as the smaller of both counts."""
        own = [row for row, sample in enumerate(samples) if "candidates" in sample or self.selector is None]
        without = [row for row in range(len(samples)) if row not in set(own)]
        if not without:
            return provided_candidates(samples, device)
        given = input_keypoints([samples[row] for row in without], self.keypoints2d_convention, device)
        selected = self.selector(given)
        if not own:
            return selected
        provided = provided_candidates([samples[row] for row in own], device)
        count = slice(min(provided.transl.shape[1], selected.transl.shape[1]))
        back = torch.tensor(own + without).argsort().to(device)
        both = [part.take(count) for part in (provided, selected)]
        names = ("pose", "betas", "transl", "fit_loss", "valid")
        return Bodies(**{name: torch.cat([getattr(part, name) for part in both])[back] for name in names})

    def _loss(self, image: Tensor, samples: Sequence[BaseDataElement], candidates: Bodies) -> dict[str, Tensor]:
        available = candidates.transl.shape[1]
        if self.num_bodies > available:
            raise ValueError(f"num_bodies is {self.num_bodies}, but each image has {available} candidates")
        with torch.no_grad(), full_precision(image):
            targets = collect_targets(samples, image.device)
            bodies = self.draw_bodies(image, samples, draw_candidates(candidates, self.num_bodies), targets)
            true = self._true_distance(bodies, targets)
        predicted = self.cen.distances(image, bodies)
        with full_precision(image):
            return self.consistency_loss(predicted, true, targets.has_smpl & candidates.valid)

    def draw_bodies(
        self, image: Tensor, samples: Sequence[BaseDataElement], candidates: Bodies, targets: Targets
    ) -> Bodies:
        """A body for each of the candidates (B, N), of the kinds that are drawn."""
        parts, start = [], 0
        for kind, count in draw_kinds(self.pairs, candidates.transl.shape[1]).items():
            if not count:
                continue
            some = candidates.take(slice(start, start + count))
            start += count
            if kind == "candidate":
                parts.append(Bodies(pose=some.rotations, betas=some.betas, transl=some.transl))
            elif kind == "refined" and self.refiner is not None:
                keypoints2d = known_keypoints(samples, self.keypoints2d_convention, image.device)
                parts.append(self.refiner(image, some, keypoints2d))
            else:
                parts.append(self._perturb(samples, some, targets))
        return Bodies.join(parts)

    def _perturb(self, samples: Sequence[BaseDataElement], candidates: Bodies, targets: Targets) -> Bodies:
        convention = self.keypoints2d_convention
        keypoints2d = input_keypoints(samples, convention, candidates.transl.device)
        cen, settings = self.cen, self.perturbation
        return perturbed_bodies(
            _true_bodies(targets), candidates, keypoints2d, convention, settings, cen.body, cen.camera
        )

    def _true_distance(self, bodies: Bodies, targets: Targets) -> Tensor:
        """(B, N, V) of ``vertex_distance`` from the true bodies; meaningless where those are unknown."""
        posed, true = bodies.posed(self.cen.body), _true_bodies(targets).posed(self.cen.body)
        pelvis, pelvis_true = posed.joints[..., 0, :], true.joints[..., 0, :]
        return vertex_distance(true.vertices, posed.vertices, pelvis_true, pelvis, self.cen.body_height)

    def _predict(
        self,
        image: Tensor,
        samples: Sequence[BaseDataElement],
        candidates: Bodies,
        bodies: Bodies,
        keypoints2d: Tensor | None,
    ) -> list[BaseDataElement]:
        refined = self._score(image, samples, bodies, keypoints2d)
        if self.refiner is None:
            return add_results(samples, pred_bodies=refined)
        started = self._score(image, samples, candidates, keypoints2d)
        return add_results(samples, pred_bodies=refined, candidates=started)

    @torch.no_grad()
    def _score(
        self, image: Tensor, samples: Sequence[BaseDataElement], bodies: Bodies, keypoints2d: Tensor | None
    ) -> list[BaseDataElement]:
        """Packed bodies with their scores and, where the true body is known, their true distance."""
        with full_precision(image):
            targets = collect_targets(samples, image.device)
            true = self._true_distance(bodies, targets).mean(dim=-1)
            fit_loss = self._fit_loss(bodies, keypoints2d)
        scores = self.cen(image, bodies)
        found = {"scores": scores, "selected": scores.argmin(dim=1), "fit_loss": fit_loss}
        if fit_loss is not None and keypoints2d is not None:
            reprojection = reprojection_error(fit_loss, keypoints2d, self.cen.camera.image_size)
            found["combined_scores"] = combined_scores(scores, reprojection, self.reprojection_weight)
        packed = pack_bodies(bodies, self.cen.body, **found)
        for row, labelled in enumerate(targets.has_smpl.tolist()):
            if labelled:
                packed[row].true_distance = true[row].detach()
        return packed

    def _fit_loss(self, bodies: Bodies, keypoints2d: Tensor | None) -> Tensor | None:
        """(B, N) squared pixels, infinite where not valid: what is known already, or measured where keypoints are."""
        if bodies.fit_loss is not None:
            return torch.where(bodies.valid[:, None], bodies.fit_loss, torch.inf)
        if keypoints2d is None:
            return None
        return fit_loss_of(bodies, keypoints2d, self.keypoints2d_convention, self.cen.body, self.cen.camera)


def _true_bodies(targets: Targets) -> Bodies:
    """(B, 1); zero pose and shape where unknown, and no place."""
    betas = targets.betas[:, None]
    return Bodies(pose=targets.rotations[:, None], betas=betas, transl=betas.new_zeros(len(betas), 1, 3))
