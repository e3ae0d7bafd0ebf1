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

from mion_plugin.consistency.bodies import Bodies
from mion_plugin.consistency.distance import vertex_distance
from mion_plugin.consistency.losses import ConsistencyLoss
from mion_plugin.consistency.network import ConsistencyEstimationNetwork
from mion_plugin.consistency.pairs import check_kinds, draw_kinds, perturbed_bodies, take_columns
from mion_plugin.consistency.perturbation import Perturbation
from mion_plugin.consistency.predictions import ScoredBodies, pack_scored
from mion_plugin.consistency.refiner import FrozenRefiner
from mion_plugin.geometry.precision import full_precision
from mion_plugin.parts import Part, build_part
from mion_plugin.refinement.candidates import (
    Candidates,
    brought_candidates,
    build_selector,
    draw_candidates,
    select_candidates,
)
from mion_plugin.refinement.predictions import refined_fit_loss
from mion_plugin.refinement.samples import Targets, collect_targets, common_convention, input_keypoints, name_of
from mion_plugin.registry import MODELS

_MODES = ("tensor", "loss", "predict")
_SELECTOR = MappingProxyType({"type": "mion.CandidateSelector"})
_CANDIDATES_ALONE = MappingProxyType({"candidate": 1.0})


@MODELS.register_module()
class ConsistencyModel(BaseModel):
    """Trains a ``mion.CEN`` on pairs of an image and bodies, and scores the bodies of stages 1 and 2 with it.

    In training, an image meets ``num_bodies`` bodies of these kinds:

    - ``candidate``: stage 1's for the image's keypoints, or those that the data bring (``CandidatePairDataset``: the
      paper's pairs);
    - ``refined``: what the refiner makes of candidates, because it is such bodies that stage 3 will choose from;
    - ``perturbed``: the true body with limbs reflected in depth, tilted, or mixed with a candidate; see
      ``perturb_pose``.

    Args:
        cen: A ``mion.CEN``.
        selector: A ``CandidateSelector`` for samples that bring no candidates, whose camera defaults to the network's;
            None where all bring some.
        refiner: A ``mion.MRT`` (see ``FrozenRefiner``); then its bodies are what is scored.
        refiner_checkpoint: Its weights.
        pairs: Kind -> probability; the default and ``perturbed=0`` are the paper's.
        num_bodies: Bodies per image in training, at most the number of candidates; tests score all. The paper: 1.
        perturbation: Arguments of ``Perturbation``.
        loss: A ``ConsistencyLoss``.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range, or a part's camera is another than the network's.
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
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if num_bodies < 1:
            raise ValueError(f"num_bodies is {num_bodies}, expected at least 1")
        self.cen: ConsistencyEstimationNetwork = build_part(cen, type="mion.CEN")
        self.selector = None if selector is None else build_selector(selector, self.cen.camera, "network")
        self.pairs = check_kinds(pairs)
        self.num_bodies = num_bodies
        self.perturbation = Perturbation(**(perturbation or {}))
        self.consistency_loss: ConsistencyLoss = build_part(loss, type="mion.ConsistencyLoss")
        self.refiner = None if refiner is None else FrozenRefiner(refiner, refiner_checkpoint, self.cen.camera)
        if self.pairs.get("refined", 0) > 0 and self.refiner is None:
            raise ValueError("pairs has the kind 'refined', which needs a refiner")

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
                ``candidates``, what they were refined from; see ``pack_scored``.

        Raises:
            ValueError: Images or samples that the model cannot take, or an unknown mode.
        """
        if mode not in _MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(_MODES)}")
        image = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
        samples = self._check_samples(data_samples, len(image))
        candidates = self.find_candidates(samples, image.device)
        if mode == "loss":
            return self._loss(image, samples, candidates)
        started = Bodies.of_candidates(candidates)
        bodies = started if self.refiner is None else self.refiner(image, samples, candidates)
        if mode == "tensor":
            return self.cen(image, self._vertices(bodies))
        return self._predict(image, samples, candidates, started, bodies)

    def find_candidates(self, samples: Sequence[BaseDataElement], device: torch.device) -> Candidates:
        """The candidates that samples bring, and stage 1's for the others; as many as the poorer of both have."""
        brings = [row for row, sample in enumerate(samples) if "candidates" in sample or self.selector is None]
        lacks = [row for row in range(len(samples)) if row not in set(brings)]
        if not lacks:
            return brought_candidates(samples, device)
        selected = select_candidates(self.selector, [samples[row] for row in lacks], device)  # type: ignore[arg-type]
        if not brings:
            return selected
        brought = brought_candidates([samples[row] for row in brings], device)
        count = slice(min(brought.transl.shape[1], selected.transl.shape[1]))
        back = torch.tensor(brings + lacks).argsort().to(device)
        both = [take_columns(part, count) for part in (brought, selected)]
        names = ("pose", "transl", "fit_loss", "valid")
        return Candidates(*(torch.cat([getattr(part, name) for part in both])[back] for name in names))

    def _loss(self, image: Tensor, samples: Sequence[BaseDataElement], candidates: Candidates) -> dict[str, Tensor]:
        available = candidates.transl.shape[1]
        if self.num_bodies > available:
            raise ValueError(f"num_bodies is {self.num_bodies}, but each image has {available} candidates")
        with torch.no_grad(), full_precision(image):
            targets = collect_targets(samples, image.device)
            bodies = self.draw_bodies(image, samples, draw_candidates(candidates, self.num_bodies), targets)
            vertices, true = self._measure(bodies, targets)
        predicted = self.cen.distances(image, vertices)
        with full_precision(image):
            return self.consistency_loss(predicted, true, targets.has_smpl & candidates.valid)

    def draw_bodies(
        self, image: Tensor, samples: Sequence[BaseDataElement], candidates: Candidates, targets: Targets
    ) -> Bodies:
        """A body for each of the candidates (B, N), of the kinds that are drawn."""
        parts, start = [], 0
        for kind, count in draw_kinds(self.pairs, candidates.transl.shape[1]).items():
            if not count:
                continue
            some = take_columns(candidates, slice(start, start + count))
            start += count
            if kind == "candidate":
                parts.append(Bodies.of_candidates(some))
            elif kind == "refined" and self.refiner is not None:
                parts.append(self.refiner(image, samples, some))
            else:
                parts.append(self._perturb(samples, some, targets))
        return Bodies.join(parts)

    def _perturb(self, samples: Sequence[BaseDataElement], candidates: Candidates, targets: Targets) -> Bodies:
        convention = common_convention(samples, "keypoints2d")
        keypoints2d = input_keypoints(samples, convention, candidates.transl.device)
        cen = self.cen
        settings = self.perturbation
        return perturbed_bodies(
            _true_bodies(targets), candidates, keypoints2d, convention, settings, cen.body, cen.camera
        )

    def _measure(self, bodies: Bodies, targets: Targets) -> tuple[Tensor, Tensor]:
        """Vertices (B, N, V, 3) in the camera frame, and their true distances (B, N, V)."""
        posed, true = bodies.posed(self.cen.body), _true_bodies(targets).posed(self.cen.body)
        pelvis, pelvis_true = posed.joints[..., 0, :], true.joints[..., 0, :]
        distance = vertex_distance(true.vertices, posed.vertices, pelvis_true, pelvis, self.cen.body_height)
        return posed.vertices + bodies.transl[..., None, :], distance

    def _vertices(self, bodies: Bodies) -> Tensor:
        with torch.no_grad(), full_precision(bodies.transl):
            return bodies.posed(self.cen.body).vertices + bodies.transl[..., None, :]

    def _predict(
        self,
        image: Tensor,
        samples: Sequence[BaseDataElement],
        candidates: Candidates,
        started: Bodies,
        bodies: Bodies,
    ) -> list[BaseDataElement]:
        results = [sample.new() for sample in samples]
        if self.refiner is None:
            scored = self._score(image, samples, bodies, candidates.fit_loss, candidates.valid)
        else:
            before = self._score(image, samples, started, candidates.fit_loss, candidates.valid)
            for result, element in zip(results, pack_scored(before, self.cen.body), strict=True):
                result.candidates = element
            scored = self._score(image, samples, bodies, self._fit_loss(samples, bodies), candidates.valid)
        for result, element in zip(results, pack_scored(scored, self.cen.body), strict=True):
            result.pred_bodies = element
        return results

    def _score(
        self,
        image: Tensor,
        samples: Sequence[BaseDataElement],
        bodies: Bodies,
        fit_loss: Tensor | None,
        valid: Tensor,
    ) -> ScoredBodies:
        with full_precision(image):
            targets = collect_targets(samples, image.device)
            vertices, true = self._measure(bodies, targets)
        scores = self.cen(image, vertices)
        return ScoredBodies(bodies, scores, true.mean(dim=-1), fit_loss, valid, targets.has_smpl)

    def _fit_loss(self, samples: Sequence[BaseDataElement], bodies: Bodies) -> Tensor | None:
        """(B, N) squared pixels of refined bodies, None without keypoints."""
        if not all("keypoints2d" in sample.gt_body or "keypoints2d_input" in sample.gt_body for sample in samples):
            return None
        with torch.no_grad(), full_precision(bodies.transl):
            convention = common_convention(samples, "keypoints2d")
            keypoints2d = input_keypoints(samples, convention, bodies.transl.device)
            # it reads the three fields that Bodies has, too
            return refined_fit_loss(bodies, keypoints2d, convention, self.cen.body, self.cen.camera)  # type: ignore[arg-type]

    def _check_samples(self, samples: Sequence[BaseDataElement] | None, count: int) -> Sequence[BaseDataElement]:
        if samples is None or len(samples) != count:
            given = "none" if samples is None else len(samples)
            raise ValueError(f"{count} images came with {given} data samples; the bodies come from the samples")
        for sample in samples:
            crop_size = sample.get("crop_size", self.cen.camera.image_size)
            if crop_size != self.cen.camera.image_size:
                raise ValueError(
                    f"{name_of(sample)}: a crop of {crop_size} px, but the network's image_size is "
                    f"{self.cen.camera.image_size}; set image_size and focal_length to the crop's"
                )
        return samples


def _true_bodies(targets: Targets) -> Bodies:
    """(B, 1); zero pose and shape where unknown, and no place."""
    betas = targets.betas[:, None]
    return Bodies(targets.rotations[:, None], betas, betas.new_zeros(len(betas), 1, 3))
