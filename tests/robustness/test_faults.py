"""A part of the fault suite, a sample of every door that takes no network; all of it: ``make faults``."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "tools" / "benchmark.py"


@pytest.mark.slow
def test_no_case_of_the_cheap_doors_misbehaves(tmp_path):
    # a process of its own: this one may have threads, which a fork does not survive
    command = [sys.executable, BENCHMARK, "faults", "--cheap", "--every", "5"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    count, faults_found = map(int, re.findall(r"(\d+) cases, (\d+) faults", done.stdout)[0])
    assert count > 200
    assert faults_found == 0, done.stdout
    assert done.returncode == 0, done.stderr
