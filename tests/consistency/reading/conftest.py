"""A reader small enough to run in milliseconds on 32 x 32 images of a 224 crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.consistency import DepthConsistency, DepthReader


class TwoMaps(nn.Module):
    """Strides 4 and 8."""

    channels = (8, 16)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 4, stride=4), nn.Conv2d(8, 16, 2, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.first(image).relu()
        return fine, self.second(fine)


@pytest.fixture
def make_reader() -> Callable[..., DepthReader]:
    def make(seed: int = 0, **options: Any) -> DepthReader:
        torch.manual_seed(seed)
        settings = {"backbone": TwoMaps(), "map_size": 4, "fine_channels": 6, "coarse_channels": 5, "hidden": (24, 16)}
        return DepthReader(**{**settings, **options}).eval()

    return make


@pytest.fixture
def make_consistency(make_reader: Callable[..., DepthReader], body: SMPLBody) -> Callable[..., DepthConsistency]:
    def make(seed: int = 0, reader: dict[str, Any] | None = None, **options: Any) -> DepthConsistency:
        return DepthConsistency(make_reader(seed, **(reader or {})), **{"body": body, **options}).eval()

    return make


@pytest.fixture
def bodies(candidates: Bodies) -> Bodies:
    """(2, 4) with shapes of their own."""
    betas = torch.randn(2, 4, 10, generator=torch.Generator().manual_seed(3))
    return Bodies(pose=candidates.rotations, betas=betas, transl=candidates.transl)


@pytest.fixture
def keypoints2d() -> Tensor:
    """(2, 4, 17, 3) random places in the crop, some absent."""
    generator = torch.Generator().manual_seed(1)
    places = 224 * torch.rand(2, 4, 17, 2, generator=generator)
    return torch.cat([places, (torch.rand(2, 4, 17, 1, generator=generator) < 0.8).float()], dim=-1)
