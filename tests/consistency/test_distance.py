from __future__ import annotations

import numpy as np
import pytest
import torch

from mion_plugin.consistency import template_height, vertex_distance


def make_bodies(body, count: int = 3):
    generator = torch.Generator().manual_seed(0)
    pose, betas = 0.4 * torch.randn(count, 24, 3, generator=generator), torch.randn(count, 10, generator=generator)
    return pose, betas


def test_against_a_loop(body):
    true, other = body(*make_bodies(body)), body(make_bodies(body)[0].flip(0))
    height = template_height(body.v_template)
    distance = vertex_distance(true.vertices, other.vertices, true.joints[:, 0], other.joints[:, 0], height)
    assert distance.shape == (3, 6890)
    for row in range(3):
        for vertex in range(0, 6890, 97):
            a = (true.vertices[row, vertex] - true.joints[row, 0]).double().numpy()
            b = (other.vertices[row, vertex] - other.joints[row, 0]).double().numpy()
            assert distance[row, vertex].item() == pytest.approx(np.sqrt(((a - b) ** 2).sum()) / height, abs=1e-6)


def test_moving_either_body_changes_nothing(body):
    pose, betas = make_bodies(body)
    true, other = body(pose, betas), body(pose.flip(0), betas)
    here = vertex_distance(true.vertices, other.vertices, true.joints[:, 0], other.joints[:, 0], 1.7)
    move = torch.tensor([0.3, -1.2, 45.0]).expand(3, 3)
    for moved_true, moved_other in ((move, None), (None, move)):
        far_true, far_other = body(pose, betas, moved_true), body(pose.flip(0), betas, moved_other)
        there = vertex_distance(
            far_true.vertices, far_other.vertices, far_true.joints[:, 0], far_other.joints[:, 0], 1.7
        )
        torch.testing.assert_close(there, here, atol=2e-5, rtol=0)  # single precision at 45 m


def test_the_unit_is_the_height_of_the_mean_shape(body):
    height = template_height(body.v_template)
    assert 1.6 < height < 1.9
    rest = body(torch.zeros(24, 3))
    # taller than itself by its own height, seen from the pelvis
    moved = vertex_distance(
        rest.vertices, rest.vertices, rest.joints[0], rest.joints[0] + torch.tensor([0.0, height, 0.0]), height
    )
    torch.testing.assert_close(moved, torch.ones(6890))


def test_paths_broadcast_and_the_true_body_is_at_distance_0(body):
    pose, betas = make_bodies(body)
    true, paths = body(pose, betas), body(pose[:, None].expand(3, 2, 24, 3), betas[:, None].expand(3, 2, 10))
    distance = vertex_distance(
        true.vertices[:, None], paths.vertices, true.joints[:, None, 0], paths.joints[..., 0, :], 1
    )
    assert distance.shape == (3, 2, 6890)
    assert distance.max() < 1e-6


def test_bad_input():
    points = torch.zeros(5, 3)
    with pytest.raises(ValueError, match=r"vertices_true \(5, 3\) and vertices \(4, 3\): expected"):
        vertex_distance(points, points[:4], points[0], points[0], 1.7)
    with pytest.raises(ValueError, match="body_height is 0, expected a positive number"):
        vertex_distance(points, points, points[0], points[0], 0)
