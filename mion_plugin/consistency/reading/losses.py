"""The loss of the depth reader."""

from __future__ import annotations

from torch import Tensor

from mion_plugin.consistency.reading.network import DepthReading


def laplace_loss(reading: DepthReading, depths: Tensor, labelled: Tensor) -> Tensor:
    """Mean negative log-likelihood, a scalar, of true depths under the Laplace distributions that were read.

    |depth - read| / b + log(2 b): to state too small an error b costs as much as to state too large a one, and the best
    b is the expected distance.

    Args:
        reading: (B, K).
        depths: (B, K) metres, true; anything where not labelled.
        labelled: (B,) bool; other images do not count.
    """
    counts = labelled[:, None]
    difference = (reading.depths - depths.where(counts, reading.depths.detach())).abs()
    values = difference / reading.errors + (2.0 * reading.errors).log()
    return mean_over(values, labelled)


def mean_over(values: Tensor, labelled: Tensor) -> Tensor:
    """Mean (scalar) of values (B, K) over labelled images (B,) bool; 0 where there are none."""
    total = values.where(labelled[:, None], 0.0 * values).sum()
    return total / (labelled.sum() * values.shape[1]).clamp(min=1)
