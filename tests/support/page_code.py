"""The code blocks of a documentation page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Blocks of a language, each with the line of the page on which its code begins."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start()) + 2, match[2]) for match in _BLOCK.finditer(text) if match[1] == language
    ]


def run_page(page: Path) -> dict[str, Any]:
    """Run the Python blocks of a page one after another, as a reader would; the names that they leave.

    Tracebacks tell the page and the line.
    """
    namespace: dict[str, Any] = {"__name__": page.stem}
    for line, code in code_blocks(page, "python"):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
    return namespace
