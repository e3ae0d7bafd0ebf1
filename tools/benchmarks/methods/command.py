"""The command: what it will cost, what is measured, and the page."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.markdown import write_section
from benchmarks.methods import candidate_numbers, report
from benchmarks.methods.candidate_numbers import CURVES, draw, measure_numbers
from benchmarks.methods.clip import VIEWS, add_clip_arguments, clip_data, clip_trial
from benchmarks.methods.identity import Identities
from benchmarks.methods.kept_rows import KEPT, STALE, UNTRAINED, Measured, read_row, state, write_row
from benchmarks.methods.people import Trial, synthetic_data, synthetic_trial
from benchmarks.methods.rows import CORRECTED, MION, Row, all_rows
from benchmarks.methods.ways import Ways, training_command
from benchmarks.selection import peak_memory, reset_peak_memory
from mmengine.config import Config
from torch import Tensor, nn

from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS

MILLISECONDS, PARAMETERS, MEMORY = "milliseconds", "parameters", "memory"
_CPU = torch.device("cpu")
_HASH = re.compile(r"`([0-9a-f]{8})`")


@dataclass(frozen=True)
class Test:
    """One of several: what its rows are told from others by, where they are kept, and its people when they are needed.

    Attributes:
        name: For the plan.
        rows: What is measured on it.
        count: Its people, for the estimate of the cost.
    """

    name: str
    rows: Sequence[Row]
    count: int
    identities: Identities
    folder: Path
    load: Callable[[], Trial]

    def state_of(self, row: Row) -> str:
        """See ``kept_rows.state``."""
        return state(read_row(self.folder, row.key), self.identities.of(row))

    def kept(self) -> tuple[dict[Row, Measured], dict[Row, str]]:
        """The rows that may be shown, and why the others may not."""
        shown, hidden = {}, {}
        for row in self.rows:
            measured = read_row(self.folder, row.key)
            found = state(measured, self.identities.of(row))
            if found == KEPT and measured is not None:
                shown[row] = measured
            else:
                hidden[row] = found
        return shown, hidden


@dataclass(frozen=True)
class Bench:
    """One model, the tests, and the curves of the first.

    Attributes:
        exact: The clip with the truth projected for keypoints, on which only what reads keypoints is measured.
    """

    model: MultiInitializationOptimizationNetwork
    cfg: Config
    ways: Ways
    synthetic: Test
    clip: Test
    exact: Test
    curves: Identities

    @property
    def tests(self) -> tuple[Test, ...]:
        """All of them."""
        return self.synthetic, self.clip, self.exact

    @property
    def folder(self) -> Path:
        """Where the curves are kept."""
        return self.synthetic.folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--config", default="configs/mion/mion_tiny_synthetic.py", help="config of a mion.MION")
    parser.add_argument("--seed", type=int, default=2, help="of the test people")
    parser.add_argument("--num-samples", type=int, default=256, help="test people of the rows; SMPLify is slow")
    parser.add_argument("--curve-samples", type=int, default=512, help="test people of the curves")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="rows (see --plan) whose name has one of these words")
    parser.add_argument(
        "--plan", action="store_true", help="say what would be measured and what it would cost, and end"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing: write the page from what is kept")
    parser.add_argument("--check", action="store_true", help="end with an error if the page shows anything stale")
    parser.add_argument("--weights", type=Path, default=Path("work_dirs"), help="where the baselines were trained")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/methods"), help="where rows are kept")
    add_clip_arguments(parser)
    parser.add_argument(
        "--out", type=Path, default=report.PAGE, help="page whose measured parts are written; the curves go beside it"
    )


def run(args: argparse.Namespace) -> None:
    """Say the cost, measure what is missing or stale, and write the page.

    Raises:
        ValueError: An option that means nothing; or with ``--check``, the page shows rows of another model, config or
            test.
    """
    check_options(args)
    bench = prepare(args)
    if args.check:
        check_page(bench, args.out)
        return
    wanted = {} if args.report else {test.name: due(test, args.only) for test in asked(bench, args)}
    curves = not args.report and curves_due(bench, args.only)
    print(plan_text(bench, wanted, args.curve_samples if curves else 0), flush=True)
    if args.plan:
        return
    if curves:
        arrays = measure_numbers(bench.model, bench.cfg, args.seed, args.curve_samples)
        write_row(bench.folder, CURVES, Measured(bench.curves.of_model(CURVES), arrays))
        print(f"{CURVES}: measured", flush=True)
    for test in asked(bench, args):
        measure_rows(bench, test, wanted.get(test.name, []))
    write_report(bench, args)


def check_options(args: argparse.Namespace) -> None:
    """Raise ValueError for numbers that are none, and for words that are in no row's name."""
    for name in ("num_samples", "curve_samples"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(args, name)}, expected at least 1")
    known = [CURVES, *(row.key for row in all_rows())]
    for word in args.only or ():
        if not any(word in key for key in known):
            raise ValueError(f"--only has {word!r}, which is in no row's name; --plan lists them")


def prepare(args: argparse.Namespace) -> Bench:
    """Build the model and what tells rows of it from others."""
    cfg = Config.fromfile(args.config)
    model: MultiInitializationOptimizationNetwork = MODELS.build(cfg.model).eval()
    identities = partial(Identities, model, cfg, args.weights)
    rows, folder = all_rows(), args.work_dir
    synthetic = Test(
        "synthetic people",
        rows,
        args.num_samples,
        identities(synthetic_data(cfg, args.seed, args.num_samples)),
        folder,
        lambda: synthetic_trial(model, cfg, args.seed, args.num_samples),
    )
    clip = Test(
        "the real clip",
        rows,
        VIEWS,
        identities(clip_data(exact=False)),
        folder / "clip",
        lambda: clip_trial(model, args, exact=False),
    )
    exact = Test(
        "the real clip, exact 2D",
        [row for row in rows if row.keypoints],
        VIEWS,
        identities(clip_data(exact=True)),
        folder / "clip_exact",
        lambda: clip_trial(model, args, exact=True),
    )
    curves = identities(synthetic_data(cfg, args.seed, args.curve_samples))
    return Bench(model, cfg, Ways(model, args.weights), synthetic, clip, exact, curves)


def asked(bench: Bench, args: argparse.Namespace) -> Sequence[Test]:
    """The tests that are to be measured."""
    return bench.tests if args.real else [bench.synthetic]


def due(test: Test, only: Sequence[str] | None) -> list[Row]:
    """The rows that are to be measured, missing or stale, and trained; the cheap ones first."""
    chosen = [row for row in test.rows if only is None or any(word in row.key for word in only)]
    return sorted((row for row in chosen if test.state_of(row) not in (KEPT, UNTRAINED)), key=lambda row: row.seconds)


def curves_due(bench: Bench, only: Sequence[str] | None) -> bool:
    """Whether the curves are to be measured."""
    wanted = only is None or CURVES in only
    return wanted and state(read_row(bench.folder, CURVES), bench.curves.of_model(CURVES)) != KEPT


def plan_text(bench: Bench, wanted: Mapping[str, Sequence[Row]], curve_count: int) -> str:
    """What will be measured, what is kept, and about how long it takes one quiet CPU thread."""
    lines, curves = [], candidate_numbers.SECONDS * curve_count
    total = curves
    for test in bench.tests:
        rows = wanted.get(test.name, [])
        total += sum(row.seconds * test.count for row in rows)
        lines += [f"{test.name}: {len(rows)} rows of {test.count} to measure", *_plan_lines(test, rows)]
    lines.append(f"{CURVES}: {f'about {curves:.0f} s' if curves else 'not now'}")
    return "\n".join([f"about {total / 60:.0f} minutes of one CPU thread", *lines])


def _plan_lines(test: Test, wanted: Sequence[Row]) -> list[str]:
    lines = []
    for row in test.rows:
        found = test.state_of(row)
        cost = f"about {row.seconds * test.count:.0f} s" if row in wanted else ""
        if found == UNTRAINED and row.baseline is not None:
            cost = training_command(row.baseline)
        lines.append(f"  {row.key:48} {found:12} {cost}".rstrip())
    return lines


def measure_rows(bench: Bench, test: Test, rows: Sequence[Row]) -> None:
    """Measure rows, and keep each as soon as it is."""
    if not rows:
        return
    trial = test.load()
    people = trial.people
    corrected = [bench.ways.correct(batch) for batch in people] if any(r.keypoints == CORRECTED for r in rows) else []
    for row in rows:
        read = corrected if row.keypoints == CORRECTED else [batch.keypoints2d for batch in people]
        start = time.perf_counter()
        arrays = measure_row(bench, row, trial, read)
        identity = test.identities.of(row)
        assert identity is not None  # only rows that are trained are asked for
        write_row(test.folder, row.key, Measured(identity, arrays))
        print(f"{row.key}: {arrays['MPJPE'].mean():.1f} mm, {time.perf_counter() - start:.0f} s", flush=True)


def measure_row(bench: Bench, row: Row, trial: Trial, read: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Errors (S,) of a row, the processor's milliseconds per person, parameters that it has learned, and its memory.

    The memory is what the first batch needs at most, in bytes, beyond what is held before; networks are loaded by then.
    """
    learned = learned_parameters(bench, row)
    parts, spent, memory = [], 0.0, -reset_peak_memory(_CPU)
    for number, (batch, keypoints2d) in enumerate(zip(trial.people, read, strict=True)):
        start = time.process_time()
        bodies = bench.ways.answer(row, batch, keypoints2d)
        spent += time.process_time() - start
        if not parts:
            memory += peak_memory(_CPU)
        parts.append(trial.errors(number, bodies))
    count = sum(len(batch.image) for batch in trial.people)
    return {
        **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        **trial.extra,
        MILLISECONDS: np.array(1000 * spent / count),
        PARAMETERS: np.array(learned),
        MEMORY: np.array(memory),
    }


def learned_parameters(bench: Bench, row: Row) -> int:
    """Of the networks that a row runs; what corrects the keypoints counts for those that read corrected ones."""
    networks: list[nn.Module | None] = []
    if row.baseline is not None:
        networks.append(bench.ways.baseline(row.start))
    elif "lifter" in row.start:
        networks.append(bench.model.refiner)
    elif row.start == MION:
        networks.append(bench.model)
    if row.keypoints == CORRECTED and row.start != MION:
        networks.append(bench.model.cen)
    return sum(parameter.numel() for network in networks if network is not None for parameter in network.parameters())


def write_report(bench: Bench, args: argparse.Namespace) -> None:
    """The page and its curves, of what is kept and not stale."""
    curves = read_row(bench.folder, CURVES)
    if curves is not None and state(curves, bench.curves.of_model(CURVES)) == STALE:
        curves = None
    if curves is not None:
        draw(curves.arrays, args.out.with_name(report.PICTURE))
    kept = [test.kept() for test in bench.tests]
    for name, text in report.sections(*kept, curves, args).items():
        write_section(args.out, name, text)
        print(text, end="\n\n")


def check_page(bench: Bench, page: Path) -> None:
    """Hold the hashes of a page against those that its rows would have now.

    Raises:
        ValueError: One of them is of another model, config or test.
    """
    now = {test.identities.of(row) for test in bench.tests for row in test.rows}
    now.add(bench.curves.of_model(CURVES))
    stale = [found for found in _HASH.findall(page.read_text(encoding="utf-8")) if found not in now]
    if stale:
        raise ValueError(
            f"{page} shows {len(stale)} rows of another model, config or test, e.g. `{stale[0]}`; measure them again "
            "with tools/benchmark.py methods"
        )
