from __future__ import annotations

import pytest
import torch
from support.meshes import PIXEL_CAMERA, at_depth, limbs
from support.rasterizing import TRIANGLE

from mion_plugin.rendering.interpolation import face_map, interpolate, silhouette, vertex_label_map
from mion_plugin.rendering.rasterizer import Fragments, rasterize


@pytest.fixture(scope="module")
def scene() -> tuple[torch.Tensor, torch.Tensor, Fragments]:
    vertices, faces = limbs(torch.Generator().manual_seed(0), batch=3)
    return vertices, faces, rasterize(vertices, faces, 1000.0, (20.0, 18.0), (36, 40), backend="torch")


def interpolate_by_loop(
    fragments: Fragments, faces: torch.Tensor, attributes: torch.Tensor, background: float
) -> torch.Tensor:
    batch, height, width = fragments.face_index.shape
    image = torch.full((batch, attributes.shape[2], height, width), background)
    for b, row, column in fragments.mask.nonzero().tolist():
        corners = attributes[b % len(attributes), faces[fragments.face_index[b, row, column]]]
        image[b, :, row, column] = fragments.barycentric[b, row, column] @ corners
    return image


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_interpolate_equals_a_loop(scene: tuple, batch: int, channels: int) -> None:
    vertices, faces, fragments = scene
    attributes = torch.rand(batch, vertices.shape[1], channels, generator=torch.Generator().manual_seed(1))
    image = interpolate(fragments, faces, attributes, background=-7.0)
    assert image.is_contiguous()
    torch.testing.assert_close(image, interpolate_by_loop(fragments, faces, attributes, -7.0))


def test_interpolating_positions_gives_the_ray(scene: tuple) -> None:
    # A surface point seen by a pixel must project onto that pixel's centre, at the depth that the fragments tell.
    vertices, faces, fragments = scene
    x, y, z = interpolate(fragments, faces, vertices).unbind(1)
    mask = fragments.mask
    torch.testing.assert_close(z[mask], fragments.depth[mask], atol=1e-4, rtol=0)
    columns, rows = torch.arange(40) + 0.5, torch.arange(36)[:, None] + 0.5
    error_x = (1000 * x / z + 20 - columns)[mask].abs().max()
    error_y = (1000 * y / z + 18 - rows)[mask].abs().max()
    assert max(error_x, error_y) < 1e-3


def test_gradient_of_attributes(scene: tuple) -> None:
    vertices, faces, fragments = scene
    for batch in (1, 3):
        attributes = torch.rand(batch, vertices.shape[1], 2, requires_grad=True)
        interpolate(fragments, faces, attributes).sum().backward()
        # The weights of a pixel sum to 1, so each pixel hands out a gradient of 1 per channel.
        expected = fragments.mask.sum(dtype=torch.float32) * 2
        torch.testing.assert_close(attributes.grad.sum(), expected, rtol=1e-4, atol=0)


def test_full_precision_under_autocast(scene: tuple) -> None:
    vertices, faces, fragments = scene
    attributes = torch.rand(1, vertices.shape[1], 3)
    expected = interpolate(fragments, faces, attributes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(interpolate(fragments, faces, attributes), expected)


def test_silhouette_and_face_map(scene: tuple) -> None:
    _, faces, fragments = scene
    mask = silhouette(fragments)
    assert mask.shape == (3, 1, 36, 40)
    assert torch.equal(mask[:, 0].bool(), fragments.mask)
    labels = torch.arange(len(faces)) * 10
    image = face_map(fragments, labels)
    assert image.dtype == torch.int64
    assert torch.equal(image, torch.where(fragments.mask, fragments.face_index * 10, -1))


def test_vertex_label_map_takes_the_nearest_corner() -> None:
    vertices = at_depth([(0, 0), (8, 0), (0, 8)], [1, 1, 1])[None]
    fragments = rasterize(vertices, TRIANGLE, **PIXEL_CAMERA, image_size=8, backend="torch")
    image = vertex_label_map(fragments, TRIANGLE, torch.tensor([5, 6, 7]))[0]
    assert image[0, 0] == 5
    assert image[0, 6] == 6
    assert image[6, 0] == 7
    assert image[7, 7] == -1


def test_nothing_seen() -> None:
    vertices = at_depth([(0, 0), (8, 0), (0, 8)], [-1, -1, -1])[None]
    fragments = rasterize(vertices, TRIANGLE, **PIXEL_CAMERA, image_size=8, backend="torch")
    assert (interpolate(fragments, TRIANGLE, torch.ones(1, 3, 2), background=0.5) == 0.5).all()
    assert (face_map(fragments, torch.tensor([3])) == -1).all()
    assert (silhouette(fragments) == 0).all()


def test_bad_shapes(scene: tuple) -> None:
    _, faces, fragments = scene
    with pytest.raises(ValueError, match=r"attributes must be \(3 or 1, V, C\), got \(2, 5, 3\)"):
        interpolate(fragments, faces, torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match=r"face_values must be \(F,\), got \(5, 3\)"):
        face_map(fragments, torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"vertex_labels must be \(V,\), got \(5, 3\)"):
        vertex_label_map(fragments, faces, torch.zeros(5, 3))
