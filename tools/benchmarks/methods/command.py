"""The command: what it will cost, what is measured, and the page."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.markdown import write_section
from benchmarks.methods import candidate_numbers, report
from benchmarks.methods.candidate_numbers import CURVES, draw, measure_numbers
from benchmarks.methods.identity import Identities
from benchmarks.methods.kept_rows import KEPT, STALE, UNTRAINED, Measured, read_row, state, write_row
from benchmarks.methods.people import MESH_ERRORS, Batch, load_people, measure_errors
from benchmarks.methods.rows import CORRECTED, MION, Row, all_rows
from benchmarks.methods.ways import Ways, training_command
from mmengine.config import Config
from torch import Tensor, nn

from mion_plugin.evaluation import MeshMetric
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS

MILLISECONDS, PARAMETERS = "milliseconds", "parameters"
_HASH = re.compile(r"`([0-9a-f]{8})`")


@dataclass(frozen=True)
class Bench:
    """One model, one test, and where rows are kept."""

    model: MultiInitializationOptimizationNetwork
    cfg: Config
    ways: Ways
    rows: Identities
    curves: Identities
    folder: Path


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
    wanted = [] if args.report else due(bench, args.only)
    curves = not args.report and curves_due(bench, args.only)
    print(plan_text(bench, wanted, args.num_samples, args.curve_samples if curves else 0), flush=True)
    if args.plan:
        return
    if curves:
        arrays = measure_numbers(bench.model, bench.cfg, args.seed, args.curve_samples)
        write_row(bench.folder, CURVES, Measured(bench.curves.of_model(CURVES), arrays))
        print(f"{CURVES}: measured", flush=True)
    measure_rows(bench, wanted, args.seed, args.num_samples)
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
    rows, curves = (
        Identities(model, cfg, args.weights, args.seed, count) for count in (args.num_samples, args.curve_samples)
    )
    return Bench(model, cfg, Ways(model, args.weights), rows, curves, args.work_dir)


def due(bench: Bench, only: Sequence[str] | None) -> list[Row]:
    """The rows that are to be measured, missing or stale, and trained; the cheap ones first."""
    chosen = [row for row in all_rows() if only is None or any(word in row.key for word in only)]
    return sorted((row for row in chosen if state_of(bench, row) not in (KEPT, UNTRAINED)), key=lambda row: row.seconds)


def curves_due(bench: Bench, only: Sequence[str] | None) -> bool:
    """Whether the curves are to be measured."""
    wanted = only is None or CURVES in only
    return wanted and state(read_row(bench.folder, CURVES), bench.curves.of_model(CURVES)) != KEPT


def state_of(bench: Bench, row: Row) -> str:
    """See ``kept_rows.state``."""
    return state(read_row(bench.folder, row.key), bench.rows.of(row))


def plan_text(bench: Bench, wanted: Sequence[Row], count: int, curve_count: int) -> str:
    """What will be measured, what is kept, and about how long it takes one quiet CPU thread."""
    lines = []
    for row in all_rows():
        found = state_of(bench, row)
        seconds = f"about {row.seconds * count:.0f} s" if row in wanted else ""
        if found == UNTRAINED and row.baseline is not None:
            seconds = training_command(row.baseline)
        lines.append(f"  {row.key:48} {found:12} {seconds}".rstrip())
    curves = candidate_numbers.SECONDS * curve_count
    total = sum(row.seconds * count for row in wanted) + curves
    lines.append(f"  {CURVES:48} {f'about {curves:.0f} s' if curves else 'not now'}")
    head = f"{len(wanted)} rows of {count} people to measure, about {total / 60:.0f} minutes of one CPU thread"
    return "\n".join([head, *lines])


def measure_rows(bench: Bench, rows: Sequence[Row], seed: int, count: int) -> None:
    """Measure rows, and keep each as soon as it is."""
    if not rows:
        return
    people = list(load_people(bench.cfg, seed, count))
    corrected = [bench.ways.correct(batch) for batch in people] if any(r.keypoints == CORRECTED for r in rows) else []
    for row in rows:
        read = corrected if row.keypoints == CORRECTED else [batch.keypoints2d for batch in people]
        start = time.perf_counter()
        arrays = measure_row(bench, row, people, read)
        identity = bench.rows.of(row)
        assert identity is not None  # only rows that are trained are asked for
        write_row(bench.folder, row.key, Measured(identity, arrays))
        print(f"{row.key}: {arrays['MPJPE'].mean():.1f} mm, {time.perf_counter() - start:.0f} s", flush=True)


def measure_row(bench: Bench, row: Row, people: Sequence[Batch], read: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Errors (S,) of a row, the processor's milliseconds per person, and the parameters that it has learned."""
    metric, model = MeshMetric(MESH_ERRORS, ("mean",)), bench.model
    parts, spent = [], 0.0
    for batch, keypoints2d in zip(people, read, strict=True):
        start = time.process_time()
        bodies = bench.ways.answer(row, batch, keypoints2d)
        spent += time.process_time() - start
        parts.append(measure_errors(metric, model.body, model.camera, batch, bodies))
    errors = {name: np.concatenate([part[name][:, 0] for part in parts]) for name in parts[0]}
    count = sum(len(batch.image) for batch in people)
    return errors | {
        MILLISECONDS: np.array(1000 * spent / count),
        PARAMETERS: np.array(learned_parameters(bench, row)),
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
    shown, hidden = {}, {}
    for row in all_rows():
        kept, identity = read_row(bench.folder, row.key), bench.rows.of(row)
        found = state(kept, identity)
        if found == KEPT and kept is not None:
            shown[row] = kept
        else:
            hidden[row] = found
    curves = read_row(bench.folder, CURVES)
    if curves is not None and state(curves, bench.curves.of_model(CURVES)) == STALE:
        curves = None
    if curves is not None:
        draw(curves.arrays, args.out.with_name(report.PICTURE))
    for name, text in report.sections(shown, hidden, curves, args).items():
        write_section(args.out, name, text)
        print(text, end="\n\n")


def check_page(bench: Bench, page: Path) -> None:
    """Hold the hashes of a page against those that its rows would have now.

    Raises:
        ValueError: One of them is of another model, config or test.
    """
    now = {bench.rows.of(row) for row in all_rows()} | {bench.curves.of_model(CURVES)}
    stale = [found for found in _HASH.findall(page.read_text(encoding="utf-8")) if found not in now]
    if stale:
        raise ValueError(
            f"{page} shows {len(stale)} rows of another model, config or test, e.g. `{stale[0]}`; measure them again "
            "with tools/benchmark.py methods"
        )
