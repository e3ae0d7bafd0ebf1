"""The measured parts of the page: what there is and what is missing, the two groups, and the curves."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.markdown import table
from benchmarks.measuring import mean_interval, relative_change
from benchmarks.methods.candidate_numbers import ambiguity_table, numbers_table, verdict
from benchmarks.methods.clip import BLOCKS
from benchmarks.methods.kept_rows import STALE, UNTRAINED, Measured
from benchmarks.methods.people import ERRORS, PIXELS
from benchmarks.methods.rows import (
    ALONE,
    BASELINES,
    CORRECTED,
    DETECTED,
    MION,
    MULTI_START,
    NONE,
    SMPLIFY_UNSCALED,
    UNPLACED,
    WITH_KEYPOINTS,
    Row,
)
from benchmarks.real.joints import ERRORS as CLIP_ERRORS
from benchmarks.real.scoring import interval_text

PAGE = Path("docs/methods.md")
PICTURE = "candidates.svg"
BARS = {"MPJPE": -8.7, "PA-MPJPE": -11.6}  # per cent below multi-start SMPLify: the paper's margins over SPIN
_DIGITS = {"SHAPE-L2": 2, PIXELS: 2}
_NAMED_AT_MOST = 6
_EXACT = {DETECTED: "as they are", CORRECTED: "corrected all the same"}  # where a detector's would stand
Shown = Mapping[Row, Measured]
Kept = tuple[Shown, Mapping[Row, str]]  # what may be shown, and why the rest may not


def sections(
    synthetic: Kept, clip: Kept, exact: Kept, curves: Measured | None, args: argparse.Namespace
) -> dict[str, str]:
    """The parts of the page that are measured, by the names that the page marks them with."""
    shown, hidden = synthetic
    tables = [
        f"### By {ALONE}",
        group_table([row for row in shown if row.group == ALONE], shown)
        or f"Nothing is measured yet: {', '.join(BASELINES)} are not trained.",
    ]
    for keypoints in (DETECTED, CORRECTED):
        rows = [row for row in shown if row.keypoints == keypoints]
        tables += [f"### By {WITH_KEYPOINTS}, {keypoints}", group_table(rows, shown) or "Nothing is measured yet."]
        tables += margins(rows, shown)
    return {
        "measured": "\n\n".join([opening(shown, hidden, args), *verdicts(shown), *clip_verdict(clip[0], exact[0])]),
        "tables": "\n\n".join(tables),
        "clip": clip_section(clip[0], exact[0]),
        "candidates": "Not measured yet." if curves is None else curves_section(curves, args),
    }


def opening(shown: Shown, hidden: Mapping[Row, str], args: argparse.Namespace) -> str:
    """What is measured, and what is not."""
    untrained = sorted({row.start for row, why in hidden.items() if why == UNTRAINED}, key=list(BASELINES).index)
    lines = ["**Nothing is measured yet.**"]
    if shown:
        lines = [
            f"**Measured** ({len(shown)} rows, by `tools/benchmark.py methods`): {_measured(untrained)} on "
            f"{args.num_samples} synthetic people of seed {args.seed}, whose poses come from recordings that "
            "neither training nor stage 1 nor a prior has seen. Millimetres; in brackets 95 % bootstrap intervals over "
            "the people."
        ]
    others = [f"{row.name}, {row.keypoints or ALONE} ({why})" for row, why in hidden.items() if why != UNTRAINED]
    if len(others) > _NAMED_AT_MOST:
        others = [f"{len(others)} rows that need no training (`tools/benchmark.py methods --plan` lists them)"]
    missing = [
        *([f"{', '.join(untrained)}, alone and followed by an optimisation (not trained)"] if untrained else []),
        *others,
        "three training seeds",
    ]
    lines.append(f"**Not measured yet**: {'; '.join(missing)}.")
    if any(why == STALE for why in hidden.values()):
        lines.append("Stale rows are of other weights, another config or other test data, and are not shown.")
    return "\n\n".join(lines)


def _measured(untrained: Sequence[str]) -> str:
    trained = [name for name in BASELINES if name not in untrained]
    return f"{', '.join([*trained, 'the optimisations'])}, the lifter and MION"


def verdicts(shown: Shown) -> list[str]:
    """Who wins each group with each kind of keypoints, and whether MION's bars are met."""
    lines = []
    for keypoints in (DETECTED, CORRECTED):
        rows = {row: shown[row].arrays["MPJPE"] for row in shown if row.keypoints == keypoints}
        if not rows:
            continue
        best = _lowest(rows, shown)
        line = f"**With {keypoints} keypoints the lowest MPJPE is that of {best.name}**, {mean_interval(rows[best])}."
        mion = next((row for row in rows if row.start == MION), None)
        if mion is not None and best.start != MION:
            line += (
                f" MION's default has {mean_interval(rows[mion])}, {relative_change(rows[best], rows[mion])} from it."
            )
        rival = next((row for row in rows if (row.start, row.then) == MULTI_START), None)
        if mion is not None and rival is not None:
            line += f" Against {rival.name} (plain multi-start optimisation): {_bars(shown[rival], shown[mion])}."
        lines.append(line)
    return ["\n\n".join(lines)] if lines else []


def _bars(before: Measured, after: Measured) -> str:
    """Changes of MION's default, and whether they reach the paper's margins."""
    told = []
    for error, bar in BARS.items():
        change = 100 * float(after.arrays[error].mean() / before.arrays[error].mean() - 1)
        told.append(
            f"{error} {relative_change(before.arrays[error], after.arrays[error])} "
            f"({'reaches' if change <= bar else 'misses'} the bar of {bar} %)"
        )
    return ", ".join(told)


def group_table(rows: Sequence[Row], shown: Shown) -> str:
    """A row for each way to an answer; empty for none."""
    if not rows:
        return ""
    cells = []
    for row in rows:
        arrays = shown[row].arrays
        unplaced = row.start in UNPLACED and row.then is None
        errors = [
            "-" if error == PIXELS and unplaced else mean_interval(arrays[error], _DIGITS.get(error, 1))
            for error in ERRORS
        ]
        ms, learned = float(arrays["milliseconds"]), float(arrays["parameters"])
        memory = f"{float(arrays['memory']) / 2**20:.0f}" if "memory" in arrays else "-"  # of a row before it was kept
        costs = [f"{learned / 1e6:.1f}", f"{ms:.1f}", memory]
        cells.append([row.name, *errors, *costs, f"`{shown[row].identity}`"])
    return table(["method", *ERRORS, "parameters, M", "ms", "memory, MiB", "hash"], cells)


def margins(rows: Sequence[Row], shown: Shown) -> list[str]:
    """How far each row is from plain multi-start optimisation, on the same people."""
    rival = next((row for row in rows if (row.start, row.then) == MULTI_START), None)
    if rival is None:
        return []
    before = shown[rival].arrays
    cells = [
        [row.name, *(relative_change(before[error], shown[row].arrays[error]) for error in ERRORS)]
        for row in rows
        if row is not rival and row.then != SMPLIFY_UNSCALED
    ]
    return [f"#### Change from {rival.name}", table(["method", *ERRORS], cells)]


def clip_verdict(clip: Shown, exact: Shown) -> list[str]:
    """Who wins on the real clip, and how far MION's default is from that."""
    lines = []
    for title, shown, rows in _clip_groups(clip, exact):
        mion = next((row for row in rows if row.start == MION), None)
        if mion is None:
            continue
        best, errors, blocks = _lowest(rows, shown), shown[mion].arrays["MPJPE"], shown[mion].arrays[BLOCKS]
        line = f"- {title[0].lower()}{title[1:]}: {best.name}, {interval_text(shown[best].arrays['MPJPE'], blocks)}"
        if best is not mion:
            line += f"; MION's default {interval_text(errors - shown[best].arrays['MPJPE'], blocks, '+')} from it"
        lines.append(line)
    return ["\n".join(["**On the real clip the lowest MPJPE is that of**", "", *lines])] if lines else []


def clip_section(clip: Shown, exact: Shown) -> str:
    """The rows on the real clip, by what they read."""
    parts = []
    for title, shown, rows in _clip_groups(clip, exact):
        parts += [f"### {title}", *_clip_tables(rows, shown)]
    return "\n\n".join(parts) or "Not measured yet: `tools/benchmark.py methods --real` does."


def _clip_groups(clip: Shown, exact: Shown) -> list[tuple[str, Shown, list[Row]]]:
    """Titles and rows of those that read the same; without groups that have no row."""
    groups = [(f"By {ALONE}", clip, NONE)]
    groups += [(f"By {WITH_KEYPOINTS}, {keypoints}", clip, keypoints) for keypoints in (DETECTED, CORRECTED)]
    groups += [(f"By exact {WITH_KEYPOINTS}, {told}", exact, keypoints) for keypoints, told in _EXACT.items()]
    found = [(title, shown, [row for row in shown if row.keypoints == read]) for title, shown, read in groups]
    return [group for group in found if group[2]]


def _clip_tables(rows: Sequence[Row], shown: Shown) -> list[str]:
    """Errors, and who has the lowest MPJPE, apart from plain multi-start optimisation."""
    rival = next((row for row in rows if (row.start, row.then) == MULTI_START), None)
    cells, heading = [], ["method", *CLIP_ERRORS, "hash"]
    for row in rows:
        arrays = shown[row].arrays
        blocks = arrays[BLOCKS]
        means = [interval_text(arrays[error], blocks) for error in CLIP_ERRORS]
        change = []
        if rival is not None:
            before = shown[rival].arrays["MPJPE"]
            change = [interval_text(arrays["MPJPE"] - before, blocks, "+") if row is not rival else "-"]
        cells.append([row.name, *means, *change, f"`{shown[row].identity}`"])
    if rival is not None:
        heading.insert(-1, f"MPJPE from {rival.name}")
    return [f"The lowest MPJPE is that of {_lowest(rows, shown).name}.", table(heading, cells)]


def _lowest(rows: Iterable[Row], shown: Shown) -> Row:
    """The row of the lowest mean MPJPE."""
    return min(rows, key=lambda row: shown[row].arrays["MPJPE"].mean())


def curves_section(curves: Measured, args: argparse.Namespace) -> str:
    """Point by point in words, a picture and tables."""
    intro = (
        f"{len(curves.arrays['MPJPE'])} people of seed {args.seed}, the first n of 25 candidates. MPJPE / PA-MPJPE; "
        f"`{curves.identity}`."
    )
    picture = f"![Errors against candidates, and the gain of five against ambiguity]({PICTURE})"
    tables = [numbers_table(curves.arrays), ambiguity_table(curves.arrays)]
    return "\n\n".join([intro, verdict(curves.arrays), picture, *tables])
