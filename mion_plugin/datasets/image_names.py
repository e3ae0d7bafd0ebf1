"""Which image of an annotation file is meant by a path: more than its base name tells them apart."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from mion_plugin.files.relative_paths import path_parts

Parts = tuple[str, ...]


class ImageNames:
    r"""The names of an annotation file's images, to be looked up by where the images lie now.

    A path and a name that end alike mean one image: ``/home/me/walk/000001.jpg`` is ``walk/000001.jpg``,
    ``C:\clips\walk\000001.jpg`` and ``000001.jpg``. Where several names have the same last part, the folders before it
    decide. Folders may have been renamed, so a name with another folder is taken where it is the only one, but not if
    the file knows the path's folder too, or if another of the paths fits the name better.

    Args:
        names: In the order of the file; paths relative, absolute or of Windows.
        source: The file, for errors.
        paths: All that will be looked up, as far as is known.
    """

    def __init__(
        self,
        names: Iterable[str],
        source: str | os.PathLike[str],
        paths: Iterable[str | os.PathLike[str]] = (),
    ) -> None:
        self._source = source
        self._by_last: dict[str, dict[Parts, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._folders: set[tuple[int, str]] = set()  # how far from the end, name
        for number, name in enumerate(names):
            parts = name_parts(name)
            if parts:
                self._by_last[parts[-1]][parts].append(number)
                self._folders.update(enumerate(reversed(parts)))
        self._paths: dict[str, list[Parts]] = defaultdict(list)
        for path in paths:
            location = _location(path)
            self._paths[location[-1]].append(location)

    def find(self, path: str | os.PathLike[str]) -> list[int]:
        """The numbers of the names that mean a path; several where the file has the same name several times.

        Args:
            path: Where the image lies, or its name alone.

        Raises:
            ValueError: Several names mean it equally well.
        """
        wanted = _location(path)
        known = self._by_last.get(wanted[-1], {}) if wanted else {}
        if not known:
            return []
        fit = {parts: (shared_end(parts, wanted), shared_end(parts, wanted) == len(parts)) for parts in known}
        best = [parts for parts in known if fit[parts] == max(fit.values())]
        shared, whole = fit[best[0]]
        if not whole and (shared, wanted[-1 - shared] if shared < len(wanted) else "") in self._folders:
            return []
        if len(best) > 1:
            told = " and ".join("/".join(parts) for parts in best[:2])
            raise ValueError(f"{self._source}: {os.fspath(path)} may be {told}; give it with its folder")
        if any(shared_end(best[0], rival) > shared for rival in self._paths.get(wanted[-1], [])):
            return []
        return known[best[0]]


def name_parts(name: str) -> Parts:
    """The parts of a path of whatever system; composed, since macOS writes accents as characters of their own."""
    return path_parts(unicodedata.normalize("NFC", name))


def _location(path: str | os.PathLike[str]) -> Parts:
    """The parts of a path; of one that exists, from the root on."""
    return name_parts(os.path.abspath(path) if os.path.exists(path) else os.fspath(path))


def shared_end(one: Parts, other: Parts) -> int:
    """How many parts, from the last on, are equal."""
    count = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        count += 1
    return count
