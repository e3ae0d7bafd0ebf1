"""Configs and tools, which a clone has beside the package and the wheel inside it; and files of the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_IN_WHEEL = _PACKAGE / ".mim"  # where OpenMMLab's packages have them, and `mim` looks


def shipped_folder(name: str) -> Path:
    """The folder ``configs`` or ``tools``: the wheel's, else the clone's."""
    inside = _IN_WHEEL / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def packaged_file(path: Path) -> Path:
    """A file where it is: configs name those of the package as seen from a clone, ``mion_plugin/models/...``.

    A file at the path itself comes first; a path that is neither is returned as it is.
    """
    inside = _PACKAGE.parent / path
    is_packaged = path.parts[:1] == (_PACKAGE.name,) and not path.exists() and inside.is_file()
    return inside if is_packaged else path
