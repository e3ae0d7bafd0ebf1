"""Training stage 2 on keypoints alone, before there are pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mion_plugin.candidates.drawing import draw_candidates
from mion_plugin.geometry.precision import full_precision
from mion_plugin.refinement.model import MeshRefinementTransformer
from mion_plugin.registry import MODELS
from mion_plugin.samples import DEFAULT_CONVENTIONS, Targets


@MODELS.register_module()
class KeypointLifting(MeshRefinementTransformer):
    """``mion.MRT`` that is trained on the batches of ``mion.LiftingDataset``; it is tested on pictures like any other.

    Not in the paper. A body that is drawn, oriented and projected costs a hundredth of one that is rendered, and most
    of what a picture's 2D keypoints tell can be learned so. The weights go into a network with an image part by
    ``load_from``.

    Args:
        train_candidates: Candidates of each body, drawn at random from those selected.
        **options: Further arguments of ``mion.MRT``, whose network has no image part.

    Raises:
        ValueError: The network has an image part, or what ``mion.MRT`` raises.
    """

    def __init__(self, train_candidates: int = 1, **options: Any) -> None:
        super().__init__(train_candidates=train_candidates, **options)
        if self.network.reads_image:
            raise ValueError("mion.KeypointLifting trains without pictures: its network must have no backbone and neck")

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """``loss`` on what ``mion.LiftingDataset`` gives; the other modes as ``mion.MRT``."""
        if mode != "loss":
            return super().forward(inputs, data_samples, mode)
        return self.lifting_loss(inputs, data_samples)

    def lifting_loss(self, inputs: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms of ``MeshLoss``; arguments as ``LiftingDataset`` gives them."""
        keypoints2d = inputs["keypoints2d"]
        candidates = draw_candidates(self.selector(keypoints2d), self.train_candidates)  # type: ignore[misc]
        bodies = self.network(None, candidates, keypoints2d, inputs.get("depths"))
        everyone = torch.ones(len(keypoints2d), dtype=torch.bool, device=keypoints2d.device)
        targets = Targets(
            keypoints2d=truth["keypoints2d"],
            keypoints2d_convention=DEFAULT_CONVENTIONS["keypoints2d"],
            keypoints3d=truth["keypoints3d"],
            keypoints3d_convention=DEFAULT_CONVENTIONS["keypoints3d"],
            rotations=truth["rotations"],
            betas=truth["betas"],
            has_keypoints2d=everyone,
            has_keypoints3d=everyone,
            has_smpl=everyone,
        )
        with full_precision(keypoints2d):
            return self.mesh_loss(bodies, targets, candidates.valid, self.body, self.camera, candidates)
