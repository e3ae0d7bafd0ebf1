"""What hatchling asks while it builds: the long description, README.md as package indexes show it.

An index shows the README alone: a relative link or picture leads nowhere there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")  # to neither a URL nor a heading of the page itself


def absolute_links(text: str, repository: str | None) -> str:
    """Markdown with its relative links made absolute.

    Args:
        text: Markdown whose links are relative to the repository's root.
        repository: Its address, of a host with GitHub's paths; None: links become their text, and pictures go.
    """

    def replace(link: re.Match[str]) -> str:
        picture, label, target = link.groups()
        if repository is None:
            return "" if picture else label
        return f"{picture}[{label}]({repository.rstrip('/')}/{'raw' if picture else 'blob'}/HEAD/{target})"

    return _LINK.sub(replace, text)


class LongDescription(MetadataHookInterface):
    """Sets ``readme``, which pyproject.toml names as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add it to the project's table; the repository is ``Repository`` of its ``urls``."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        links = absolute_links(text, metadata.get("urls", {}).get("Repository"))
        metadata["readme"] = {"content-type": "text/markdown", "text": links}
