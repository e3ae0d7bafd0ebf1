"""Statistics over paths, by hand and by their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mion_plugin.evaluation import path_statistics

ERRORS = np.array([[30.0, 10.0, 20.0], [6.0, 9.0, 3.0]])
SCORES = {"chosen": np.array([[0.2, 0.9, 0.1], [0.5, 0.4, 0.6]])}  # takes path 3, then path 2
DRAWS = np.array([0.0, 0.99])  # takes path 1, then path 3


def test_by_hand():
    report = path_statistics(ERRORS, SCORES, DRAWS)
    assert report == {
        "chosen": (20 + 9) / 2,
        "oracle": (10 + 3) / 2,
        "mean": pytest.approx((20 + 6) / 2),
        "random": (30 + 3) / 2,
        "path_1": (30 + 6) / 2,
        "path_2": (10 + 9) / 2,
        "path_3": (20 + 3) / 2,
        "oracle_of_1": 18,
        "mean_of_1": 18,
        "chosen_of_1": 18,
        "oracle_of_2": (10 + 6) / 2,
        "mean_of_2": (20 + 7.5) / 2,
        "chosen_of_2": (30 + 9) / 2,
        "oracle_of_3": (10 + 3) / 2,
        "mean_of_3": pytest.approx((20 + 6) / 2),
        "chosen_of_3": (20 + 9) / 2,
    }


@given(seed=st.integers(0, 10**6), num_paths=st.integers(1, 6))
def test_order_of_statistics_and_samples(seed, num_paths):
    rng = np.random.default_rng(seed)
    errors, draws = rng.uniform(0, 100, size=(7, num_paths)), rng.random(7)
    scores = {"chosen": rng.random((7, num_paths))}
    report = path_statistics(errors, scores, draws)
    worst = errors.max(axis=1).mean()
    for name in ("chosen", "mean", "random", "path_1", "oracle_of_1"):
        assert report["oracle"] - 1e-9 <= report[name] <= worst + 1e-9
    best_of = [report[f"oracle_of_{count + 1}"] for count in range(num_paths)]
    assert best_of == sorted(best_of, reverse=True)
    assert best_of[-1] == report["oracle"]
    order = rng.permutation(7)
    shuffled = path_statistics(errors[order], {"chosen": scores["chosen"][order]}, draws[order])
    assert shuffled == pytest.approx(report)


def test_perfect_scores_choose_the_best_path():
    report = path_statistics(ERRORS, {"chosen": ERRORS}, DRAWS)
    assert report["chosen"] == report["oracle"]


def test_several_choosers_and_a_selection_of_statistics():
    scores = SCORES | {"first": np.tile(np.arange(3), (2, 1))}
    report = path_statistics(ERRORS, scores, DRAWS, statistics=("chosen",))
    assert report == {"chosen": 14.5, "first": 18}


def test_a_choice_told_as_an_index():
    report = path_statistics(ERRORS, {"chosen": np.array([2, 1])}, DRAWS, statistics=("chosen", "by_count"))
    assert report["chosen"] == (20 + 9) / 2
    assert "chosen_of_3" not in report  # nobody said what it would be among fewer paths


def test_unknown_statistic():
    with pytest.raises(ValueError, match="unknown statistic 'median'"):
        path_statistics(ERRORS, SCORES, DRAWS, statistics=("median",))
