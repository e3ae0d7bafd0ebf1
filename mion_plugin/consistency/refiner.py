"""A trained stage 2 whose bodies stage 3 learns from."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mion_plugin.consistency.bodies import Bodies
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.parts import Part, build_part
from mion_plugin.refinement.candidates import Candidates


class FrozenRefiner:
    """Refines candidates with a model that does not learn.

    It is no submodule of the model that holds it, so its weights are neither trained nor saved with it, and ``train()``
    does not reach it. It moves to the device of the images.

    Args:
        model: Config of a ``mion.MRT``, or one. Its selector is not used.
        checkpoint: Its weights; needed with a config. Read with ``weights_only=True``.
        camera: The camera that it must have.

    Raises:
        ValueError: A config without checkpoint, weights of another model, or another camera.
        FileNotFoundError: No such checkpoint.
    """

    def __init__(self, model: Part, checkpoint: str | os.PathLike[str] | None, camera: CropCamera) -> None:
        if checkpoint is None and not isinstance(model, nn.Module):
            raise ValueError("refiner_checkpoint is None, expected the weights of the refiner")
        self.model = build_part(model)
        if self.model.camera != camera:
            raise ValueError(f"the refiner's camera is {self.model.camera}, the network's {camera}")
        self.model.selector = None  # it takes the candidates that the samples bring
        if checkpoint is not None:
            # at first use: reading checkpoints imports half of mmengine
            from mion_plugin.weights import load_part

            load_part(self.model, checkpoint, "refiner")
        self.model.requires_grad_(False).eval()

    @torch.no_grad()
    def __call__(self, image: Tensor, samples: Sequence[BaseDataElement], candidates: Candidates) -> Bodies:
        """Refined bodies (B, N).

        Args:
            image: (B, 3, H, W) normalised.
            samples: B data samples, for whatever else stage 2 reads.
            candidates: (B, N).
        """
        output = self.model.to(image.device)(image, _with_candidates(samples, candidates), mode="tensor")
        return Bodies(output.pose.float(), output.betas.float(), output.transl.float())


def _with_candidates(samples: Sequence[BaseDataElement], candidates: Candidates) -> list[BaseDataElement]:
    """Copies of the samples that bring the candidates."""
    copies = []
    for row, sample in enumerate(samples):
        copy = sample.new()
        copy.candidates = BaseDataElement(
            pose=candidates.pose[row],
            transl=candidates.transl[row],
            fit_loss=candidates.fit_loss[row],
            valid=candidates.valid[row],
        )
        copies.append(copy)
    return copies
