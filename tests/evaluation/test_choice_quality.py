"""Numbers on a choice, by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mion_plugin.evaluation import bootstrap_interval, rank_correlation, selection_statistics

ERRORS = np.array([[30.0, 10.0, 20.0], [6.0, 9.0, 3.0]])
SCORES = np.array([[0.2, 0.9, 0.1], [0.5, 0.4, 0.6]])  # takes path 3, then path 2


def test_by_hand():
    report = selection_statistics(ERRORS, SCORES, num_resamples=0)
    assert report == {
        "regret": pytest.approx(((20 - 10) + (9 - 3)) / 2),
        "gap_closed": pytest.approx(((20 - 20) + (6 - 9)) / ((20 - 10) + (6 - 3))),
        "spearman": pytest.approx((-0.5 - 1) / 2),
    }


def test_the_best_the_worst_and_the_mean():
    rng = np.random.default_rng(0)
    errors = rng.uniform(50, 150, (40, 5))
    best = selection_statistics(errors, errors)
    assert best["regret"] == best["regret_low"] == best["regret_high"] == 0
    assert best["gap_closed"] == best["gap_closed_low"] == 1
    assert best["spearman"] == pytest.approx(1)
    worst = selection_statistics(errors, -errors)
    assert worst["spearman"] == pytest.approx(-1)
    assert worst["gap_closed"] < 0
    random = selection_statistics(np.tile(errors, (50, 1)), rng.random((2000, 5)))
    assert random["gap_closed"] == pytest.approx(0, abs=0.1)
    assert random["gap_closed_low"] < 0 < random["gap_closed_high"]


def test_an_index_has_no_correlation():
    report = selection_statistics(ERRORS, np.array([2, 1]))
    assert report["regret"] == 8
    assert "spearman" not in report


def test_what_no_sample_determines_is_left_out():
    same = np.full((3, 4), 80.0)
    assert set(selection_statistics(same, np.zeros((3, 4)), num_resamples=0)) == {"regret"}
    assert set(selection_statistics(same[:, :1], np.zeros((3, 1)), num_resamples=5)) == {
        "regret",
        "regret_low",
        "regret_high",
    }


@given(seed=st.integers(0, 10**6), num_paths=st.integers(2, 7), levels=st.integers(2, 6))
def test_rank_correlation_is_scipys(seed, num_paths, levels):
    """Values from a few levels, so that many are equal."""
    rng = np.random.default_rng(seed)
    values, errors = (rng.integers(levels, size=(4, num_paths)).astype(np.float64) for _ in range(2))
    values[values == levels - 1] = np.inf
    expected = []
    for row in range(4):
        constant = len(np.unique(values[row])) == 1 or len(np.unique(errors[row])) == 1
        finite = np.where(np.isinf(values[row]), 99.0, values[row])
        expected.append(np.nan if constant else stats.spearmanr(finite, errors[row]).statistic)
    np.testing.assert_allclose(rank_correlation(values, errors), expected, atol=1e-12)


class TestBootstrap:
    def test_of_a_mean_against_scipy(self):
        values = np.random.default_rng(0).exponential(10, 200)
        low, high = bootstrap_interval(values, np.ones(200), np.random.default_rng(1), 4000)
        expected = stats.bootstrap(
            (values,), np.mean, n_resamples=4000, method="percentile", random_state=np.random.default_rng(2)
        ).confidence_interval
        assert low == pytest.approx(expected.low, abs=0.1)
        assert high == pytest.approx(expected.high, abs=0.1)

    def test_of_a_ratio_against_scipy(self):
        rng = np.random.default_rng(0)
        bottom = rng.uniform(0, 20, 150)
        top = 0.5 * bottom + rng.normal(0, 5, 150)
        low, high = bootstrap_interval(top, bottom, np.random.default_rng(1), 4000)
        expected = stats.bootstrap(
            (top, bottom),
            lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
            paired=True,
            n_resamples=4000,
            method="percentile",
            random_state=np.random.default_rng(2),
        ).confidence_interval
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)

    def test_covers_the_true_mean_about_as_often_as_it_says(self):
        rng = np.random.default_rng(3)
        covered = 0
        for _ in range(200):
            low, high = bootstrap_interval(rng.normal(7, 2, 50), np.ones(50), rng, 200)
            covered += low <= 7 <= high
        assert 175 <= covered <= 199

    def test_depends_on_the_seed_alone(self):
        assert selection_statistics(ERRORS, SCORES, seed=1) == selection_statistics(ERRORS, SCORES, seed=1)

    def test_many_samples_are_resampled_in_parts(self, monkeypatch):
        from mion_plugin.evaluation.choice import quality

        values = np.random.default_rng(0).random(30)
        whole = bootstrap_interval(values, np.ones(30), np.random.default_rng(1), 50)
        monkeypatch.setattr(quality, "_RESAMPLED_AT_ONCE", 100)
        assert bootstrap_interval(values, np.ones(30), np.random.default_rng(1), 50) == whole


@pytest.mark.parametrize(
    ("errors", "values", "message"),
    [
        (ERRORS, SCORES[:, :2], r"errors \(2, 3\) and values \(2, 2\)"),
        (ERRORS[:0], SCORES[:0], "expected"),
        (ERRORS, np.where(SCORES > 0.8, np.nan, SCORES), "hold NaN"),
    ],
)
def test_bad_input(errors, values, message):
    with pytest.raises(ValueError, match=message):
        selection_statistics(errors, values)
