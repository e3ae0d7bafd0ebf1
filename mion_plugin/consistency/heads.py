"""From image features to a distance for every vertex."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.geometry.sampling import sample_features

OUTPUTS = ("vertices", "low_rank", "local")
_NEIGHBOURS = 4  # anchors that a vertex is interpolated from
_SAME_PLACE = 1e-6  # metres
_SPACE = 3
# What untrained heads give about: body heights, the mean over stage-1 candidates. From torch's default start the first
# hundred steps would go into finding this number.
_TYPICAL_DISTANCE = 0.1
_FIRST_STD = 1e-3


class VertexHead(nn.Module):
    """One linear output per vertex, as the paper: 6,890 x C weights.

    Args:
        in_channels: C.
        num_vertices: V.
    """

    def __init__(self, in_channels: int, num_vertices: int) -> None:
        super().__init__()
        self.linear = _linear(in_channels, num_vertices)

    def forward(self, features: Tensor) -> Tensor:
        """(S, C) to (S, V)."""
        return self.linear(features)


class AnchorHead(nn.Module):
    """Linear outputs at K anchor vertices, spread over the surface and interpolated by fixed weights to all V.

    Distances vary smoothly over a body: 128 anchors give those of random poses to 4 per cent and their mean, the score,
    to 1 per cent, for a fiftieth of the weights.

    Args:
        in_channels: C.
        v_template: (V, 3) rest pose, metres.
        num_anchors: K.

    Raises:
        ValueError: K is not among 1 to V.
    """

    anchors: Tensor
    weights: Tensor

    def __init__(self, in_channels: int, v_template: Tensor, num_anchors: int) -> None:
        super().__init__()
        points = v_template.double()
        anchors = farthest_points(points, num_anchors)
        self.linear = _linear(in_channels, num_anchors)
        self.register_buffer("anchors", anchors, persistent=False)
        self.register_buffer("weights", interpolation_weights(points, anchors).float(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(S, C) to (S, V)."""
        return self.linear(features) @ self.weights.T


class LocalHead(nn.Module):
    """Outputs at K anchor vertices, each from the features at its own place in the picture.

    Whether a hand lies on the image's hand is seen at the hand; average pooling would mix it with the rest of the body.
    Each anchor also knows the pooled features and, since what lies deep in the picture shows little, the body's pose:
    where it is itself, and where all the anchors are.

    Args:
        in_channels: C.
        v_template: (V, 3) rest pose, metres.
        num_anchors: K.
        width: Of the hidden layers.

    Raises:
        ValueError: K is not among 1 to V.
    """

    anchors: Tensor
    weights: Tensor

    def __init__(self, in_channels: int, v_template: Tensor, num_anchors: int, width: int = 96) -> None:
        super().__init__()
        points = v_template.double()
        anchors = farthest_points(points, num_anchors)
        self.local = nn.Linear(in_channels + _SPACE, width)
        self.pose = nn.Linear(_SPACE * num_anchors, width)
        self.context = nn.Linear(in_channels + width, width, bias=False)
        self.identity = nn.Parameter(torch.empty(num_anchors, width).normal_(std=_FIRST_STD))
        self.hidden = nn.Linear(width, width)
        self.out = nn.Parameter(torch.empty(num_anchors, width).normal_(std=_FIRST_STD))
        self.bias = nn.Parameter(torch.full((num_anchors,), _TYPICAL_DISTANCE))
        self.register_buffer("anchors", anchors, persistent=False)
        self.register_buffer("weights", interpolation_weights(points, anchors).float(), persistent=False)

    def forward(self, pooled: Tensor, features: Tensor, places: Tensor, offsets: Tensor) -> Tensor:
        """Distances (S, V).

        Args:
            pooled: (S, C).
            features: (S, C, h, w).
            places: (S, K, 2) the anchors in the picture, normalised coordinates; outside, features are zero.
            offsets: (S, K, 3) the anchors relative to the body's middle, in body heights.
        """
        local = self.local(torch.cat([sample_features(features, places[:, None])[:, 0], offsets], dim=-1))
        pose = functional.relu(self.pose(offsets.flatten(1)))
        context = self.context(torch.cat([pooled, pose], dim=-1))
        hidden = functional.relu(local + context[:, None] + self.identity)
        hidden = functional.relu(self.hidden(hidden))
        return ((hidden * self.out).sum(dim=-1) + self.bias) @ self.weights.T


def _linear(in_channels: int, out_channels: int) -> nn.Linear:
    linear = nn.Linear(in_channels, out_channels)
    nn.init.normal_(linear.weight, std=_FIRST_STD)
    nn.init.constant_(linear.bias, _TYPICAL_DISTANCE)
    return linear


def farthest_points(points: Tensor, count: int) -> Tensor:
    """Indices (count,) of points far from each other.

    The first is the farthest from the centre, each further one the farthest from those before.

    Args:
        points: (V, D).
        count: 1 to V.

    Raises:
        ValueError: ``count`` is out of range.
    """
    if not 1 <= count <= len(points):
        raise ValueError(f"num_anchors is {count}, expected 1 to {len(points)}, the number of vertices")
    distance = (points - points.mean(dim=0)).norm(dim=1)
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(int(distance.argmax()))
        to_last = (points - points[chosen[-1]]).norm(dim=1)
        distance = to_last if len(chosen) == 1 else torch.minimum(distance, to_last)
    return torch.tensor(chosen)


def interpolation_weights(points: Tensor, anchors: Tensor) -> Tensor:
    """Weights (V, K) of K anchors for each point: inverse squared distances to the nearest few, rows sum to 1.

    An anchor itself has the weight 1.

    Args:
        points: (V, D).
        anchors: (K,) indices of points.
    """
    distance = torch.cdist(points, points[anchors], compute_mode="donot_use_mm_for_euclid_dist")
    nearest, index = distance.topk(min(_NEIGHBOURS, len(anchors)), dim=1, largest=False)
    inverse = nearest.clamp(min=_SAME_PLACE).pow(-2)
    inverse[nearest[:, 0] < _SAME_PLACE, 1:] = 0.0
    return torch.zeros_like(distance).scatter(1, index, inverse / inverse.sum(dim=1, keepdim=True))
