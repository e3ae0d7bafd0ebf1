from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.meshes import ellipsoid
from support.rasterizing import needs_pytorch3d

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.body.stand_in import load_stand_in
from mion_plugin.registry import MODELS
from mion_plugin.rendering.pncc import PNCCRenderer, normalized_coordinate_code
from mion_plugin.rendering.rasterizer import rasterize

CROP = {"focal_length": 5000.0, "principal_point": (112.0, 112.0), "image_size": 224}


@pytest.fixture(scope="module")
def posed() -> torch.Tensor:
    """Four bodies in random poses, upright in the image, (4, 6890, 3)."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(4, 24, 3, generator=generator) * 0.3
    pose[:, 0] = torch.tensor([math.pi, 0.0, 0.0])  # from SMPL's y up to the camera's y down
    pose[1:, 0] += torch.randn(3, 3, generator=generator) * 0.2
    transl = torch.tensor([[0.0, 0.0, 45.0], [0.3, -0.2, 50.0], [-0.1, 0.0, 60.0], [0.0, 0.1, 40.0]])
    return SMPLBody()(pose, transl=transl).vertices


class TestNormalizedCoordinateCode:
    def test_equation_3_by_hand(self) -> None:
        template = torch.tensor([[-1.0, 0, 5], [1, 2, 5.5], [0, 8, 7]])
        expected = torch.tensor([[0.0, 0, 0], [1, 0.25, 0.25], [0.5, 1, 1]])
        assert torch.equal(normalized_coordinate_code(template), expected)

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            (torch.zeros(3), r"template_vertices must be \(V, 3\), got \(3,\)"),
            (torch.zeros(0, 3), r"must be \(V, 3\), got \(0, 3\)"),
            (torch.tensor([[0.0, 0, 0], [1, 1, 0]]), r"extend along x, y and z, got \[1.0, 1.0, 0.0\]"),
            (torch.tensor([[0.0, 0, 0], [1, 1, torch.nan]]), "must be finite"),
        ],
    )
    def test_bad_template(self, template: torch.Tensor, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            normalized_coordinate_code(template)


class TestPNCCRenderer:
    def test_built_from_config(self, posed: torch.Tensor) -> None:
        renderer = MODELS.build({"type": "mion.PNCCRenderer", "size": 56})
        pncc = renderer(posed, **CROP)
        assert pncc.shape == (4, 3, 56, 56)
        assert pncc.dtype == torch.float32
        assert pncc.min() == 0
        assert 0.8 < pncc.max() < 1 + 1e-6
        covered = (pncc > 0).any(1).flatten(1).float().mean(1)
        assert ((covered > 0.02) & (covered < 0.5)).all()
        assert torch.equal(renderer(posed), pncc)  # the crop's camera is the default
        assert not renderer.state_dict()
        assert not list(renderer.parameters())

    def test_colour_of_a_visible_vertex_is_its_code(self, posed: torch.Tensor) -> None:
        # One image per vertex, the camera shifted so that the vertex falls on the centre of pixel (28, 28).
        chosen = torch.arange(11, 6890, 97)
        vertices = posed[:1].expand(len(chosen), -1, -1)
        point = 114.0 - 5000 * (posed[0, chosen, :2] / posed[0, chosen, 2:])
        renderer = PNCCRenderer(size=56)
        colours = renderer(vertices, 5000.0, point, 224)[:, :, 28, 28]
        seen = rasterize(vertices, renderer.faces, 1250.0, point / 4, 56)
        visible = (seen.depth[:, 28, 28] - posed[0, chosen, 2]).abs() < 1e-4
        assert visible.sum() > 20
        torch.testing.assert_close(colours[visible], renderer.ncc[chosen][visible], atol=5e-3, rtol=0)
        # The hidden ones have something else before them.
        assert (~visible).sum() > 20
        assert (seen.depth[~visible, 28, 28] < posed[0, chosen[~visible], 2]).float().mean() > 0.9

    def test_axes_of_the_standing_body(self) -> None:
        # SMPL's template: x to the body's left, y up. Seen from the front, its left is on the image's right.
        pose = torch.zeros(1, 24, 3)
        pose[:, 0, 0] = math.pi
        vertices = SMPLBody()(pose, transl=torch.tensor([[0.0, -0.3, 50.0]])).vertices
        pncc = PNCCRenderer(size=56)(vertices, **CROP)[0]
        rows, columns = (pncc.sum(0) > 0).nonzero().unbind(1)
        x, y, z = pncc[:, rows, columns]
        assert torch.corrcoef(torch.stack([columns.float(), x]))[0, 1] > 0.99
        assert torch.corrcoef(torch.stack([rows.float(), y]))[0, 1] < -0.99
        assert z.mean() > 0.5  # the front, not the back

    @pytest.mark.parametrize("size", [112, (56, 100)])
    def test_other_sizes_show_the_same_view(self, posed: torch.Tensor, size: int | tuple[int, int]) -> None:
        fine = PNCCRenderer(size=224)(posed, **CROP)
        coarse = PNCCRenderer(size=size)(posed, **CROP)
        resized = torch.nn.functional.interpolate(fine, size=size, mode="area")
        inside = torch.nn.functional.interpolate((fine.sum(1, keepdim=True) > 0).float(), size=size, mode="area") == 1
        inside = inside.expand_as(coarse)
        # A pixel's centre against the mean over it; more than that only where limbs lie before one another.
        assert (coarse - resized)[inside].abs().mean() < 0.01

    def test_row_of_a_batch_equals_batch_of_one(self, posed: torch.Tensor) -> None:
        renderer = PNCCRenderer(size=56)
        together = renderer(posed, **CROP)
        for row in range(len(posed)):
            assert torch.equal(renderer(posed[row : row + 1], **CROP)[0], together[row])

    def test_out_of_view_is_background(self, posed: torch.Tensor) -> None:
        assert not PNCCRenderer(size=56)(posed + torch.tensor([5.0, 0, 0]), **CROP).any()
        assert PNCCRenderer(size=56)(posed[:0], **CROP).shape == (0, 3, 56, 56)

    @needs_pytorch3d
    def test_posed_bodies_agree_with_pytorch3d(self, posed: torch.Tensor) -> None:
        body = load_stand_in()
        ours = PNCCRenderer(size=56, body=body, backend="torch")(posed, **CROP)
        theirs = PNCCRenderer(size=56, body=body, backend="pytorch3d")(posed, **CROP)
        differs = ((ours - theirs).abs() > 1e-3).any(1)
        assert differs.sum() <= 0.002 * (ours > 0).any(1).sum()

    def test_bodies_of_every_kind(self) -> None:
        vertices, faces = ellipsoid()
        array, index = vertices.numpy().copy(), faces.numpy().astype(np.int32)
        bodies = [
            {"template": vertices, "faces": faces},
            {"template": array, "faces": index},
            SimpleNamespace(v_template=array, faces=index),
        ]
        images = [PNCCRenderer(8, body)(vertices[None] + torch.tensor([0, 0, 40.0]), **CROP) for body in bodies]
        assert images[0].any()
        assert torch.equal(images[0], images[1])
        assert torch.equal(images[0], images[2])
        renderer = PNCCRenderer(8, bodies[1])
        array[:] = 0
        assert renderer.ncc.max() == 1

    def test_bad_input(self, posed: torch.Tensor) -> None:
        with pytest.raises(ValueError, match=r"body must have v_template and faces.*'faces'"):
            PNCCRenderer(body={"template": np.zeros((4, 3))})
        with pytest.raises(ValueError, match="body must have v_template and faces"):
            PNCCRenderer(body="smpl")
        with pytest.raises(ValueError, match="image_size must be at least"):
            PNCCRenderer(size=0)
        with pytest.raises(ValueError, match=r"vertices must be \(B, 6890, 3\), got \(4, 6889, 3\)"):
            PNCCRenderer()(posed[:, 1:], **CROP)
        with pytest.raises(TypeError, match=r"vertices are a ndarray, expected a tensor \(B, V, 3\)"):
            PNCCRenderer()(posed.numpy(), **CROP)
        with pytest.raises(ValueError, match="unknown rasteriser backend 'opengl'"):
            PNCCRenderer(backend="opengl")(posed, **CROP)
