"""Training and testing of the depth reader as an mmengine model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.depths import body_depths
from mion_plugin.consistency.reading.consistency import DepthConsistency
from mion_plugin.consistency.reading.frozen_bodies import FrozenBodies
from mion_plugin.consistency.reading.inputs import ReadingInputs, draw_grey, draw_keypoints
from mion_plugin.consistency.reading.locator import corrected_keypoints, heat_loss, location_loss
from mion_plugin.consistency.reading.losses import laplace_loss, mean_over
from mion_plugin.consistency.reading.network import DepthReader, DepthReading, ImageEvidence
from mion_plugin.evaluation.errors import MILLIMETRES
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.geometry.precision import full_precision
from mion_plugin.parts import Part, build_part
from mion_plugin.registry import MODELS
from mion_plugin.samples import (
    Targets,
    add_results,
    check_mode,
    check_samples,
    collect_targets,
    input_keypoints,
    stack_images,
)
from mion_plugin.synthesis.detector_errors import DetectorErrors

# A detector is surer of what it sees; ``detect_keypoints`` gives hidden ones less than 0.6.
_SURE = 0.65


@MODELS.register_module()
class DepthReaderTraining(BaseModel):
    """Trains the ``mion.DepthReader`` of a ``mion.DepthConsistency`` on pictures of people whose SMPL body is known.

    The target is the depth of the true body's own keypoints relative to the middle of its hips. No other stage takes
    part, unless the reader takes ``own_depths``: then it also learns from refined bodies how far the truth is from
    them.
    The weights are named ``cen.*``, where ``mion.MION`` looks for its third stage's; calibrate them first.

    Args:
        cen: A ``mion.DepthConsistency``.
        inputs: Arguments of ``ReadingInputs``.
        bodies: What the bodies come from, a ``mion.MION`` without stage 3, whose weights stay as they are; None for
            none.
        num_bodies: How many of an image's bodies are learned from, drawn at random.
        errors: Arguments of ``DetectorErrors``: how wrong the keypoints are that a reader's ``locator`` corrects.
        heat_weight: Of the locator's ``heat_loss``.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        cen: Part,
        inputs: Mapping[str, Any] | None = None,
        bodies: Mapping[str, Any] | None = None,
        num_bodies: int = 2,
        errors: Mapping[str, Any] | None = None,
        heat_weight: float = 0.5,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.cen: DepthConsistency = build_part(cen, type="mion.DepthConsistency")
        self.inputs = ReadingInputs(**(inputs or {}))
        self.heat_weight = float(heat_weight)
        self._errors = DetectorErrors(**(errors or {}))
        self._bodies = None if bodies is None else FrozenBodies(bodies, num_bodies)

    @property
    def reader(self) -> DepthReader:
        """The network that learns."""
        return self.cen.reader

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = "tensor",
    ) -> DepthReading | dict[str, Tensor] | list[BaseDataElement]:
        """Run the model on a batch of a data loader.

        Args:
            inputs: (B, 3, H, W), or B images (3, H, W), normalised float.
            data_samples: B samples of ``PackBodyInputs``.
            mode: ``tensor``: the reading (B, K) at the keypoints that stage 1 sees. ``loss``: ``loss_depth``, and to
                watch, in millimetres, ``depth_error`` and ``stated_error``, their means, and of bodies ``own_error``
                and ``corrected_error``, that of their own depths and of what is read for them. ``predict``: copies of
                the samples with ``pred_depths``, what ``mion.DepthMetric`` reads.

        Raises:
            ValueError: Images or samples that the model cannot take, or an unknown mode.
        """
        check_mode(mode)
        image = stack_images(inputs)
        samples = check_samples(data_samples, len(image), self.cen.camera.image_size)
        keypoints2d = input_keypoints(samples, self.reader.convention, image.device)
        if mode == "tensor":
            return self.reader(image, keypoints2d)
        targets = collect_targets(samples, image.device)
        with torch.no_grad():
            true = body_depths(self.cen.body, targets.rotations, targets.betas, self.reader.convention)
        if mode == "loss":
            return self._loss(image, keypoints2d, targets, true)
        return self._predict(image, samples, keypoints2d, true, targets.has_smpl)

    def _draw(self, detected: Tensor, targets: Targets) -> Tensor:
        return draw_keypoints(detected, self._annotated(targets), self.cen.camera.image_size, self.inputs)

    def _annotated(self, targets: Targets) -> Tensor:
        own, wanted = targets.keypoints2d_convention, self.reader.convention
        return targets.keypoints2d if own == wanted else convert_keypoints(targets.keypoints2d, own, wanted)[0]

    def _loss(self, image: Tensor, detected: Tensor, targets: Targets, true: Tensor) -> dict[str, Tensor]:
        """What is read without a body, and with each of those drawn, counts alike."""
        labelled = targets.has_smpl
        losses: dict[str, Tensor] = {}
        watched: dict[str, Tensor] = {}
        image = draw_grey(image, self.inputs)
        evidence = self.reader.look(image)
        if self.reader.locator is not None:
            detected, losses, watched = self._locate(evidence, detected, targets)
        keypoints2d, own = self._draw(detected, targets)[:, None], torch.full_like(true, torch.nan)[:, None]
        if self._bodies is not None:
            bodies = self._bodies(image, detected)
            keypoints2d = torch.cat([keypoints2d, self.cen.project(bodies)], dim=1)
            own = torch.cat([own, self.cen.depths(bodies)], dim=1)
        reading = self.reader.read(evidence, keypoints2d, own)
        readings = [DepthReading(reading.depths[:, body], reading.errors[:, body]) for body in range(own.shape[1])]
        with full_precision(image), torch.no_grad():
            watched |= {
                "depth_error": MILLIMETRES * mean_over((readings[0].depths - true).abs(), labelled),
                "stated_error": MILLIMETRES * mean_over(readings[0].errors, labelled),
            }
            if self._bodies is not None:
                watched["own_error"] = MILLIMETRES * mean_over((own[:, 1] - true).abs(), labelled)
                watched["corrected_error"] = MILLIMETRES * mean_over((readings[1].depths - true).abs(), labelled)
        loss = torch.stack([laplace_loss(each, true, labelled) for each in readings]).mean()
        return {"loss_depth": loss, **losses, **watched}

    def _locate(
        self, evidence: ImageEvidence, detected: Tensor, targets: Targets
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Keypoints as corrected, the loss, and the distances before and after, in pixels."""
        size = self.cen.camera.image_size
        true = self._annotated(targets)
        wrong = self._errors.detect(
            true[..., :2].cpu(), (detected[..., 2] < _SURE).cpu(), size, self.reader.convention, None
        ).to(true)
        wrong = torch.where(true[..., 2:] > 0, wrong, 0.0)  # what is not annotated has no place to be found at
        places = self.cen.camera.normalize(true[..., :2])
        labelled = (true[..., 2] > 0) & (places.abs() <= 1.0).all(dim=-1)
        reading = self.reader.locate(evidence, wrong)
        with torch.no_grad():
            counts = labelled & (wrong[..., 2] > 0)
            before, after = (wrong[..., :2] - true[..., :2]).norm(dim=-1), (reading.places - places).norm(dim=-1)
            watched = {
                "detected_px": before[counts].median(),
                "located_px": after[counts].median() * size / 2,
                "detected_mean": before[counts].mean(),
                "located_mean": after[counts].mean() * size / 2,
                "located_stated": reading.errors[counts].mean() * size / 2,
            }
        corrected = corrected_keypoints(reading, wrong, self.cen.camera)
        losses = {
            "loss_location": location_loss(reading, places, labelled),
            "loss_heat": self.heat_weight * heat_loss(reading.heat, places, labelled),
        }
        return corrected.detach(), losses, watched

    @torch.no_grad()
    def _predict(
        self,
        image: Tensor,
        samples: Sequence[BaseDataElement],
        keypoints2d: Tensor,
        true: Tensor,
        labelled: Tensor,
    ) -> list[BaseDataElement]:
        """Readings with both inputs, with a grey picture, and with the picture alone."""
        absent = torch.zeros_like(keypoints2d)
        seen = self.reader(image, torch.stack([keypoints2d, absent], dim=1))
        grey = self.reader(torch.zeros_like(image), keypoints2d)
        packed = []
        for row, known in enumerate(labelled.tolist()):
            element = BaseDataElement(
                depths=seen.depths[row, 0],
                errors=seen.errors[row, 0],
                depths_grey=grey.depths[row],
                errors_grey=grey.errors[row],
                depths_image=seen.depths[row, 1],
                errors_image=seen.errors[row, 1],
            )
            if known:
                element.true_depths = true[row]
            packed.append(element)
        return add_results(samples, pred_depths=packed)
