"""Long work on numbered rows, cut in pieces: a run that was killed goes on with the pieces that are missing."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.files.atomic import atomic_path
from mion_plugin.files.json_files import json_object, read_note
from mion_plugin.files.npz import read_npz, write_npz

Columns = dict[str, np.ndarray]
Work = Callable[[range], Columns]
"""Does some rows and returns a column of numbers for each thing there is to tell of them. It is sent to workers."""


@dataclass(frozen=True)
class Pieces:
    """The pieces of a run, each a file that appears when its rows are done.

    Attributes:
        folder: For these files alone; ``remove`` removes it.
        settings: JSON object of what decides the content.
        what: The thing that is made, for errors, e.g. ``data/synthetic holds a train set``.
        num_rows: All rows.
        size: Rows in a piece: what a killed run loses at most, for each worker.
    """

    folder: Path
    settings: str
    what: str
    num_rows: int
    size: int

    def claim(self) -> bool:
        """Note the settings in the folder; True if an earlier run did, with the same ones.

        Raises:
            ValueError: An earlier run had others.
            OSError: The folder cannot be written.
        """
        note = self.folder / "settings.json"
        if note.exists():
            check_settings(self.settings, read_note(note), self.what)
            return True
        with atomic_path(note) as temporary:
            temporary.write_text(self.settings, encoding="utf-8")
        return False

    def keep(self, holds: Callable[[range, Columns], bool]) -> None:
        """Of an earlier run's pieces, keep those whose rows and columns ``holds`` is true of; ``do`` does others."""
        for start in self._starts():
            if self._path(start).exists() and not holds(self._rows(start), self._read(start)):
                self._path(start).unlink()

    def do(self, work: Work, workers: int, progress: Callable[[int], None]) -> None:
        """Do the pieces that are missing. After an error those that were done stay; if there are none, nothing does.

        Args:
            work: Must give the same for the same rows.
            workers: Processes; 0 for this one.
            progress: Called with the number of rows that are done.
        """
        missing = [start for start in self._starts() if not self._path(start).exists()]
        done = self.num_rows - sum(len(self._rows(start)) for start in missing)
        progress(done)
        try:
            for start in self._write_all(work, missing, workers):
                done += len(self._rows(start))
                progress(done)
        except Exception:
            if not any(self._path(start).exists() for start in self._starts()):
                self.remove()  # nothing is there to go on with
            raise

    def columns(self) -> Columns:
        """What the work told of all rows, in their order."""
        pieces = [self._read(start) for start in self._starts()]
        return {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}

    def remove(self) -> None:
        """Remove the folder, if it is there."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _starts(self) -> range:
        return range(0, self.num_rows, self.size)

    def _rows(self, start: int) -> range:
        return range(start, min(start + self.size, self.num_rows))

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:08d}.npz"

    def _read(self, start: int) -> Columns:
        return read_npz(self._path(start), f"piece of an earlier run; remove {self.folder}")

    def _write_all(self, work: Work, starts: list[int], workers: int) -> Iterator[int]:
        """Do the pieces that begin at ``starts``; yields each when it is there."""
        if workers < 1:
            for start in starts:
                yield self._write(work, start)
            return
        # fork where there is one, as torch's data loader: a fresh interpreter takes seconds to import torch
        context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
        with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(work,)) as executor:
            jobs = [executor.submit(_write_in_worker, self, start) for start in starts]
            try:
                for job in as_completed(jobs):
                    yield job.result()
            finally:
                for job in jobs:
                    job.cancel()

    def _write(self, work: Work, start: int) -> int:
        """Do a piece, then tell so: where its file is, what the work makes is."""
        write_npz(self._path(start), work(self._rows(start)), compress=False)
        return start


def check_settings(wanted: str, found: str, what: str) -> None:
    """Raise ValueError if what is there was made with other settings; it names those that differ.

    Args:
        wanted: JSON object.
        found: The text that is there.
        what: See ``Pieces``; or ``PATH is of a run``.
    """
    if found == wanted:
        return
    stored, own = json_object(found), json.loads(wanted)
    differing = [f"{key} {stored.get(key)!r} (not {own[key]!r})" for key in own if stored.get(key) != own[key]]
    raise ValueError(f"{what} with {', '.join(differing) or 'other settings'}; remove it, or choose another place")


_work: Work | None = None  # of a worker process


def _start_worker(work: Work) -> None:
    import torch  # not where the work needs no worker

    global _work
    torch.set_num_threads(1)
    _work = work


def _write_in_worker(pieces: Pieces, start: int) -> int:
    assert _work is not None
    return pieces._write(_work, start)
