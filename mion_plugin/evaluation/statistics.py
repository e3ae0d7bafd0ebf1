"""One number out of the errors of N paths: of the chosen path, each, the best (oracle), the mean, a random one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

_OLD_ORACLE = "best"
STATISTICS = ("chosen", "oracle", "mean", "random", "each", "by_count")


def path_statistics(
    errors: np.ndarray,
    choosers: Mapping[str, np.ndarray],
    draws: np.ndarray,
    statistics: Sequence[str] = STATISTICS,
) -> dict[str, float]:
    """Means over samples.

    Args:
        errors: (S, N) error of each path of each sample.
        choosers: Name of a way to choose -> (S, N) scores, the lowest wins, the first of equals; or (S,) indices.
        draws: (S,) uniform in [0, 1): the random path of each sample.
        statistics: Which ones, of:

            - ``chosen``: for each way to choose, its path (paper, table 3: MION);
            - ``oracle``: the path of the lowest error (table 3: upper bound);
            - ``mean``: of all paths, the expectation of a random one;
            - ``random``: one path drawn per sample (table 3: w/o CEN);
            - ``each``: ``path_1`` .. ``path_N``; path 1 is the one of lowest fit loss (table 1: 1-path);
            - ``by_count``: ``oracle_of_n``, ``mean_of_n`` and each choice ``_of_n`` among the first n paths, n = 1..N
              (table 1), the latter for choices by scores.

    Returns:
        Name -> mean error.
    """
    num_samples, num_paths = errors.shape
    report: dict[str, float] = {}
    for statistic in statistics:
        if statistic == "chosen":
            report |= {name: _chosen(errors, values) for name, values in choosers.items()}
        elif statistic == "oracle":
            report["oracle"] = errors.min(axis=1).mean()
        elif statistic == "mean":
            report["mean"] = errors.mean()
        elif statistic == "random":
            report["random"] = errors[np.arange(num_samples), (draws * num_paths).astype(np.int64)].mean()
        elif statistic == "each":
            report |= {f"path_{path + 1}": errors[:, path].mean() for path in range(num_paths)}
        elif statistic == "by_count":
            for count in range(1, num_paths + 1):
                report[f"oracle_of_{count}"] = errors[:, :count].min(axis=1).mean()
                report[f"mean_of_{count}"] = errors[:, :count].mean()
                for name, values in choosers.items():
                    if values.ndim == 2:
                        report[f"{name}_of_{count}"] = _chosen(errors[:, :count], values[:, :count])
        else:
            raise ValueError(f"unknown statistic {statistic!r}, expected some of {', '.join(STATISTICS)}")
    return {name: float(value) for name, value in report.items()}


def current_names(statistics: Sequence[str]) -> tuple[str, ...]:
    """The statistics under today's names; ``best`` was version 0.1's word for ``oracle``."""
    if _OLD_ORACLE in statistics:
        warnings.warn(f"the statistic {_OLD_ORACLE!r} is called 'oracle' now", FutureWarning, stacklevel=3)
    return tuple("oracle" if name == _OLD_ORACLE else name for name in statistics)


def _chosen(errors: np.ndarray, values: np.ndarray) -> float:
    index = values.argmin(axis=1) if values.ndim == 2 else values.astype(np.int64)
    return float(errors[np.arange(len(errors)), index].mean())
