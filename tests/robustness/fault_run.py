"""Hostile input through every public door, and what becomes of it."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
from benchmarks.markdown import table, write_section

from robustness.faults.case import Case, Limits
from robustness.faults.doors import CHEAP, DOORS
from robustness.faults.doors.files import tool
from robustness.faults.doors.keypoints import preload
from robustness.faults.isolation import run_isolated
from robustness.faults.seeds import Seeds, write_seeds
from robustness.faults.suite import may_mount, run_cases
from robustness.faults.verdict import OUTCOMES, Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
_TOOLS = """calibrate cache_crops predict score demo synthesize detect_keypoints export publish_model convert_dataset
    build_candidate_pool train test""".split()
_SEED_SECONDS = 300.0
Results = list[tuple[Case, Verdict]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--doors", nargs="+", choices=sorted(DOORS), default=list(DOORS), help="default: all")
    parser.add_argument("--cheap", action="store_true", help=f"the doors {', '.join(CHEAP)}")
    parser.add_argument("--only", metavar="TEXT", help="the cases whose name holds this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one case of N")
    parser.add_argument("--seed", type=int, default=0, help="where files are damaged")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--page", type=Path, default=None, help=f"page to write; of a full run: {PAGE.name}")
    parser.add_argument("--verbose", action="store_true", help="print every case")


def run(args: argparse.Namespace) -> None:
    """Run the cases, print the faults and write the table; ends with 1 where there is a fault."""
    torch.set_num_threads(1)  # what was forked from several threads may wait for ever
    start = time.monotonic()
    doors = list(CHEAP) if args.cheap else args.doors
    results: Results = []
    with tempfile.TemporaryDirectory(prefix="fault_seeds_") as folder:
        cases = itertools.islice(_cases(_seeds(Path(folder), args.seed), doors, args.only), 0, None, args.every)
        for case, verdict in run_cases(cases, args.jobs):
            results.append((case, verdict))
            if args.verbose or verdict.outcome == "fault":
                print(f"{verdict.outcome}: {case.label}: {verdict.told}", flush=True)
    faults = sum(verdict.outcome == "fault" for _, verdict in results)
    print(f"{len(results)} cases, {faults} faults, {time.monotonic() - start:.0f} s")
    full = doors == list(DOORS) and not args.only and args.every == 1
    if full or args.page is not None:
        write_section(args.page or PAGE, "faults", report(results, time.monotonic() - start))
    if faults:
        sys.exit(1)


def _seeds(folder: Path, seed: int) -> Seeds:
    """Sound inputs, made in a process of their own: this one must stay free of threads."""
    (folder / "tmp").mkdir()
    write = lambda: bool(write_seeds(folder, seed))  # noqa: E731
    for _, ending in run_isolated([(None, write, folder, Limits(_SEED_SECONDS, 16 << 30))], 1):
        if ending.how != "returned":
            raise RuntimeError(f"the sound inputs could not be made: {ending}")
    preload()
    with contextlib.suppress(ImportError):  # an extra that is not installed is an error line of the tool
        for name in _TOOLS:
            tool(name)
            importlib.import_module(f"commands.{name}")
    gc.collect()
    gc.freeze()  # so that a forked process looks at, and copies, no more than what it makes
    return Seeds(folder, seed)


def _cases(seeds: Seeds, doors: list[str], only: str | None) -> Iterator[Case]:
    for door in doors:
        yield from (case for case in DOORS[door](seeds) if (only or "") in case.label)


def report(results: Results, seconds: float) -> str:
    """The section of the page: outcomes by door, and by kind."""
    parts = [f"{len(results)} cases in {seconds / 60:.0f} minutes: {_counts(results)}."]
    if not may_mount():
        parts[0] += " Full disks were tried as a limit on file sizes alone: this process may not mount a disk."
    for heading, key in (("door", lambda case: case.door), ("what is wrong", lambda case: case.kind)):
        rows = defaultdict(Counter)
        for case, verdict in results:
            rows[key(case)][verdict.outcome] += 1
        lines = [
            [name, str(rows[name].total()), *(str(rows[name][one] or "-") for one in (*OUTCOMES, "fault"))]
            for name in sorted(rows)
        ]
        parts.append(table([heading, "cases", *OUTCOMES, "fault"], lines))
    return "\n\n".join(parts)


def _counts(results: Results) -> str:
    counted = Counter(verdict.outcome for _, verdict in results)
    words = {
        "error": "ended in one clear line",
        "skip": "in a documented skip",
        "accepted": "were accepted, their results finite",
    }
    told = [f"{counted[outcome]} {words[outcome]}" for outcome in OUTCOMES]
    return f"{', '.join(told)}, {counted['fault']} misbehaved"
