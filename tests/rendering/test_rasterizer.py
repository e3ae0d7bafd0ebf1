from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.meshes import PIXEL_CAMERA, at_depth, ellipsoid, limbs, triangle_soup
from support.rasterizing import OWN_BACKENDS, TRIANGLE, assert_equal, draw, needs_pytorch3d
from support.ray_casting import cast_rays
from torch.utils._python_dispatch import TorchDispatchMode

from mion_plugin.rendering.rasterizer import Fragments, rasterize


@pytest.mark.parametrize("backend", OWN_BACKENDS)
class TestManyFaces:
    def test_nearest_wins_in_any_order(self, backend: str) -> None:
        corners = [(0, 0), (9, 0), (0, 9)]
        vertices = torch.cat([at_depth(corners, [depth] * 3) for depth in (3.0, 1.0, 2.0)])
        fragments = draw(vertices, torch.arange(9).view(3, 3), 4, backend=backend)
        assert (fragments.face_index == 1).all()
        assert (fragments.depth == 1).all()

    def test_faces_that_cross(self, backend: str) -> None:
        # At y = 0.5 the first rises from depth 1 to 3 over x = 0..8, the second falls from 3 to 1.
        vertices = torch.cat(
            [
                at_depth([(0, -9), (0, 10), (8, 0.5)], [1, 1, 3]),
                at_depth([(8, -9), (8, 10), (0, 0.5)], [1, 1, 3]),
            ]
        )
        fragments = draw(vertices, torch.arange(6).view(2, 3), (1, 8), backend=backend)
        assert fragments.face_index.flatten().tolist() == [0, 0, 0, 0, 1, 1, 1, 1]

    def test_tie_goes_to_the_lowest_index(self, backend: str) -> None:
        vertices = at_depth([(0, 0), (9, 0), (0, 9)], [2, 2, 2])
        fragments = draw(vertices, TRIANGLE.expand(5, 3), 4, backend=backend)
        assert (fragments.face_index == 0).all()
        nearer = torch.cat([vertices, vertices * 0.5])
        fragments = draw(nearer, torch.tensor([[0, 1, 2], [3, 4, 5], [3, 4, 5]]), 4, backend=backend)
        assert (fragments.face_index == 1).all()

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), on_centres=st.booleans())
    def test_neighbouring_faces_leave_no_gap(self, backend: str, seed: int, on_centres: bool) -> None:
        # A sheet of jittered squares; with vertices on pixel centres, many centres lie on edges and corners.
        generator = torch.Generator().manual_seed(seed)
        count = 9
        grid = torch.stack(torch.meshgrid(torch.arange(count), torch.arange(count), indexing="xy"), dim=-1)
        pixels = (grid * 3 + torch.rand(count, count, 2, generator=generator) * 2).reshape(-1, 2)
        if on_centres:
            pixels = pixels.round() + 0.5
        vertices = torch.cat([pixels, torch.ones(len(pixels), 1)], dim=1)
        corner = torch.arange(count * count).view(count, count)
        first, right = corner[:-1, :-1].flatten(), corner[:-1, 1:].flatten()
        below, across = corner[1:, :-1].flatten(), corner[1:, 1:].flatten()
        faces = torch.cat([torch.stack([first, right, below], 1), torch.stack([right, across, below], 1)])
        faces = faces.gather(1, torch.rand(len(faces), 3, generator=generator).argsort(dim=1))
        scale = 0.7 + 4 * torch.rand(1, generator=generator).item() if not on_centres else 1.0
        vertices[:, :2] *= scale
        fragments = draw(vertices, faces, int(28 * scale), backend=backend)
        inside = slice(int(3 * scale) + 1, int(23 * scale))
        assert fragments.mask[0, inside, inside].all()

    @pytest.mark.parametrize("seed", range(6))
    def test_equals_ray_casting(self, backend: str, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        height, width, near = 11, 17, 0.05
        vertices, faces = triangle_soup(generator, 1, 25, 17.0)
        fragments = rasterize(
            vertices,
            faces,
            torch.tensor([[1.1, 0.8]]),
            (0.4, 1.3),
            (height, width),
            near=near,
            backend=backend,
        )
        hits = cast_rays(
            vertices[0].numpy(), faces.numpy(), (1.1, 0.8), (0.4, 1.3), (height, width), near, tolerance=1e-3
        )
        compared = 0
        for row, column in np.ndindex(height, width):
            hit = hits[row][column]
            if hit.doubtful:
                continue
            compared += 1
            assert fragments.face_index[0, row, column] == hit.face
            np.testing.assert_allclose(fragments.depth[0, row, column], hit.depth, rtol=1e-4)
            np.testing.assert_allclose(fragments.barycentric[0, row, column], hit.weights, atol=1e-3)
        assert compared > 0.8 * height * width
        assert fragments.mask.any()

    @needs_pytorch3d
    @pytest.mark.parametrize("image_size", [(56, 56), (40, 72), (72, 40)])
    def test_agrees_with_pytorch3d(self, backend: str, image_size: tuple[int, int]) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(3), batch=3)
        height, width = image_size
        camera = (torch.tensor([900.0, 1000, 1300]), (width / 2 + 1.3, height / 2 - 0.6), image_size)
        ours = rasterize(vertices, faces, *camera, backend=backend)
        theirs = rasterize(vertices, faces, *camera, backend="pytorch3d")
        same = ours.face_index == theirs.face_index
        # The band where rounding decides: a centre within a thousandth of a face of its edge.
        edge = (ours.barycentric.amin(-1) < 1e-3) | (theirs.barycentric.amin(-1) < 1e-3)
        assert (same | edge).all()
        assert same[ours.mask].float().mean() > 0.998
        both = same & ours.mask
        assert both.sum() > 500
        torch.testing.assert_close(ours.depth[both], theirs.depth[both], atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.barycentric[both], theirs.barycentric[both], atol=5e-3, rtol=0)

    def test_row_of_a_batch_equals_batch_of_one(self, backend: str) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(5), batch=5)
        focal = torch.tensor([700.0, 800, 900, 1000, 1100])
        point = torch.rand(5, 2, generator=torch.Generator().manual_seed(0)) * 10 + 15
        together = rasterize(vertices, faces, focal, point, 40, backend=backend)
        for row in range(5):
            alone = rasterize(vertices[row : row + 1], faces, focal[row].item(), point[row], 40, backend=backend)
            one = slice(row, row + 1)
            assert_equal(Fragments(together.face_index[one], together.depth[one], together.barycentric[one]), alone)

    def test_moved_along_the_rays_it_looks_the_same(self, backend: str) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(6), batch=2)
        near = rasterize(vertices, faces, 1000.0, (20.0, 20.0), 40, backend=backend)
        far = rasterize(vertices * 4, faces, 1000.0, (20.0, 20.0), 40, backend=backend)
        assert_equal(far, Fragments(near.face_index, near.depth * 4, near.barycentric))

    def test_moved_by_whole_pixels(self, backend: str) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(7), batch=1)
        image = rasterize(vertices, faces, 1000.0, (20.0, 20.0), (40, 40), backend=backend).mask
        moved = rasterize(vertices, faces, 1000.0, (27.0, 17.0), (40, 50), backend=backend).mask
        assert (moved[:, :37, 7:47] == image[:, 3:]).float().mean() > 0.998

    def test_body_out_of_view(self, backend: str) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(8), batch=2)
        for shift in ([20.0, 0, 0], [0, -20.0, 0], [0, 0, -90.0]):
            fragments = rasterize(vertices + torch.tensor(shift), faces, 1000.0, (20.0, 20.0), 40, backend=backend)
            assert not fragments.mask.any()
            assert (fragments.depth == torch.inf).all()
            assert (fragments.barycentric == 0).all()

    @pytest.mark.parametrize(("batch", "count"), [(0, 4), (2, 0), (0, 0)])
    def test_nothing_to_draw(self, backend: str, batch: int, count: int) -> None:
        vertices, faces = triangle_soup(torch.Generator(), batch, 4, 9.0)
        fragments = rasterize(vertices, faces[:count], 1.0, (0.0, 0.0), 9, backend=backend)
        assert fragments.face_index.shape == (batch, 9, 9)
        assert fragments.barycentric.shape == (batch, 9, 9, 3)
        assert not fragments.mask.any()

    def test_closed_surface_hides_its_back(self, backend: str) -> None:
        sphere, faces = ellipsoid()
        vertices = sphere[None] + torch.tensor([0.0, 0, 10])
        both = rasterize(vertices, faces, 100.0, (15.0, 15.0), 30, backend=backend)
        front = rasterize(vertices, faces, 100.0, (15.0, 15.0), 30, cull_backfaces=True, backend=backend)
        assert both.mask.any()
        assert (both.face_index == front.face_index).float().mean() > 0.99

    def test_result_does_not_depend_on_how_images_are_shared_out(
        self, backend: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(9), batch=5)
        camera = (1000.0, (20.0, 20.0), 40)
        expected = rasterize(vertices, faces, *camera, backend=backend)
        monkeypatch.setattr("mion_plugin.rendering._torch_backend._MAX_TESTS", 100)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
        assert_equal(rasterize(vertices, faces, *camera, backend=backend), expected)


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"vertices": torch.zeros(3, 3)}, r"vertices must be float \(B, V, 3\), got torch.float32 \(3, 3\)"),
            ({"vertices": torch.zeros(1, 3, 3).long()}, "vertices must be float"),
            ({"vertices": torch.full((1, 3, 3), torch.nan)}, r"samples \[0\] hold NaN"),
            ({"faces": torch.zeros(1, 4).long()}, r"faces must be integer \(F, 3\), got torch.int64 \(1, 4\)"),
            ({"faces": torch.zeros(1, 3)}, "faces must be integer"),
            ({"faces": torch.tensor([[0, 1, 3]])}, "faces index vertices 0 to 3, but there are 3"),
            ({"faces": torch.tensor([[-1, 1, 2]])}, "faces index vertices -1 to 2"),
            ({"focal_length": torch.ones(2)}, r"focal_length must be a number, \(1,\) or \(1, 2\), got \(2,\)"),
            ({"focal_length": 0.0}, "focal_length must be positive"),
            ({"focal_length": float("nan")}, "focal_length must be positive"),
            ({"principal_point": (0.0, 0.0, 0.0)}, r"principal_point must be \(2,\) or \(1, 2\), got \(3,\)"),
            ({"principal_point": (0.0, float("inf"))}, "it finite"),
            ({"image_size": 0}, "image_size must be at least 1 x 1 pixel, got 0"),
            ({"image_size": (4, -1)}, "image_size must be at least"),
            ({"near": 0.0}, "near must be a positive number of metres, got 0.0"),
        ],
    )
    def test_raises(self, change: dict, message: str) -> None:
        arguments = {"vertices": torch.ones(1, 3, 3), "faces": TRIANGLE, "image_size": 5, **PIXEL_CAMERA}
        with pytest.raises(ValueError, match=message):
            rasterize(**(arguments | change))


class CountingMode(TorchDispatchMode):
    """Counts operations, and how often the highest number of a tensor of integers is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.looks += func is torch.ops.aten.max.default and not args[0].is_floating_point()
        self.operations += 1
        return func(*args, **(kwargs or {}))


def test_faces_are_looked_at_once_unless_they_change() -> None:
    """Each look waits for a GPU; faces that were written to are looked at again."""
    vertices, faces = torch.tensor([[[-1.0, -1, 5], [1, -1, 5], [0, 1, 5]]]), torch.tensor([[0, 2, 1]])
    with CountingMode() as mode:
        for _ in range(3):
            rasterize(vertices, faces, 20.0, (8.0, 8.0), 16)
        assert mode.looks == 1
        rasterize(vertices, faces.clone(), 20.0, (8.0, 8.0), 16)
        assert mode.looks == 2
    faces[0, 0] = 3
    with pytest.raises(ValueError, match="faces index vertices 1 to 3, but there are 3"):
        rasterize(vertices, faces, 20.0, (8.0, 8.0), 16)


def test_a_small_face_costs_the_same_in_a_large_image() -> None:
    """On a GPU each operation is a launch: sizes that no face has are not drawn."""
    vertices, faces = torch.tensor([[[-1.0, -1, 5], [1, -1, 5], [0, 1, 5]]]), torch.tensor([[0, 2, 1]])
    operations = []
    for size in (16, 1024):
        rasterize(vertices, faces, 20.0, (8.0, 8.0), size, backend="torch")
        with CountingMode() as mode:
            assert rasterize(vertices, faces, 20.0, (8.0, 8.0), size, backend="torch").mask.sum() > 20
        operations.append(mode.operations)
    assert operations[0] == operations[1]
