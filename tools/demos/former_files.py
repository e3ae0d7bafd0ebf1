"""Files of an earlier run into the same folder that would look like results of this one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path


def remove_former_people(
    folder: Path,
    found: Mapping[str, Collection[int]],
    endings: Iterable[str],
    of_anybody: str = "",
    inputs: Iterable[Path] = (),
) -> None:
    """Remove, and say so, what an earlier run wrote of people whom this one has not found.

    Only ``STEM_personN`` with one of ``endings`` goes, and where there is nobody, ``STEM`` with that ``of_anybody``:
    what this run would have overwritten, had it found them.

    Args:
        folder: Of the results.
        found: Stem of a photograph's or video's results -> numbers of its people.
        endings: Of the files that this run writes of each person.
        of_anybody: Of the file that it writes of all, if any.
        inputs: Photographs that it looked at, which stay.
    """
    name = re.compile(rf"(.+)_person(0|[1-9]\d*)({'|'.join(map(re.escape, endings))})", re.DOTALL)
    told = [(path, name.fullmatch(path.name)) for path in sorted(folder.iterdir())]
    former = [path for path, of in told if of and of[1] in found and int(of[2]) not in found[of[1]]]
    if of_anybody:
        former += [folder / f"{stem}{of_anybody}" for stem, people in found.items() if not people]
    kept = {path.resolve() for path in inputs}
    former = [path for path in former if path.is_file() and path.resolve() not in kept]
    for path in former:
        path.unlink()
    if former:
        others = f" and {len(former) - 1} more" if len(former) > 1 else ""
        print(f"removed, of people whom an earlier run had found: {former[0]}{others}")
