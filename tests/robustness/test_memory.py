"""tools/benchmark.py memory: a leak is found, a steady run is called flat; the table of a few real steps."""

import mmap
import time

import benchmark
import numpy as np
import pytest

from robustness import memory
from robustness.long_runs import RUNS, LongRun

STEPS = 40
POLL, STEP_SECONDS = 0.06, 0.1  # seconds; a step is longer than the wait between two looks
LEAK = 2 * memory.MIB  # per step


def work(arguments):
    """Steps that keep ``arguments[1]`` bytes each, and write how many were done to a file."""
    path, size, kept = arguments[0], int(arguments[1]), []
    for step in range(1, STEPS + 1):
        block = mmap.mmap(-1, size)  # pages of its own: an allocator might have some to give already
        block.write(b"1" * size)
        kept.append(block)
        with open(path, "w") as file:
            file.write(str(step))
        time.sleep(STEP_SECONDS)


def read_number(out):
    text = (out / "step").read_text() if (out / "step").exists() else ""
    return int(text or 0)


def steps_that_keep(size):
    return LongRun(lambda: work, lambda inputs, out, steps: [out / "step", size], read_number)


def test_a_leak_is_found(tmp_path):
    judged = memory.judge(memory.measure(steps_that_keep(LEAK), STEPS, tmp_path, POLL), STEPS)
    assert not judged.flat
    # a sample's memory may be that of a step or two after the one that was told
    assert judged.slope == pytest.approx(LEAK / 1024, rel=0.5)
    assert judged.rise == pytest.approx(LEAK * STEPS / 2 / memory.MIB, rel=0.5)
    assert judged.peak - judged.start > 0.5 * LEAK * STEPS / memory.MIB


def test_a_steady_run_is_flat(tmp_path):
    judged = memory.judge(memory.measure(steps_that_keep(10), STEPS, tmp_path, POLL), STEPS)
    assert judged.flat
    assert abs(judged.end - judged.start) < 5


def test_a_failing_run_is_an_error(tmp_path):
    run = LongRun(lambda: lambda arguments: 3, lambda inputs, out, steps: [], lambda out: 0)
    with pytest.raises(RuntimeError, match="exit code 3"):
        memory.measure(run, STEPS, tmp_path)


@pytest.mark.parametrize(
    ("mib_per_step", "base", "flat"),
    [(0.001, 1000, True), (0.021, 2000, False), (0.019, 2000, True), (0.01, 100, False)],
)
def test_the_rule(mib_per_step, base, flat):
    """Over 1,000 of 2,000 steps: less than 20 MiB and less than 2 %."""
    steps = np.arange(1, 2001)
    warm_up = np.minimum(steps, 100) * 0.05
    samples = np.column_stack([steps, (base + warm_up + mib_per_step * steps) * memory.MIB]).astype(np.int64)
    judged = memory.judge(samples, 2000)
    assert judged.flat == flat
    assert judged.rise == pytest.approx(1000 * mib_per_step, rel=1e-3)
    assert judged.slope == pytest.approx(1024 * mib_per_step, rel=1e-3)


def test_the_line_and_its_error():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 100, 50)
    y = 3 - 0.5 * x + rng.normal(size=50)
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    assert memory.fit_line(x, y) == pytest.approx((slope, np.sqrt(covariance[0, 0])))


def test_too_few_samples():
    with pytest.raises(ValueError, match="2 samples of 2 steps, expected at least 3 in each half"):
        memory.judge(np.array([[1, 5], [2, 5]]), 2)


def test_the_demo_on_a_few_pictures(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- memory: begin -->\n<!-- memory: end -->\n")
    benchmark.main(
        ["memory", "--runs", "demo images", "--steps", "10", "--work-dir", str(tmp_path / "work"), "--page", str(page)]
    )
    cells = page.read_text().splitlines()[3].strip("| ").split(" | ")
    assert cells[:2] == ["demo images", "10"]
    assert 100 < float(cells[2]) <= float(cells[4])
    assert len(list((tmp_path / "work" / "demo-images" / "out").glob("*_overlay.jpg"))) == 10
    assert set(RUNS) == {"training", "demo images", "prediction"}
