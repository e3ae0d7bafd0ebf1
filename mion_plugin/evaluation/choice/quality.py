"""How well a score chooses among the paths of a sample: regret, share of the gap closed, rank correlation."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

LEVEL = 0.95  # of the intervals
NUM_RESAMPLES = 1000
_RESAMPLED_AT_ONCE = 1 << 22  # numbers; bounds the memory


def selection_statistics(
    errors: np.ndarray, values: np.ndarray, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> dict[str, float]:
    """Numbers on one way to choose, each with a bootstrap interval over samples.

    - ``regret``: mean error of the chosen path minus that of the best, in the errors' unit;
    - ``gap_closed``: 1 for always the best path, 0 for as good as a random one, below for worse: the mean improvement
      over a random path divided by the mean improvement that the best would bring;
    - ``spearman``: mean over samples of ``rank_correlation``; only for scores.

    ``regret_low`` and ``regret_high`` are the bounds of the interval, and so on. A number that no sample determines is
    left out. Equal arguments give equal intervals, and all ways of choosing resample alike.

    Args:
        errors: (S, N) error of each path of each sample.
        values: (S, N) scores, the lowest wins, the first of equals; or (S,) indices.
        seed: Of the resampling.
        num_resamples: How often; 0 for no intervals.

    Raises:
        ValueError: The shapes do not fit, or NaN among the numbers.
    """
    _check(errors, values)
    best, mean = errors.min(axis=1), errors.mean(axis=1)
    chosen = chosen_errors(errors, values)
    ratios = {"regret": (chosen - best, np.ones(len(errors))), "gap_closed": (mean - chosen, mean - best)}
    if values.ndim == 2:
        correlation = rank_correlation(values, errors)
        known = np.isfinite(correlation)
        ratios["spearman"] = (np.where(known, correlation, 0.0), known.astype(np.float64))
    report: dict[str, float] = {}
    for name, (numerator, denominator) in ratios.items():
        if not denominator.sum() > 0:
            continue
        report[name] = float(numerator.sum() / denominator.sum())
        if num_resamples:
            low, high = bootstrap_interval(numerator, denominator, np.random.default_rng(seed), num_resamples)
            report |= {f"{name}_low": low, f"{name}_high": high}
    return report


def chosen_errors(errors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Error (S,) of the chosen path; arguments as ``selection_statistics``."""
    index = values.argmin(axis=1) if values.ndim == 2 else values.astype(np.int64)
    return errors[np.arange(len(errors)), index]


def rank_correlation(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Spearman's correlation (S,) of two (S, N) within each sample, equal values having their mean rank.

    As ``scipy.stats.spearmanr``, which takes one pair of rows at a time: NaN where either is constant. Infinite values
    are ranked last, NaN not allowed.
    """
    first, second = (rankdata(array, axis=1) for array in (values, errors))
    first, second = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (first, second))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.divide((first * second).sum(axis=1), scale, out=np.full(len(scale), np.nan), where=scale > 0)


def bootstrap_interval(
    numerator: np.ndarray,
    denominator: np.ndarray,
    rng: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Percentile bootstrap interval of sum(numerator) / sum(denominator), samples drawn with replacement.

    Args:
        numerator: (S,).
        denominator: (S,) not negative. Resamples in which it sums to 0 are not counted.
        rng: Source of the draws.
        num_resamples: How many.
        level: Share of the resamples between the bounds.
    """
    count = len(numerator)
    ratios = []
    for start in range(0, num_resamples, rows := max(1, _RESAMPLED_AT_ONCE // count)):
        index = rng.integers(count, size=(min(rows, num_resamples - start), count))
        top, bottom = numerator[index].sum(axis=1), denominator[index].sum(axis=1)
        ratios.append(top[bottom > 0] / bottom[bottom > 0])
    low, high = np.quantile(np.concatenate(ratios), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check(errors: np.ndarray, values: np.ndarray) -> None:
    if errors.ndim != 2 or errors.size == 0 or values.shape not in (errors.shape, errors.shape[:1]):
        raise ValueError(f"errors {errors.shape} and values {values.shape}: expected (S, N), and (S, N) or (S,)")
    if np.isnan(errors).any() or np.isnan(values).any():
        raise ValueError("errors or values hold NaN")
