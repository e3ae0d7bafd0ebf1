"""What the benchmarks share: test images, times, intervals, and the other tools as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mion_plugin.evaluation.choice.quality import bootstrap_interval

_TOOLS = Path(__file__).parents[1]


def run_tool(tool: str, *arguments: object) -> None:
    """Run a tool of ``tools/`` with as many CPU threads as this process has.

    Raises:
        subprocess.CalledProcessError: It failed; its output tells why.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run([sys.executable, str(_TOOLS / tool), *map(str, arguments)], check=True, env=environment)


def load_test_images(cfg: Config, seed: int, num_samples: int, **options: object) -> torch.utils.data.DataLoader:
    """The test images of a config, drawn from another seed, with other options of the data set on request."""
    loader = cfg.test_dataloader.to_dict() | {"num_workers": 1}
    loader["dataset"] |= {"seed": seed, "num_samples": num_samples, **options}
    return Runner.build_dataloader(loader, seed=0)


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of a call; the first, which prepares, is not timed."""
    return float(median_times(call, repeats)[0])


def median_times(call: Callable[[], object], repeats: int) -> np.ndarray:
    """(2,) median milliseconds of a call and of the processor's work for it, which other programs disturb less.

    The first call, which prepares, is not timed.
    """
    call()
    times = []
    for _ in range(repeats):
        start = np.array([time.perf_counter(), time.process_time()])
        call()
        times.append([time.perf_counter(), time.process_time()] - start)
    return 1000 * np.median(times, axis=0)


def median_in_turn(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of the processor's work for each of several calls, which take turns.

    So what else the machine does disturbs all alike. The first call of each, which prepares, is not timed.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: 1000 * float(np.median(values)) for name, values in times.items()}


def mean_interval(values: np.ndarray, digits: int = 1) -> str:
    """Mean of values (S,) and its 95 % bootstrap interval."""
    low, high = bootstrap_interval(values, np.ones(len(values)), np.random.default_rng(0))
    return f"{values.mean():.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def relative_change(before: np.ndarray, after: np.ndarray) -> str:
    """Relative change of a mean over the same samples (S,), and its 95 % bootstrap interval."""
    low, high = bootstrap_interval(after - before, before, np.random.default_rng(0))
    return f"{100 * (after - before).sum() / before.sum():+.1f} % [{100 * low:+.1f}, {100 * high:+.1f}]"
