from __future__ import annotations

import pytest
import torch
from support.meshes import at_depth
from support.rasterizing import ALL_BACKENDS, TRIANGLE, draw

from mion_plugin.rendering.rasterizer import rasterize


@pytest.mark.parametrize("backend", ALL_BACKENDS)
class TestOneTriangle:
    def test_convention_pin_pixels_by_hand(self, backend: str) -> None:
        # Corners (0, 0), (6, 0), (0, 3): the long edge crosses y = 0.5, 1.5, 2.5 at x = 5, 3, 1.
        fragments = draw(at_depth([(0, 0), (6, 0), (0, 3)], [1, 1, 1]), TRIANGLE, (4, 7), backend=backend)
        covered = torch.tensor(
            [
                [1, 1, 1, 1, 1, 0, 0],
                [1, 1, 1, 0, 0, 0, 0],
                [1, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0],
            ]
        )
        assert torch.equal(fragments.mask[0].long(), covered)
        assert torch.equal(fragments.face_index[0], covered - 1)
        # Pixel (row 0, column 2) has its centre at (2.5, 0.5): 2.5 / 6 of the second corner, 0.5 / 3 of the third.
        torch.testing.assert_close(fragments.barycentric[0, 0, 2], torch.tensor([5 / 12, 5 / 12, 1 / 6]))
        assert fragments.depth[0, 3, 6] == torch.inf
        assert fragments.barycentric[0, 3, 6].tolist() == [0, 0, 0]

    def test_convention_pin_camera(self, backend: str) -> None:
        # The right angle falls on x = 5000 * 0.1 / 50 + 112 = 122, y = 5000 * 0.2 / 50 + 112 = 132.
        vertices = torch.tensor([[[0.1, 0.2, 50], [0.115, 0.2, 50], [0.1, 0.215, 50]]])
        fragments = rasterize(vertices, TRIANGLE, 5000.0, (112.0, 112.0), 224, backend=backend)
        assert fragments.mask[0].nonzero().tolist() == [[132, 122]]

    def test_perspective_correct_by_hand(self, backend: str) -> None:
        # Half way between depths 1 and 3 in the image, weights are 1 / 1 : 1 / 3 and the depth is 1.5.
        vertices = at_depth([(0.5, 0.5), (4.5, 0.5), (4.5, 8)], [1, 3, 3])
        if backend == "pytorch3d":  # counts borders as outside
            vertices = at_depth([(0.5, 0.4999), (4.5, 0.4999), (4.5, 8)], [1, 3, 3])
        fragments = draw(vertices, TRIANGLE, 5, backend=backend)
        torch.testing.assert_close(fragments.depth[0, 0, 2], torch.tensor(1.5), atol=1e-4, rtol=0)
        torch.testing.assert_close(fragments.barycentric[0, 0, 2], torch.tensor([0.75, 0.25, 0]), atol=1e-4, rtol=0)

    def test_both_windings_and_culling(self, backend: str) -> None:
        # Going right, then down the screen, is clockwise for the viewer.
        vertices = at_depth([(0, 0), (6, 0), (0, 3)], [1, 1, 1])
        flipped = TRIANGLE.flip(1)
        front, back = draw(vertices, flipped, 6, backend=backend), draw(vertices, TRIANGLE, 6, backend=backend)
        assert torch.equal(front.mask, back.mask)
        assert torch.equal(draw(vertices, flipped, 6, cull_backfaces=True, backend=backend).mask, front.mask)
        assert not draw(vertices, TRIANGLE, 6, cull_backfaces=True, backend=backend).mask.any()

    def test_larger_than_the_image(self, backend: str) -> None:
        fragments = draw(at_depth([(-90, -80), (300, -70), (-60, 400)], [2, 2, 2]), TRIANGLE, (31, 47), backend=backend)
        assert fragments.mask.all()
        torch.testing.assert_close(fragments.depth, torch.full((1, 31, 47), 2.0))

    @pytest.mark.parametrize("shift", [(-9, 0), (9, 0), (0, -9), (0, 9)])
    def test_off_screen(self, backend: str, shift: tuple[int, int]) -> None:
        corners = [(x + shift[0], y + shift[1]) for x, y in [(0, 0), (6, 0), (0, 3)]]
        assert not draw(at_depth(corners, [1, 1, 1]), TRIANGLE, 7, backend=backend).mask.any()

    def test_clipped_by_the_border(self, backend: str) -> None:
        corners = [(x - 2, y - 1) for x, y in [(0, 0), (6, 0), (0, 3)]]
        mask = draw(at_depth(corners, [1, 1, 1]), TRIANGLE, 4, backend=backend).mask[0]
        assert mask.nonzero().tolist() == [[0, 0]]

    @pytest.mark.parametrize("depths", [(-1, -1, -1), (1, 1, -1), (1, 1, 0.0), (1, 1, 0.05)])
    def test_behind_or_across_the_near_plane(self, backend: str, depths: tuple[float, ...]) -> None:
        vertices = at_depth([(0, 0), (6, 0), (0, 3)], list(depths))
        vertices[2, :2] = torch.tensor([0.1, 0.2])
        assert not draw(vertices, TRIANGLE, 6, near=0.1, backend=backend).mask.any()

    def test_at_the_near_plane(self, backend: str) -> None:
        vertices = at_depth([(0, 0), (6, 0), (0, 3)], [0.5, 0.5, 0.5])
        assert draw(vertices, TRIANGLE, 6, near=0.5, backend=backend).mask.any()

    @pytest.mark.parametrize(
        "corners",
        [
            [(3, 3), (3, 3), (3, 3)],
            [(0, 0), (6, 3), (6, 3)],
            [(0.5, 0.5), (2.5, 2.5), (4.5, 4.5)],  # on a line through pixel centres
            [(0.5, 2.5), (5.5, 2.5), (2.5, 2.5)],
        ],
    )
    def test_degenerate_is_not_drawn(self, backend: str, corners: list[tuple[float, float]]) -> None:
        assert not draw(at_depth(corners, [1, 2, 3]), TRIANGLE, 6, backend=backend).mask.any()

    def test_vertex_far_outside_float_range(self, backend: str) -> None:
        vertices = torch.tensor([[1e30, 0, 0.02], [6, 0, 1], [0, 3, 1]])
        fragments = draw(vertices, TRIANGLE, 6, backend=backend)
        assert not fragments.mask.any()
        assert not fragments.depth.isnan().any()
