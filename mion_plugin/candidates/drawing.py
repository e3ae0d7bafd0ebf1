"""Some of an image's candidates at random, for training."""

from __future__ import annotations

import torch

from mion_plugin.bodies import Bodies


def draw_candidates(candidates: Bodies, count: int, generator: torch.Generator | None = None) -> Bodies:
    """``count`` different candidates of each image at random.

    Args:
        candidates: N of each image.
        count: At most N.
        generator: A CPU generator, so that every device draws the same; None for torch's global one.

    Raises:
        ValueError: There are fewer than ``count``.
    """
    batch, available = candidates.transl.shape[:2]
    if count > available:
        raise ValueError(f"train_candidates is {count}, but each image has {available} candidates")
    if count == available:
        return candidates
    return candidates.take(torch.rand(batch, available, generator=generator).argsort(dim=1)[:, :count])
