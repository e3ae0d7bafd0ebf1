"""Lines of JSON that are there while they are being written, so that a run that was stopped can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mion_plugin.files import atomic_path, remove_leftovers
from mion_plugin.files.json_files import read_note
from mion_plugin.files.pieces import check_settings


class PartialLines:
    """``NAME.jsonl``, called ``NAME.partial.jsonl`` until it is whole; a context that writes it.

    Every line is handed to the system as soon as it is there, so that a killed run leaves all but the last. At the end
    the file gets its name. After an error it stays, if there is somebody in it.

    ``NAME.partial.json`` beside it holds what the results depend on.

    Args:
        path: ``NAME.jsonl``.
        settings: What the results depend on, ready for JSON.
        resume: Keep the lines that a run with the same settings left; else begin anew.
        multiple: Keep a multiple of so many of them.
        named: Whether the lines get the name at the end; else they go, for others have it.

    Attributes:
        kept: The lines that were kept.

    Raises:
        ValueError: The lines are of a run with other settings; the message names what differs.
        OSError: The files cannot be written.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], resume: bool = False, multiple: int = 1, named: bool = True
    ) -> None:
        self.path, self._named = path, named
        self.partial = path.with_name(f"{path.stem}.partial.jsonl")
        self._note = self.partial.with_suffix(".json")
        self._settings = json.dumps(settings, indent=1, sort_keys=True) + "\n"
        self.kept: list[dict[str, Any]] = self._read(multiple) if resume and self.partial.is_file() else []
        self._anybody = any(line["people"] for line in self.kept)

    def _read(self, multiple: int) -> list[dict[str, Any]]:
        """The whole lines of an earlier run."""
        if self._note.is_file():
            check_settings(self._settings, read_note(self._note), f"{self.partial} is of a run")
        lines: list[dict[str, Any]] = []
        for text in self.partial.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            try:
                line = json.loads(text) if text.endswith("\n") else None
            except (ValueError, RecursionError):
                line = None
            if not isinstance(line, dict) or line.get("frame") != len(lines):
                break  # cut off by the kill
            lines.append(line)
        return lines[: len(lines) // multiple * multiple]

    def __enter__(self) -> PartialLines:
        for path in (self.path, self.partial, self._note):
            remove_leftovers(path)
        with atomic_path(self._note) as temporary:
            temporary.write_text(self._settings, encoding="utf-8")
        with atomic_path(self.partial) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(_text(line) for line in self.kept)
        self._file = self.partial.open("a", encoding="utf-8")
        return self

    def write(self, line: dict[str, Any]) -> None:
        """Add a line; one that was kept is there already."""
        if line["frame"] < len(self.kept):
            return
        self._file.write(_text(line))
        self._file.flush()
        self._anybody = self._anybody or bool(line["people"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._named:
            os.replace(self.partial, self.path)
        elif kind is None or not self._anybody:
            self.partial.unlink()
        if not self.partial.exists():
            self._note.unlink()


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"
