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
from mion_plugin.consistency.reading.inputs import ReadingInputs, draw_grey, draw_keypoints
from mion_plugin.consistency.reading.losses import laplace_loss, mean_over
from mion_plugin.consistency.reading.network import DepthReader, DepthReading
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


@MODELS.register_module()
class DepthReaderTraining(BaseModel):
    """Trains the ``mion.DepthReader`` of a ``mion.DepthConsistency`` on pictures of people whose SMPL body is known.

    The target is the depth of the true body's own keypoints relative to the middle of its hips. No other stage takes
    part. The weights are named ``cen.*``, where ``mion.MION`` looks for its third stage's; calibrate them first.

    Args:
        cen: A ``mion.DepthConsistency``.
        inputs: Arguments of ``ReadingInputs``.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        cen: Part,
        inputs: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.cen: DepthConsistency = build_part(cen, type="mion.DepthConsistency")
        self.inputs = ReadingInputs(**(inputs or {}))

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
                watch, in millimetres, ``depth_error`` and ``stated_error``, their means. ``predict``: copies of the
                samples with ``pred_depths``, what ``mion.DepthMetric`` reads.

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
            return self._loss(image, self._draw(keypoints2d, targets), true, targets.has_smpl)
        return self._predict(image, samples, keypoints2d, true, targets.has_smpl)

    def _draw(self, detected: Tensor, targets: Targets) -> Tensor:
        own, wanted = targets.keypoints2d_convention, self.reader.convention
        annotated = targets.keypoints2d
        if own != wanted:
            annotated = convert_keypoints(annotated, own, wanted)[0]
        return draw_keypoints(detected, annotated, self.cen.camera.image_size, self.inputs)

    def _loss(self, image: Tensor, keypoints2d: Tensor, true: Tensor, labelled: Tensor) -> dict[str, Tensor]:
        reading = self.reader(draw_grey(image, self.inputs), keypoints2d)
        with full_precision(image), torch.no_grad():
            off = mean_over((reading.depths - true).abs(), labelled)
            stated = mean_over(reading.errors, labelled)
        return {
            "loss_depth": laplace_loss(reading, true, labelled),
            "depth_error": MILLIMETRES * off,
            "stated_error": MILLIMETRES * stated,
        }

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
