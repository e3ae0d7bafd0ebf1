"""Which part of a run a process does, where several share it: jobs of an array, ranks of torchrun, or both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One of several equal parts.

    Attributes:
        index: Which, from 0.
        count: Of how many.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"part {self.index}/{self.count}, expected i/n with i from 0 to n - 1")

    def within(self, whole: Part) -> Part:
        """This part of a part."""
        return Part(whole.index * self.count + self.index, whole.count * self.count)

    @property
    def label(self) -> str:
        """For the names of files."""
        return f"{self.index:04d}_of_{self.count:04d}"


def find_part(text: str | None, environment: Mapping[str, str]) -> Part:
    """The part that ``--shard`` and a launcher name.

    Args:
        text: ``i/n``, or None for everything.
        environment: Of the process: torchrun sets ``RANK`` and ``WORLD_SIZE``, by which that part is divided again.

    Raises:
        ValueError: Not such a text, or not such numbers.
    """
    if text is None:
        part = Part()
    else:
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if match is None:
            raise ValueError(f"--shard {text}, expected i/n, such as 0/8 for the first of eight parts")
        part = Part(int(match[1]), int(match[2]))
    return _part_of_launcher(environment).within(part)


def _part_of_launcher(environment: Mapping[str, str]) -> Part:
    rank, size = (environment.get(name) for name in ("RANK", "WORLD_SIZE"))
    if rank is None and size is None:
        return Part()
    if not (rank or "").isdecimal() or not (size or "").isdecimal():
        raise ValueError(f"RANK is {rank} and WORLD_SIZE {size} in the environment, expected the numbers of torchrun")
    return Part(int(str(rank)), int(str(size)))
