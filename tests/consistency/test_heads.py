from __future__ import annotations

import numpy as np
import pytest
import torch

from mion_plugin.consistency import template_height, vertex_distance
from mion_plugin.consistency.heads import (
    AnchorHead,
    VertexHead,
    farthest_points,
    interpolation_weights,
)


@pytest.fixture(scope="module")
def surface(body) -> torch.Tensor:
    return body.v_template.double()


def test_farthest_points_against_a_loop():
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen = farthest_points(points, 12).tolist()
    array = points.numpy()
    expected = [int(np.linalg.norm(array - array.mean(axis=0), axis=1).argmax())]
    while len(expected) < 12:
        nearest = [min(np.linalg.norm(point - array[other]) for other in expected) for point in array]
        expected.append(int(np.argmax(nearest)))
    assert chosen == expected


def test_anchors_keep_their_value_and_constants_stay_constant(surface):
    anchors = farthest_points(surface, 32)
    weights = interpolation_weights(surface, anchors)
    torch.testing.assert_close(weights[anchors], torch.eye(32, dtype=weights.dtype))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(6890, dtype=weights.dtype))
    assert (weights >= 0).all()
    assert ((weights > 0).sum(dim=1) <= 4).all()


def test_real_distances_are_nearly_of_low_rank(body, surface):
    generator = torch.Generator().manual_seed(0)
    poses = 0.35 * torch.randn(2, 12, 24, 3, generator=generator)
    true, other = body(poses[0]), body(poses[1])
    height = template_height(body.v_template)
    distance = vertex_distance(true.vertices, other.vertices, true.joints[:, 0], other.joints[:, 0], height)
    errors = {}
    for count in (8, 128):
        anchors = farthest_points(surface, count)
        interpolated = distance[:, anchors] @ interpolation_weights(surface, anchors).float().T
        errors[count] = ((interpolated - distance).abs().mean() / distance.mean()).item()
        bias = (interpolated.mean(dim=1) / distance.mean(dim=1) - 1).abs().max()
    assert errors[128] < 0.04 < errors[8]
    assert bias < 0.01  # of the score


def test_heads(surface):
    features = torch.randn(5, 16)
    direct, anchored = VertexHead(16, 6890), AnchorHead(16, surface.float(), 24)
    assert direct(features).shape == anchored(features).shape == (5, 6890)
    torch.testing.assert_close(anchored(features)[:, anchored.anchors], anchored.linear(features))
    assert set(anchored.state_dict()) == {"linear.weight", "linear.bias"}
    with pytest.raises(ValueError, match="num_anchors is 0, expected 1 to 6890"):
        AnchorHead(16, surface, 0)
