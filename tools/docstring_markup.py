"""A griffe extension for mkdocs.yml: what our docstrings write in other dialects, in the site's."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:func|class|mod):`~?(?:[\w.]+\.)?(\w+)`")  # Sphinx's, with the name's last part
_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)  # griffe knows the plural alone


class DocstringMarkup(griffe.Extension):
    """Sphinx's roles become code, and ``Example:`` a section of examples."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub("Examples:", _ROLE.sub(r"``\1``", obj.docstring.value))
