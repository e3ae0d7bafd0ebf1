from __future__ import annotations

import pytest
import torch
from support.meshes import ellipsoid

from mion_plugin.rendering.shading import composite, light, shade, vertex_normals

CAMERA = {"focal_length": 100.0, "principal_point": (16.0, 12.0), "image_size": (24, 32)}


@pytest.fixture(scope="module")
def ball() -> tuple[torch.Tensor, torch.Tensor]:
    """A ball of 10 pixels' radius, a little left of the middle."""
    vertices, faces = ellipsoid(40, 60)
    return vertices[None] + torch.tensor([-0.2, 0.0, 10.0]), faces


class TestVertexNormals:
    def test_of_a_sphere_are_its_radii(self) -> None:
        vertices, faces = ellipsoid(40, 60)
        normals = vertex_normals(vertices[None] * 1e-3, faces)[0]
        torch.testing.assert_close(normals, vertices, atol=0.02, rtol=0)
        torch.testing.assert_close(normals.norm(dim=-1), torch.ones(len(vertices)))

    def test_direction_pin(self) -> None:
        # Counter-clockwise seen from +z, so the normal is +z; the fourth vertex has no face.
        vertices = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]]])
        normals = vertex_normals(vertices, torch.tensor([[0, 1, 2]]))
        assert normals[0].tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


class TestShade:
    def test_alpha_is_the_covered_share(self, ball: tuple) -> None:
        rgba = shade(*ball, **CAMERA, supersample=4)
        assert rgba.shape == (1, 4, 24, 32)
        assert rgba.min() >= 0
        assert rgba.max() <= 1
        alpha = rgba[0, 3]
        assert alpha[12, 14] == 1
        assert alpha[1, 1] == 0
        assert ((alpha > 0) & (alpha < 1)).any()
        assert abs(alpha.sum() - 3.1416 * 10.05**2) < 3
        # The middle is at column 14, row 12.
        columns = (alpha.sum(0) * (torch.arange(32) + 0.5)).sum() / alpha.sum()
        assert abs(columns - 14) < 0.05

    def test_edges_keep_the_colour(self, ball: tuple) -> None:
        # Colour is not darkened by the empty part of an edge pixel: a uniform surface has one hue everywhere.
        rgba = shade(*ball, **CAMERA, color=(0.2, 0.4, 0.6), supersample=3)[0]
        seen = rgba[3] > 0
        torch.testing.assert_close(rgba[1][seen], rgba[0][seen] * 2)
        torch.testing.assert_close(rgba[2][seen], rgba[0][seen] * 3)
        assert (rgba[:3, ~seen] == 0).all()
        assert rgba[2][seen].min() > 0.28 * 0.6  # ambient light reaches every point

    def test_lit_from_above_and_the_left(self, ball: tuple) -> None:
        brightness = shade(*ball, **CAMERA, color=(1.0, 1.0, 1.0))[0, 0]
        assert brightness[6, 10] > brightness[18, 10] > brightness[18, 18]
        assert brightness[6, 10] > brightness[6, 18]

    def test_vertex_colours(self, ball: tuple) -> None:
        vertices, faces = ball
        left = vertices[0, :, 0] < -0.2
        color = torch.where(left[:, None], torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))
        for shaped in (color, color[None]):
            rgba = shade(vertices, faces, **CAMERA, color=shaped)[0]
            assert rgba[0, 12, 9] > 0.5
            assert rgba[1, 12, 9] == 0
            assert rgba[0, 12, 19] == 0
            assert rgba[1, 12, 19] > 0.4

    def test_supersampling_keeps_the_place(self, ball: tuple) -> None:
        coarse, fine = (shade(*ball, **CAMERA, supersample=count) for count in (1, 4))
        assert ((coarse[:, 3] > 0.5) == (fine[:, 3] > 0.5)).float().mean() > 0.99
        assert set(coarse[:, 3].unique().tolist()) == {0.0, 1.0}

    def test_per_sample_camera(self, ball: tuple) -> None:
        vertices, faces = ball
        point = torch.tensor([[16.0, 12.0], [20.0, 12.0]])
        rgba = shade(vertices.expand(2, -1, -1), faces, torch.tensor([100.0, 100.0]), point, (24, 32))
        torch.testing.assert_close(rgba[1, :, :, 4:], rgba[0, :, :, :-4], atol=0.01, rtol=0)

    def test_bad_input(self, ball: tuple) -> None:
        with pytest.raises(ValueError, match=r"color must be \(3,\), \(\d+, 3\) or \(1, \d+, 3\), got \(4,\)"):
            shade(*ball, **CAMERA, color=(1, 1, 1, 1))
        with pytest.raises(ValueError, match="supersample must be at least 1, got 0"):
            shade(*ball, **CAMERA, supersample=0)


def test_light_by_hand() -> None:
    # Towards the camera: full headlight, half of the sky, and the key light at 0.66 of its length 0.99905.
    brightness = light(torch.tensor([0.0, 0.0, -1.0])).item()
    assert brightness == pytest.approx(0.28 + 0.16 / 2 + 0.46 * 0.66 / 0.99905 + 0.28, abs=1e-4)


def test_composite() -> None:
    rgba = torch.tensor([0.2, 0.4, 0.6, 0.5]).view(1, 4, 1, 1)
    image = torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1)
    assert composite(rgba, image).flatten().tolist() == pytest.approx([0.6, 0.2, 0.8])
    assert composite(rgba, image, opacity=0.5).flatten().tolist() == pytest.approx([0.8, 0.1, 0.9])
