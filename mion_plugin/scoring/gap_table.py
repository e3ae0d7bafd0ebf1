"""How well rules choose among the first 1, 2, ... N bodies: errors, and the share of the gap to the best closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mion_plugin.evaluation.choice.quality import (
    NUM_RESAMPLES,
    bootstrap_interval,
    chosen_errors,
    selection_statistics,
)

RANDOM, ORACLE = "random", "oracle"


def gap_rows(
    errors: np.ndarray, scores: Mapping[str, np.ndarray], seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> list[dict[str, Any]]:
    """For n = 1 .. N what each way to choose among the first n bodies gives, ready for JSON.

    Args:
        errors: (S, N) millimetres, of N bodies of S people.
        scores: Rule -> (S, N), the lowest wins, the first of equals.
        seed: Of the resampling of people.
        num_resamples: How often; 0 for no intervals.

    Returns:
        N entries: ``bodies``, n; and for each of ``random``, the rules and ``oracle`` a mapping of ``error``, its mean
        over people, and ``gap_closed``, 0 for as good as a random body and 1 for always the best; null where all bodies
        are equally good, as one alone is. With 95 % intervals over people, ``error_interval`` and
        ``gap_closed_interval``. ``random`` is the expectation, not a draw.

    Raises:
        ValueError: See ``selection_statistics``.
    """
    return [
        {
            "bodies": n,
            **_ways(errors[:, :n], {rule: values[:, :n] for rule, values in scores.items()}, seed, num_resamples),
        }
        for n in range(1, errors.shape[1] + 1)
    ]


def format_rows(rows: Sequence[Mapping[str, Any]], error: str) -> str:
    """The rows as a table in Markdown: the error in millimetres, and in brackets the share of the gap closed.

    Args:
        rows: Of ``gap_rows``.
        error: Its name.
    """
    ways = [name for name in rows[0] if name != "bodies"]
    lines = [f"| bodies | {' | '.join(ways)} |", f"|{' --- |' * (len(ways) + 1)}"]
    lines += [f"| {row['bodies']} | {' | '.join(_cell(way, row[way]) for way in ways)} |" for row in rows]
    return f"{error} in mm (share of the gap closed, 95 % interval over people)\n\n" + "\n".join(lines) + "\n"


def _ways(errors: np.ndarray, scores: Mapping[str, np.ndarray], seed: int, num_resamples: int) -> dict[str, Any]:
    mean, best = errors.mean(axis=1), errors.min(axis=1)
    gap = bool((mean - best).sum() > 0)
    ways = {RANDOM: _way(mean, 0.0 if gap else None, seed, num_resamples)}
    for rule, values in scores.items():
        found = selection_statistics(errors, values, seed, num_resamples)
        way = _way(chosen_errors(errors, values), found.get("gap_closed"), seed, num_resamples)
        if "gap_closed_low" in found:
            way["gap_closed_interval"] = [found["gap_closed_low"], found["gap_closed_high"]]
        ways[rule] = way
    return {**ways, ORACLE: _way(best, 1.0 if gap else None, seed, num_resamples)}


def _way(errors: np.ndarray, gap_closed: float | None, seed: int, num_resamples: int) -> dict[str, Any]:
    way: dict[str, Any] = {"error": float(errors.mean()), "gap_closed": gap_closed}
    if num_resamples:
        rng = np.random.default_rng(seed)
        way["error_interval"] = list(bootstrap_interval(errors, np.ones(len(errors)), rng, num_resamples))
    return way


def _cell(name: str, way: Mapping[str, Any]) -> str:
    if way["gap_closed"] is None or name in (RANDOM, ORACLE):
        return f"{way['error']:.1f}"
    interval = way.get("gap_closed_interval")
    told = "" if interval is None else f", {interval[0]:.2f} to {interval[1]:.2f}"
    return f"{way['error']:.1f} ({way['gap_closed']:.2f}{told})"
