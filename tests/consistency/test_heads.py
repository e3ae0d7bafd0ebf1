from __future__ import annotations

import numpy as np
import pytest
import torch

from mion_plugin.consistency import template_height, vertex_distance
from mion_plugin.consistency.heads import (
    AnchorHead,
    LocalHead,
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


def test_an_anchor_of_the_local_head_reads_the_features_at_its_place(surface):
    torch.manual_seed(0)
    head = LocalHead(16, surface.float(), 24)
    torch.nn.init.normal_(head.out)
    features, pooled, offsets = torch.randn(3, 16, 8, 8), torch.randn(3, 16), torch.randn(3, 24, 3)
    places = 1.8 * torch.rand(3, 24, 2) - 0.9
    before = head(pooled, features, places, offsets)[:, head.anchors]
    changed = features.clone()
    changed[:, :, :, :4] += 1.0  # the left half
    difference = (head(pooled, changed, places, offsets)[:, head.anchors] - before).abs()
    column = 4.0 * (places[..., 0] + 1.0) - 0.5
    left, right = column < 3.0, column > 4.0
    assert left.any()
    assert right.any()
    assert (difference[left] > 1e-4).all()
    assert (difference[right] < 1e-6).all()
    with pytest.raises(ValueError, match="num_anchors is 7000, expected 1 to 6890"):
        LocalHead(16, surface.float(), 7000)
