"""Reading JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mion_plugin.files.presence import require_file
from mion_plugin.files.text_files import read_text


def read_note(path: Path) -> str:
    """The text of a note of settings that an earlier run left; "" where it is no text, which no run wrote.

    Raises:
        OSError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def json_object(text: str) -> dict[str, Any]:
    """The object of a JSON text; {} for any other text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_json(path: Path, kind: str = "file") -> Any:
    """The content of a JSON file, in any encoding of ``read_text``.

    Args:
        path: The file.
        kind: What to call it where it does not exist.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is empty, or not JSON.
    """
    require_file(path, kind)
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None
