"""The summary of a run: how much was done, and what was skipped and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mion_plugin.files import atomic_path, remove_leftovers
from mion_plugin.files.json_files import read_json
from mion_plugin.prediction.parts import Part
from mion_plugin.prediction.problems import KINDS
from mion_plugin.prediction.shards import read_problems

NAME = "summary.json"


def write_summaries(folder: Path, names: Iterable[str], part: Part) -> tuple[Path, dict[str, Any]]:
    """Write what a process has done; the last of several also writes ``summary.json`` of the whole.

    It is read from the shards, so that it does not depend on how often the run was killed.

    Args:
        folder: Of the shards.
        names: Of the process's pieces.
        part: Which of several processes.

    Returns:
        The file of this process, and its content.
    """
    summary = summarize(folder, names)
    own = folder / (NAME if part.count == 1 else _part_name(part))
    remove_leftovers(own)
    _write(own, summary)
    if part.count == 1:
        return own, summary
    paths = [folder / _part_name(Part(index, part.count)) for index in range(part.count)]
    if all(path.is_file() for path in paths):
        _write(folder / NAME, _joined([_read_part(path) for path in paths]))
    return own, summary


def summarize(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Counts and ``skipped``, a list of what was left out and why, of some pieces; ready for JSON."""
    photographs = people = shards = 0
    skipped: list[dict[str, str]] = []
    for name in names:
        num_photographs, num_people, problems = read_problems(folder / f"{name}.npz")
        photographs, people, shards = photographs + num_photographs, people + num_people, shards + 1
        skipped += [asdict(problem) for problem in problems]
    return _summary(shards, photographs, people, skipped)


def _summary(shards: int, photographs: int, people: int, skipped: list[dict[str, str]]) -> dict[str, Any]:
    counts = Counter(entry["kind"] for entry in skipped)
    return {
        "shards": shards,
        "photographs": photographs,
        "people": people,
        "num_skipped": {kind: counts[kind] for kind in KINDS},
        "skipped": skipped,
    }


def _read_part(path: Path) -> dict[str, Any]:
    """Another process's summary."""
    part = read_json(path)
    numbers = ("shards", "photographs", "people")
    if not isinstance(part, dict) or not all(isinstance(part.get(key), int) for key in numbers):
        raise ValueError(f"{path} is no summary of a part of the run; remove it and start that part again")
    return part


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    shards, photographs, people = (sum(part[key] for part in parts) for key in ("shards", "photographs", "people"))
    return _summary(shards, photographs, people, [entry for part in parts for entry in part["skipped"]])


def _part_name(part: Part) -> str:
    return f"summary_{part.label}.json"


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
