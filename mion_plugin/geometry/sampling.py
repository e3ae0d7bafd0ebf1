"""Image features at points of the picture."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mion_plugin.geometry.precision import full_precision

# Points farther out than this, in half crops, see zeros anyway; indices of huge coordinates would overflow.
_FARTHEST = 3.0


def sample_features(features: Tensor, points: Tensor) -> Tensor:
    """Features at points, bilinear, zero outside.

    Convention: of 4 columns, the centre of the first is at x = -0.75, the border between the second and third at 0.

    Args:
        features: (B, C, h, w).
        points: (B, N, K, 2) x, y in normalised coordinates.

    Returns:
        (B, N, K, C) float32.
    """
    with full_precision(features):
        grid = points.clamp(-_FARTHEST, _FARTHEST)
        sampled = functional.grid_sample(features.float(), grid, padding_mode="zeros", align_corners=False)
    return sampled.permute(0, 2, 3, 1)
