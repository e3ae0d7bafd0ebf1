"""A line on standard error that says how far long work is."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_PATIENCE = 1.0  # seconds; what fails at once, as bad input does, is told alone
_PAUSE = 0.1  # seconds between two states of the line: printing takes time
_ERASE = "\r\x1b[K"


class ProgressLine:
    """Call it with what is done and the number of all; ``with`` ends the line, after an error erases it on terminals.

    Args:
        patience: Seconds of work after which the line appears.
    """

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._appears = time.monotonic() + patience
        self._told: float | None = None
        self._total = -1

    def __enter__(self) -> ProgressLine:
        return self

    def __call__(self, done: int, total: int) -> None:
        """Tell the state, unless it was told a moment ago."""
        now = time.monotonic()
        if total != self._total:
            self._total, self._start, self._before = total, now, done  # ``done`` by an earlier run, which was killed
        recent = self._told is not None and now - self._told < _PAUSE and done < total
        if now < self._appears or recent:
            return
        self._told = now
        rate = (done - self._before) / max(now - self._start, 1e-9)
        left = f", {(total - done) / rate:.0f} s left" if rate > 0 and done < total else ""
        sys.stderr.write(f"\r{done}/{total}, {now - self._start:.0f} s{left}    ")  # over the end of a longer one
        sys.stderr.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._told is not None:
            sys.stderr.write(_ERASE if error is not None and sys.stderr.isatty() else "\n")
