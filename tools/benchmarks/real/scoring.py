"""Errors of every row of the tables, and what can be said about them from one clip."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from benchmarks.real.joints import joint_errors
from benchmarks.real.methods import ORACLE, RANDOM, Answers

from mion_plugin.evaluation import bootstrap_interval
from mion_plugin.evaluation.choice.quality import chosen_errors

Errors = dict[str, dict[str, np.ndarray]]
"""Row -> name of the error -> (S,)."""


def row_errors(answers: Iterable[Answers], truth: np.ndarray) -> Errors:
    """Errors of every rule's choice; ``truth`` (S, 12, 3) as ``Views``.

    ``oracle``, and the row of the best, take the lowest of each of the two main errors, whichever path has it; their
    other errors are those of the path of lowest MPJPE.
    """
    rows: Errors = {}
    for one in answers:
        errors = joint_errors(one.joints, truth[:, None])
        for rule, scores in one.rules.items():
            rows[rule] = {name: chosen_errors(values, scores) for name, values in errors.items()}
        if one.compared:
            rows[RANDOM] = {name: values.mean(axis=1) for name, values in errors.items()}
        for name in ([ORACLE] if one.compared else []) + ([one.best] if one.best else []):
            best = {error: chosen_errors(values, errors["MPJPE"]) for error, values in errors.items()}
            rows[name] = {**best, "PA-MPJPE": errors["PA-MPJPE"].min(axis=1)}
    return rows


def ratio_with_interval(
    numerator: np.ndarray, denominator: np.ndarray, blocks: np.ndarray
) -> tuple[float, float, float]:
    """sum(numerator) / sum(denominator) of (S,) each, and its 95 % bootstrap interval over blocks.

    Neighbouring frames are nearly the same picture: what is drawn anew are blocks (S,) of them, not frames.
    """
    _, index = np.unique(blocks, return_inverse=True)
    sums = [np.bincount(index, weights=values) for values in (numerator, denominator)]
    low, high = bootstrap_interval(sums[0], sums[1], np.random.default_rng(0))
    return float(numerator.sum() / denominator.sum()), low, high


def mean_with_interval(values: np.ndarray, blocks: np.ndarray) -> tuple[float, float, float]:
    """Mean of values (S,) and its interval; see ``ratio_with_interval``."""
    return ratio_with_interval(values, np.ones(len(values)), blocks)


def interval_text(values: np.ndarray, blocks: np.ndarray, sign: str = "") -> str:
    """``mean_with_interval`` as tables have it; ``sign`` ``+`` for differences."""
    mean, low, high = mean_with_interval(values, blocks)
    return f"{mean:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def gap_closed(rows: Errors, rule: str, blocks: np.ndarray, error: str = "MPJPE") -> tuple[float, float, float]:
    """Share of the way from a random choice to the best that a rule goes, and its interval."""
    random, best, chosen = (rows[row][error] for row in (RANDOM, ORACLE, rule))
    return ratio_with_interval(random - chosen, random - best, blocks)
