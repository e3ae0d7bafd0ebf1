"""The bodies of trained stages 1 and 2, for a third stage to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.candidates.drawing import draw_candidates
from mion_plugin.registry import MODELS


class FrozenBodies:
    """Some bodies of each image, as a model whose weights stay as they are makes them.

    It is no submodule of the model that holds it, so its weights are neither trained nor saved with it, and ``train()``
    does not reach it. It moves to the device of the images.

    Args:
        model: Config of a ``mion.MION``; its ``cen`` is left out.
        count: How many of an image's bodies, drawn by torch's CPU generator.

    Raises:
        ValueError: ``count`` is below 1, or what ``mion.MION`` raises.
    """

    def __init__(self, model: Mapping[str, Any], count: int) -> None:
        if count < 1:
            raise ValueError(f"num_bodies is {count}, expected at least 1")
        self.model = MODELS.build({"selection": "first", **model, "cen": None})
        self.model.requires_grad_(False).eval()
        self.count = count

    @torch.no_grad()
    def __call__(self, image: Tensor, keypoints2d: Tensor) -> Bodies:
        """Bodies (B, count) of images (B, 3, H, W) with 2D keypoints (B, K, 3)."""
        model = self.model.to(image.device)
        candidates = draw_candidates(model.selector(keypoints2d), self.count)
        return model.estimate(image, keypoints2d, candidates).bodies
