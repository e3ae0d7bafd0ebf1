"""Resident memory over long runs: a training, the demo on a folder of images, and a run over many photographs.

Of a process with its workers, as often as its progress shows. The first tenth of the steps is warm-up. A run is called
flat if, by a straight line through its second half, memory rises there by less than 2 % and less than 20 MiB; that rule
was there before the measurements. They are kept in the work folder and not repeated.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.markdown import table, write_section

from mion_plugin.files import atomic_path
from mion_plugin.files.json_files import read_json
from robustness.long_runs import RUNS, LongRun
from robustness.processes import check_success, finish, resident_memory, start

_WARM_UP = 0.1  # of the steps
_ENDS = 0.05  # of the steps: memory at the start and at the end are medians over so many
_MAX_RISE, _MAX_RISE_MIB = 0.02, 20.0  # over the second half
_POLL = 0.2  # seconds; shorter than a step of most runs
MIB = 1 << 20
HEADING = (
    "run",
    "steps",
    "start, MiB",
    "end, MiB",
    "peak, MiB",
    "slope, KiB per step",
    "rise over the second half",
    "judgement",
)


@dataclass(frozen=True)
class Memory:
    """What S samples of a run say after the warm-up; MiB, but for the slopes.

    Attributes:
        start: At first; a median.
        end: At last; a median.
        peak: The highest.
        slope: KiB per step, of the line through all samples.
        slope_error: Its standard error, as if the samples were independent.
        rise: Over the second half, by the line through that.
        flat: Whether that is little.
    """

    start: float
    end: float
    peak: float
    slope: float
    slope_error: float
    rise: float
    flat: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), help="what to run")
    parser.add_argument("--steps", type=int, default=2000, help="steps, or images")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/memory"), help="where the samples are kept")
    parser.add_argument("--page", type=Path, default=Path("docs/reliability.md"), help="Markdown file to write into")


def run(args: argparse.Namespace) -> None:
    """Measure what is missing, and write the section."""
    rows = []
    for name in args.runs:
        record = args.work_dir / f"{name.replace(' ', '-')}_{args.steps}.json"
        if not record.exists():
            samples = measure(RUNS[name], args.steps, args.work_dir / name.replace(" ", "-"))
            with atomic_path(record) as temporary:
                temporary.write_text(json.dumps(samples.tolist()), encoding="utf-8")
        rows.append(memory_row(name, args.steps, judge(np.array(read_json(record)), args.steps)))
    text = table(HEADING, rows)
    write_section(args.page, "memory", text)
    print(text)


def measure(long_run: LongRun, steps: int, folder: Path, poll: float = _POLL) -> np.ndarray:
    """Run, and look at the memory whenever steps were done.

    Args:
        long_run: What to run.
        steps: How many.
        folder: Emptied; gets ``inputs``, ``out`` and ``log.txt``.
        poll: Seconds between two looks.

    Returns:
        (S, 2): steps done, bytes.

    Raises:
        RuntimeError: The run failed.
    """
    inputs, out, log = folder / "inputs", folder / "out", folder / "log.txt"
    shutil.rmtree(folder, ignore_errors=True)
    for new in (inputs, out):
        new.mkdir(parents=True)
    finish(start(lambda _: long_run.prepare(inputs, steps), [], log), log)
    process = start(long_run.main(), long_run.arguments(inputs, out, steps), log)
    samples: list[tuple[int, int]] = []
    while process.is_alive():
        done, resident = long_run.progress(out), resident_memory(process)
        if done and resident and (not samples or done > samples[-1][0]):
            samples.append((done, resident))
        time.sleep(poll)
    check_success(process, log)
    return np.array(samples, dtype=np.int64).reshape(-1, 2)


def judge(samples: np.ndarray, steps: int) -> Memory:
    """Sum up the samples of a run.

    Args:
        samples: (S, 2): steps done, bytes.
        steps: Of the whole run.

    Raises:
        ValueError: Fewer than three samples in either half after the warm-up: no line and error.
    """
    done, mib = samples[:, 0], samples[:, 1] / MIB
    kept, late = done > _WARM_UP * steps, done > steps / 2
    if min(late.sum(), (kept & ~late).sum()) < 3:
        raise ValueError(f"{len(samples)} samples of {steps} steps, expected at least 3 in each half; run more steps")
    first, last = kept & (done <= (_WARM_UP + _ENDS) * steps), done > (1 - _ENDS) * steps
    slope, error = fit_line(done[kept], mib[kept])
    rise = fit_line(done[late], mib[late])[0] * steps / 2
    return Memory(
        start=float(np.median(mib[first] if first.any() else mib[kept][:1])),
        end=float(np.median(mib[last] if last.any() else mib[-1:])),
        peak=float(mib[kept].max()),
        slope=1024 * slope,
        slope_error=1024 * error,
        rise=rise,
        flat=rise < min(_MAX_RISE_MIB, _MAX_RISE * float(mib[late].mean())),
    )


def fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the least-squares line through S points, and its standard error.

    Args:
        x: (S,), S at least 3.
        y: (S,).
    """
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    residual = y - y.mean() - slope * centred
    return slope, float(np.sqrt(residual @ residual / (len(x) - 2) / spread))


def memory_row(name: str, steps: int, memory: Memory) -> list[str]:
    """A run's cells below ``HEADING``."""
    slope = f"{memory.slope:.2f} ± {memory.slope_error:.2f}"
    numbers = [f"{value:.0f}" for value in (memory.start, memory.end, memory.peak)]
    return [name, str(steps), *numbers, slope, f"{memory.rise:.1f} MiB", "flat" if memory.flat else "not flat"]
