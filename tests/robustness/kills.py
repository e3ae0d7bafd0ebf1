"""Kill commands at random moments, read every file that they leave, start them again, and compare the results.

Half of the kills come at any moment of a run, half between its first file and its end. The runs are forked from a
process that has imported the libraries, so that few of the moments fall into importing. What was measured is kept in
the work folder and not repeated, so that an interrupted measurement goes on where it was. The page keeps the rows of
activities that are not measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
from benchmarks.markdown import table, write_section

from mion_plugin.files import atomic_path
from mion_plugin.files.json_files import read_json
from robustness.killed_commands import COMMANDS, KilledCommand
from robustness.left_files import difference, files_in, find_damage, is_temporary
from robustness.processes import check_success, cpu_seconds, finish, kill_group, start

_POLL = 0.002  # seconds between two looks at a folder
_TRIES = 20  # a run that ends before it can be killed is started again, with another moment
HEADING = (
    "activity",
    "kills",
    "of them before its first file",
    "files found",
    "damaged",
    "temporary files left",
    "of them after the second start",
    "results equal",
)


@dataclass(frozen=True)
class Uninterrupted:
    """A run that nothing disturbs.

    Attributes:
        seconds: Time on processors that it takes.
        seconds_after_first_file: How much of that is left when its first file appears.
        given: Files that were there before.
        result: Name -> content.
    """

    seconds: float
    seconds_after_first_file: float
    given: frozenset[str]
    result: dict[str, bytes]


@dataclass(frozen=True)
class Kill:
    """One kill and what came after.

    Attributes:
        seconds: Time on processors from the start to the kill.
        before_first_file: Whether nothing was written yet.
        found: Files that were left and are not temporary.
        temporary: Files that were being written.
        damaged: File -> why it cannot be read.
        temporary_at_end: Temporary files after the second start.
        difference: Of the result from an uninterrupted run's; empty where they are equal.
    """

    seconds: float
    before_first_file: bool
    found: int
    temporary: int
    damaged: dict[str, str]
    temporary_at_end: int
    difference: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--activities", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="what to kill")
    parser.add_argument("--times", type=int, default=20, help="kills of each")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument(
        "--work-dir", type=Path, default=Path("work_dirs/kills"), help="where the measurements are kept"
    )
    parser.add_argument("--page", type=Path, default=Path("docs/reliability.md"), help="Markdown file to write into")


def run(args: argparse.Namespace) -> None:
    """Measure what is missing, and write the section.

    Raises:
        ValueError: No kills were asked for, or the page has no such section.
    """
    if args.times < 1:
        raise ValueError(f"--times {args.times}, expected at least 1")
    measured = {name: measure(args, name) for name in args.activities}
    write_section(args.page, "kills", report(measured, kept_rows(args.page)))
    print(report(measured))


def measure(args: argparse.Namespace, name: str) -> list[Kill]:
    """All kills of a command; those of an earlier run are read."""
    folder = args.work_dir / name.replace(" ", "-")
    record = folder / f"kills_seed{args.seed}.json"
    kills = [Kill(**entry) for entry in read_json(record)] if record.exists() else []
    if len(kills) >= args.times:
        return kills[: args.times]
    command = COMMANDS[name]
    prepare(command, folder)
    whole = run_whole(command, folder)
    for number in range(len(kills), args.times):
        rng = np.random.default_rng([args.seed, list(COMMANDS).index(name), number])
        seconds = kill_at_random(command, folder, whole, rng, after_first_file=bool(number % 2))
        kills.append(inspect_and_restart(command, folder, whole, seconds))
        with atomic_path(record) as temporary:
            temporary.write_text(json.dumps([asdict(kill) for kill in kills], indent=1), encoding="utf-8")
        print(f"{name}, {number + 1} of {args.times}: {kills[-1]}", flush=True)
    return kills


def prepare(command: KilledCommand, folder: Path) -> None:
    """Write what a command reads into ``folder/inputs``, in a process whose threads the command does not inherit."""
    _empty(folder / "inputs")
    log = folder / "log.txt"
    finish(start(lambda _: command.prepare(folder / "inputs"), [], log), log)


def run_whole(command: KilledCommand, folder: Path) -> Uninterrupted:
    """Run a command to its end.

    Args:
        command: What to run.
        folder: Holds ``inputs``; gets ``out`` and ``log.txt``.

    Raises:
        RuntimeError: It failed.
    """
    out = _set_up(command, folder)
    given = frozenset(files_in(out))
    process = _start(command, folder)
    used, first = 0.0, None
    while process.is_alive():
        used = max(used, cpu_seconds(process))
        if first is None and _has_begun(command, out, given):
            first = used
        time.sleep(_POLL)
    check_success(process, folder / "log.txt")
    return Uninterrupted(used, used - (first or 0.0), given, command.read_result(out))


def kill_at_random(
    command: KilledCommand, folder: Path, whole: Uninterrupted, rng: np.random.Generator, after_first_file: bool
) -> float:
    """Start a command anew and kill it, with its workers.

    Args:
        command: What to run.
        folder: As of ``run_whole``.
        whole: The uninterrupted run.
        rng: Chooses the moment.
        after_first_file: Whether that lies between the first file and the end, or anywhere.

    Returns:
        Seconds on processors from the start to the kill.

    Raises:
        RuntimeError: It failed, or ended before the kill too often.
    """
    for _ in range(_TRIES):
        out = _set_up(command, folder)
        moment = rng.uniform(0, whole.seconds_after_first_file if after_first_file else whole.seconds)
        process = _start(command, folder)
        while after_first_file and process.is_alive() and not _has_begun(command, out, whole.given):
            time.sleep(_POLL)
        began = cpu_seconds(process) if after_first_file else 0.0
        while process.is_alive() and cpu_seconds(process) - began < moment:
            time.sleep(_POLL)
        seconds = cpu_seconds(process)
        if kill_group(process):
            return seconds
        check_success(process, folder / "log.txt")
    raise RuntimeError(f"in {folder} the command ended before the kill, {_TRIES} times")


def inspect_and_restart(command: KilledCommand, folder: Path, whole: Uninterrupted, seconds: float) -> Kill:
    """Look at what a killed command left, start it again, and look at the result.

    Args:
        command: What was killed.
        folder: As of ``run_whole``.
        whole: The uninterrupted run.
        seconds: On processors, from the start to the kill.

    Raises:
        RuntimeError: The second start failed.
    """
    out = folder / "out"
    begun = _has_begun(command, out, whole.given)
    left = [name for name in files_in(out) if name not in whole.given]
    kept = [name for name in left if not is_temporary(name)]
    damaged = _find_damage(command, folder, kept)
    finish(_start(command, folder, *command.again), folder / "log.txt")
    return Kill(
        seconds=round(seconds, 3),
        before_first_file=not begun,
        found=len(kept),
        temporary=len(left) - len(kept),
        damaged=damaged,
        temporary_at_end=sum(map(is_temporary, files_in(out))),
        difference=difference(whole.result, command.read_result(out)),
    )


def kept_rows(page: Path) -> dict[str, list[str]]:
    """Activity -> the row that the page has of it, for those that are not measured this time."""
    _, _, section = page.read_text(encoding="utf-8").partition("<!-- kills: begin -->")
    lines = section.partition("<!-- kills: end -->")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {row[0]: row for row in rows if row[0] in COMMANDS and len(row) == len(HEADING)}


def report(measured: dict[str, list[Kill]], kept: dict[str, list[str]] | None = None) -> str:
    """The section in Markdown; ``kept`` are rows of activities that were not measured."""
    written = (kept or {}) | {name: _row(name, kills) for name, kills in measured.items()}
    rows = [written[name] for name in COMMANDS if name in written]
    failures = [
        f"- {name}, killed after {kill.seconds} s on processors: {problem}"
        for name, kills in measured.items()
        for kill in kills
        for problem in [*(f"{file}: {why}" for file, why in kill.damaged.items()), kill.difference]
        if problem
    ]
    return "\n\n".join([table(HEADING, rows), *(["\n".join(failures)] if failures else [])])


def _row(name: str, kills: list[Kill]) -> list[str]:
    numbers = [
        len(kills),
        sum(kill.before_first_file for kill in kills),
        sum(kill.found for kill in kills),
        sum(len(kill.damaged) for kill in kills),
        sum(kill.temporary for kill in kills),
        sum(kill.temporary_at_end for kill in kills),
        sum(not kill.difference for kill in kills),
    ]
    return [name, *map(str, numbers)]


def _start(command: KilledCommand, folder: Path, *options: str) -> ForkProcess:
    arguments = [*command.arguments(folder / "inputs", folder / "out"), *options]
    return start(command.main(), arguments, folder / "log.txt")


def _find_damage(command: KilledCommand, folder: Path, names: list[str]) -> dict[str, str]:
    """See ``find_damage``; in a process of its own, whose threads the next command does not inherit."""
    told, log = folder / "damage.json", folder / "log.txt"

    def look(_: list[str]) -> None:
        told.write_text(json.dumps(find_damage(folder / "out", names, command.readers)), encoding="utf-8")

    finish(start(look, [], log), log)
    return read_json(told)


def _set_up(command: KilledCommand, folder: Path) -> Path:
    """An output folder as the command finds it at first."""
    out = folder / "out"
    _empty(out)
    (folder / "log.txt").unlink(missing_ok=True)
    command.set_up(folder / "inputs", out)
    return out


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _has_begun(command: KilledCommand, out: Path, given: frozenset[str]) -> bool:
    return any(name not in given and fnmatch(Path(name).name, command.first) for name in files_in(out))
