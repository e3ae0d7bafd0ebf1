"""Curves as SVG pictures: the same bytes for the same numbers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from mion_plugin.files import atomic_path


def pyplot_for_svg() -> ModuleType:
    """matplotlib's ``pyplot``, set to draw SVG; imported at first use, as in the host: it takes a second."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.fonttype"] = "none"  # text as text, a third of the size
    mpl.rcParams["svg.hashsalt"] = "mion"  # ids would be drawn anew in each run
    from matplotlib import pyplot

    return pyplot


def save_svg(figure: Any, path: Path) -> None:
    """Write a figure whole or not at all, and close it."""
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    pyplot_for_svg().close(figure)
