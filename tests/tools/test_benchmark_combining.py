"""tools/benchmark.py combining: its rows from made-up paths, and a run on a few images."""

import benchmark
import numpy as np
from benchmarks import combining


def test_rows_by_hand():
    errors = np.array([[10.0, 20.0, 30.0], [30.0, 20.0, 10.0]])
    scores = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])  # right, then wrong
    reprojection = np.array([[0.0, 0.1, 0.2], [4.0, 2.0, 0.0]])  # right twice
    rows = {name: values for name, *values in combining.rows(errors, scores, reprojection, [0.25, 3.0])}
    assert rows == {
        "cen": ["0.0 %", "0.00"],
        "reprojection": ["100.0 %", "1.00"],
        "cen + 0.25 x reprojection": ["0.0 %", "0.00"],
        "cen + 3 x reprojection": ["100.0 %", "1.00"],
    }


def test_the_weights_are_measured_on_training_poses(capsys):
    benchmark.main(["combining", "--num-samples", "6", "--weights", "0", "1e6"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines[1:]}
    assert cells["cen + 0 x reprojection"] == cells["cen"]
    assert cells["cen + 1e+06 x reprojection"] == cells["reprojection"]
