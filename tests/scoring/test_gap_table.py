"""The gap closed against the number of bodies, by loops."""

import numpy as np
import pytest

from mion_plugin.scoring.gap_table import format_rows, gap_rows


def by_loops(errors, scores, count):
    """Mean errors of random, chosen and best among the first bodies, and the share of the gap closed."""
    random, chosen, best = 0.0, 0.0, 0.0
    for own, value in zip(errors, scores, strict=True):
        lowest = 0
        for n in range(1, count):
            if value[n] < value[lowest]:
                lowest = n
        random += sum(own[:count]) / count
        chosen += own[lowest]
        best += min(own[:count])
    people = len(errors)
    share = None if random == best else (random - chosen) / (random - best)
    return random / people, chosen / people, best / people, share


def test_every_row_is_what_loops_find():
    rng = np.random.default_rng(0)
    errors = rng.uniform(40, 160, (20, 6))
    scores = {"cen": errors + rng.normal(0, 40, errors.shape), "reprojection": rng.random(errors.shape)}
    rows = gap_rows(errors, scores, num_resamples=200)
    assert [row["bodies"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        for rule, values in scores.items():
            random, chosen, best, share = by_loops(errors.tolist(), values.tolist(), row["bodies"])
            told = [row[name]["error"] for name in ("random", rule, "oracle")]
            assert told == pytest.approx([random, chosen, best])
            assert row[rule]["gap_closed"] == (None if share is None else pytest.approx(share))
            low, high = row[rule]["error_interval"]
            assert low < chosen < high
            if share is not None:
                low, high = row[rule]["gap_closed_interval"]
                assert low < share < high
    assert [rows[0][name]["gap_closed"] for name in ("random", "oracle")] == [None, None]
    assert [rows[1][name]["gap_closed"] for name in ("random", "oracle")] == [0.0, 1.0]
    assert rows == gap_rows(errors, scores, num_resamples=200)
    table = format_rows(rows, "MPJPE").splitlines()
    assert table[2] == "| bodies | random | cen | reprojection | oracle |"
    assert len(table) == 4 + len(rows)
    assert f"({rows[5]['cen']['gap_closed']:.2f}, " in table[-1]


def test_no_intervals_without_resamples():
    rows = gap_rows(np.array([[1.0, 2.0]]), {"cen": np.array([[0.0, 1.0]])}, num_resamples=0)
    assert rows[1]["cen"] == {"error": 1.0, "gap_closed": 1.0}
