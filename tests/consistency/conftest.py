"""A network small enough to run in milliseconds on 32 x 32 images of a 224 crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.structures import BaseDataElement
from support.tiny_mion import SIDE, make_images, make_samples
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.consistency import ConsistencyEstimationNetwork


@pytest.fixture(scope="session")
def body() -> SMPLBody:
    return SMPLBody()


@pytest.fixture
def make_cen(body: SMPLBody) -> Callable[..., ConsistencyEstimationNetwork]:
    def make(seed: int = 0, **options: Any) -> ConsistencyEstimationNetwork:
        torch.manual_seed(seed)
        settings: dict[str, Any] = {
            "backbone": {"type": "mion.TinyBackbone"},
            "renderer": {"type": "mion.PNCCRenderer", "size": SIDE, "body": body},
            "body": body,
        }
        settings |= options
        cen = ConsistencyEstimationNetwork(**settings)
        with torch.no_grad():  # what is common to all vertices makes the scores
            last = cen.head.out if settings.get("output") == "local" else cen.head.linear.weight
            last.normal_(std=0.1).add_(torch.randn(1, last.shape[1]))
        return cen.eval()

    return make


@pytest.fixture
def samples(body: SMPLBody) -> list[BaseDataElement]:
    return make_samples(body)


@pytest.fixture
def images() -> Tensor:
    return make_images()


@pytest.fixture
def candidates(samples: list[BaseDataElement]) -> Bodies:
    """(2, 4) the samples' candidates."""
    pose, transl = (torch.stack([sample.candidates.get(key) for sample in samples]) for key in ("pose", "transl"))
    return Bodies.with_mean_shape(pose, transl)


@pytest.fixture
def vertices(body: SMPLBody, candidates: Bodies) -> Tensor:
    """(2, 4, 6890, 3) of the samples' candidates."""
    return body(candidates.pose, transl=candidates.transl).vertices
