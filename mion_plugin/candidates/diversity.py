"""Choosing mutually distant candidates (paper 3.4), all images at once.

The first is the one of the lowest loss. Every next one is the compatible candidate that is farthest from those chosen:
it has the largest distance to the nearest of them. Few poses can be that. The distance to the first chosen, in the best
orientation, bounds what a pose can have, and of standing people's compatible poses 0.5 per cent or fewer have a bound
above the distance that wins (measured). So some poses are searched exactly, and more where bounds of others ask for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mion_plugin.candidates.distance import PoseDistance
from mion_plugin.candidates.shortlist import Shortlist

_FARTHEST_POSES = 64  # of an image, among which the farthest candidates are sought first
_MORE = 8  # times as many, as long as one of the others could be farther


def choose_diverse(shortlist: Shortlist, num_compatible: Tensor, distance: PoseDistance, num_chosen: int) -> Tensor:
    """Choose per sample: the lowest loss first, then repeatedly the compatible entry farthest from those chosen.

    Farthest means the largest distance to the nearest chosen entry. When a sample has no compatible entry left, the
    next lowest losses fill the places; when it has no entry of finite loss left, its first choice is repeated. Ties go
    to the earlier entry of the pool.

    Args:
        shortlist: What can be chosen.
        num_compatible: (S,) see ``count_compatible``.
        distance: Between the pool's candidates.
        num_chosen: N.

    Returns:
        (S, N) positions in the pool, pose * O + orientation, in order of choice. A sample without an entry of finite
        loss gets -1.
    """
    exact, num_orientations = shortlist.exact, len(shortlist.compatible)
    num_samples = len(num_compatible)
    chosen = shortlist.sample.new_full((num_samples, num_chosen), -1)
    if len(exact.sample) == 0:
        return chosen
    best = _segment_argmin(shortlist.fit_loss, exact.sample, num_samples)
    number = exact.pose * num_orientations + exact.orientation
    chosen[:, 0] = torch.where(best < 0, -1, number[best])
    chosen[:, 1:] = choose_farthest(shortlist, chosen[:, 0].clamp(min=0), distance, num_chosen - 1)
    _fill_up(chosen, shortlist, num_compatible, number)
    return torch.where(chosen < 0, chosen[:, :1], chosen)


def choose_farthest(shortlist: Shortlist, start: Tensor, distance: PoseDistance, count: int) -> Tensor:
    """The compatible candidates farthest from ``start`` and those chosen before.

    Args:
        shortlist: What can be chosen.
        start: (S,) position in the pool of each sample's first choice.
        distance: Between the pool's candidates.
        count: How many are wanted.

    Returns:
        (S, count) positions in the pool, -1 where no compatible candidate is left.
    """
    num_poses = len(distance.body_parameters)
    bound = _farthest_possible(shortlist, start, distance)
    bounds = bound.new_full((len(start), num_poses), -torch.inf)
    bounds[shortlist.sample, shortlist.pose] = bound
    column = shortlist.pose.new_full(bounds.shape, -1)
    column[shortlist.sample, shortlist.pose] = torch.arange(len(bound), device=bound.device)
    chosen = start.new_full((len(start), count), -1)
    rows = torch.arange(len(start), device=start.device)
    width = max(_FARTHEST_POSES, count)
    while len(rows):
        farthest = bounds[rows].topk(min(width + 1, num_poses), dim=1)
        beyond = farthest.values[:, width] if width < num_poses else bounds.new_full((len(rows),), -torch.inf)
        poses = farthest.indices[:, :width].sort(dim=1).values
        columns = column[rows].gather(1, poses)
        allowed = (shortlist.compatible[:, columns.clamp(min=0)] & (columns >= 0)).movedim(0, -1)
        chosen[rows], proven = _farthest_among(poses, allowed, start[rows], beyond, distance, count)
        rows = rows[~proven]
        width *= _MORE
    return chosen


def _farthest_possible(shortlist: Shortlist, start: Tensor, distance: PoseDistance) -> Tensor:
    """(G,) upper bounds of the squared distances from ``start`` of all poses, in single precision."""
    num_orientations = len(shortlist.compatible)
    num_poses = torch.bincount(shortlist.sample, minlength=len(start)).tolist()
    body = distance.most_from(start // num_orientations, shortlist.pose, num_poses)
    orient = distance.orient_squared[:, start % num_orientations].float().index_select(1, shortlist.sample)
    return body + orient.masked_fill_(~shortlist.compatible, -torch.inf).amax(dim=0)


def _farthest_among(
    poses: Tensor, allowed: Tensor, start: Tensor, beyond: Tensor, distance: PoseDistance, count: int
) -> tuple[Tensor, Tensor]:
    """``choose_farthest`` among some poses, exactly.

    Args:
        poses: (S, k) poses of the pool, sorted.
        allowed: (S, k, O) bool.
        start: (S,) position in the pool.
        beyond: (S,) upper bound of the squared distance from ``start`` of all other poses, -inf if there are none.
        distance: Between the pool's candidates.
        count: How many are wanted.

    Returns:
        (S, count) positions in the pool, -1 for none; and (S,) whether none of the other poses would have been chosen.
    """
    num_orientations = allowed.shape[2]
    number = (poses[..., None] * num_orientations + torch.arange(num_orientations, device=poses.device)).flatten(1)
    nearest = poses.new_full(allowed.shape, torch.inf, dtype=torch.float64).masked_fill_(~allowed, -torch.inf)
    alone = beyond == -torch.inf
    beyond = beyond.double().clamp(min=0.0).sqrt()
    proven = torch.ones_like(alone)
    chosen = [start]
    for _ in range(count):
        last = chosen[-1].clamp(min=0)
        body = distance.body_squared(poses, last[:, None] // num_orientations)
        orient = distance.orient_squared[last % num_orientations]
        nearest = torch.minimum(nearest, (body[..., None] + orient[:, None]).sqrt())
        nearest.flatten(1).masked_fill_(number == last[:, None], -torch.inf)
        largest, place = nearest.flatten(1).max(dim=1)  # the first of several
        proven &= alone | (largest > beyond)
        chosen.append(torch.where(largest > -torch.inf, number.gather(1, place[:, None])[:, 0], -1))
    return torch.stack(chosen[1:], dim=1) if count else start.new_empty((len(start), 0)), proven


def _fill_up(chosen: Tensor, shortlist: Shortlist, num_compatible: Tensor, number: Tensor) -> None:
    """Put the lowest losses into the places (S, N) that compatible candidates leave free.

    Args:
        chosen: Positions in the pool; changed.
        shortlist: What can be chosen.
        num_compatible: (S,).
        number: (M,) positions in the pool of ``shortlist.exact``.
    """
    num_samples, num_chosen = chosen.shape
    sample, fit_loss = shortlist.exact.sample, shortlist.fit_loss
    free = num_compatible < num_chosen
    rows = (free[sample] & ~shortlist.fits & fit_loss.isfinite()).nonzero(as_tuple=True)[0]
    rows = rows[fit_loss[rows].argsort(stable=True)]
    rows = rows[sample[rows].argsort(stable=True)]
    sample = sample[rows]
    num_rows = torch.bincount(sample, minlength=num_samples)
    rank = torch.arange(len(rows), device=rows.device) - (num_rows.cumsum(0) - num_rows)[sample]
    place = num_compatible[sample] + rank
    within = place < num_chosen
    chosen[sample[within], place[within]] = number[rows[within]]


def count_compatible(shortlist: Shortlist, num_samples: int) -> Tensor:
    """(S,) how many candidates of each sample are compatible."""
    count = torch.zeros(num_samples, dtype=torch.long, device=shortlist.sample.device)
    return count.index_add_(0, shortlist.sample, shortlist.compatible.sum(dim=0))


def _segment_argmin(values: Tensor, sample: Tensor, num_samples: int) -> Tensor:
    """(S,) first entry of the lowest value in each sample, -1 where all are inf or there is no entry."""
    best = values.new_full((num_samples,), torch.inf).scatter_reduce(0, sample, values, "amin")
    entries = torch.arange(len(values), device=values.device)
    is_best = (values == best[sample]) & (values < torch.inf)
    first = entries.new_full((num_samples,), len(values))
    first = first.scatter_reduce(0, sample, entries.masked_fill(~is_best, len(values)), "amin")
    return torch.where(first < len(values), first, -1)
