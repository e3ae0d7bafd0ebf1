"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mion_plugin.files import atomic_path


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of R rows below its heading."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_section(page: Path, name: str, text: str) -> None:
    """Put a section that a command measured into a page, in place of what was there; the page's own words stay.

    The section lies between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.

    Raises:
        ValueError: The page has no such section.
    """
    begin, end = (f"<!-- {name}: {place} -->" for place in ("begin", "end"))
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no section {name}: expected the lines {begin} and {end}")
    write_page(page, f"{before}{begin}\n{text.strip()}\n{end}{after}")


def write_page(path: Path, text: str) -> None:
    """Write a page whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
