"""A trained stage 2 whose bodies stage 3 learns from."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.parts import Part
from mion_plugin.refinement.network import build_refiner
from mion_plugin.weights import REFINER_PARTS, load_part


class FrozenRefiner:
    """Refines candidates with a network that does not learn.

    It is no submodule of the model that holds it, so its weights are neither trained nor saved with it, and ``train()``
    does not reach it. It moves to the device of the images.

    Args:
        refiner: Config of a ``mion.RefinementNetwork``, one, or the ``mion.MRT`` around it.
        checkpoint: Its weights; needed with a config. Read with ``weights_only=True``.

    Raises:
        ValueError: A config without checkpoint, or weights of another network.
        FileNotFoundError: No such checkpoint.
    """

    def __init__(self, refiner: Part, checkpoint: str | os.PathLike[str] | None) -> None:
        if checkpoint is None and not isinstance(refiner, nn.Module):
            raise ValueError("refiner_checkpoint is None, expected the weights of the refiner")
        self.network = build_refiner(refiner)
        if checkpoint is not None:
            load_part(self.network, checkpoint, REFINER_PARTS)
        self.network.requires_grad_(False).eval()

    @torch.no_grad()
    def __call__(self, image: Tensor, candidates: Bodies, keypoints2d: Tensor | None) -> Bodies:
        """Refined bodies (B, N); arguments as ``RefinementNetwork.forward``."""
        return self.network.to(image.device)(image, candidates, keypoints2d)
