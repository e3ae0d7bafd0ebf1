"""What the rasteriser's test files share."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from support.meshes import PIXEL_CAMERA

from mion_plugin.rendering.rasterizer import Fragments, rasterize

needs_numba = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="numba is not installed")
needs_pytorch3d = pytest.mark.skipif(not importlib.util.find_spec("pytorch3d"), reason="pytorch3d is not installed")
OWN_BACKENDS = ["torch", pytest.param("numba", marks=needs_numba)]
ALL_BACKENDS = [*OWN_BACKENDS, pytest.param("pytorch3d", marks=needs_pytorch3d)]
TRIANGLE = torch.tensor([[0, 1, 2]])


def draw(vertices: torch.Tensor, faces: torch.Tensor, size: int | tuple[int, int], **options) -> Fragments:
    """Rasterise one mesh (V, 3) with the camera of the hand-made scenes."""
    return rasterize(vertices[None], faces, **PIXEL_CAMERA, image_size=size, **options)


def assert_equal(actual: Fragments, expected: Fragments) -> None:
    assert torch.equal(actual.face_index, expected.face_index)
    assert torch.equal(actual.depth, expected.depth)
    assert torch.equal(actual.barycentric, expected.barycentric)
