"""Choosing mutually distant candidates from ragged shortlists (paper 3.4), all images at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def choose_diverse(
    sample: Tensor,
    fit_loss: Tensor,
    compatible: Tensor,
    distance_to: Callable[[Tensor], Tensor],
    num_samples: int,
    num_chosen: int,
) -> Tensor:
    """Choose per sample: the lowest loss first, then repeatedly the compatible entry farthest from those chosen.

    Farthest means the largest distance to the nearest chosen entry. When a sample has no compatible entry left, the
    next lowest losses fill the places; when it has no entry of finite loss left, its first choice is repeated. Ties go
    to the earlier entry.

    Args:
        sample: (M,) which sample an entry belongs to, sorted.
        fit_loss: (M,) inf for entries that may never be chosen.
        compatible: (M,) bool.
        distance_to: Given (S,) entries, one per sample, returns (M,) each entry's distance to its sample's.
        num_samples: S.
        num_chosen: N.

    Returns:
        (S, N) entries in order of choice. A sample without an entry of finite loss gets -1.
    """
    if len(sample) == 0:
        return sample.new_full((num_samples, num_chosen), -1)
    taken = torch.zeros_like(compatible)
    nearest = torch.full_like(fit_loss, torch.inf)
    chosen: list[Tensor] = []
    for _ in range(num_chosen):
        # Distances are non-negative, so any compatible entry beats any filler, and of the fillers the lowest loss wins.
        score = torch.where(compatible, nearest, -1.0 - fit_loss) if chosen else -fit_loss
        entry = _segment_argmax(score.masked_fill(taken, -torch.inf), sample, num_samples)
        if chosen:
            entry = torch.where(entry < 0, chosen[0], entry)
        chosen.append(entry)
        found = entry[entry >= 0]
        taken[found] = True
        if len(chosen) < num_chosen:
            nearest = torch.minimum(nearest, distance_to(entry.clamp(min=0)))
    return torch.stack(chosen, dim=1)


def _segment_argmax(score: Tensor, sample: Tensor, num_samples: int) -> Tensor:
    """(S,) first entry of the highest score in each sample, -1 where all scores are -inf or there is no entry."""
    best = score.new_full((num_samples,), -torch.inf).scatter_reduce(0, sample, score, "amax")
    entries = torch.arange(len(score), device=score.device)
    is_best = (score == best[sample]) & (score > -torch.inf)
    first = entries.new_full((num_samples,), len(score))
    first = first.scatter_reduce(0, sample, entries.masked_fill(~is_best, len(score)), "amin")
    return torch.where(first < len(score), first, -1)
