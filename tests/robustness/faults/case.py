"""What a case is: one hostile input, the door that it goes through, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

REFUSED = "refused"  # an error, or the documented skip
ANYTHING = "anything"  # an error, a skip, or a result that is finite and of the right form
SAME = "same"  # legal: the result is that of the sound input
GIBIBYTE = 1 << 30


class WrongResultError(Exception):
    """A door let an input through and gave something that is not finite, or not right."""


class SkippedError(Exception):
    """A door left an input out and said so, as its documentation promises."""


@dataclass(frozen=True)
class Limits:
    """What a case may take.

    Attributes:
        seconds: Time.
        memory: Bytes of address space beyond what the process starts with.
        file_size: Bytes of a file that it writes; a disk that is full.
        unprivileged: Run without what lets root pass over permissions.
    """

    seconds: float = 120.0
    memory: int = 3 * GIBIBYTE
    file_size: int | None = None
    unprivileged: bool = False


ORDINARY = Limits()


@dataclass(frozen=True)
class Case:
    """One hostile input.

    Attributes:
        door: Where it goes in.
        kind: What is wrong, in general.
        name: What is wrong, exactly.
        make: Writes the input into an empty folder, and returns what ``enter`` wants.
        enter: Goes through the door with it; the second argument is an empty folder for results. A tool's exit code, or
            None. Raises ``WrongResultError`` where the result is not as it should be.
        expected: ``REFUSED``, ``ANYTHING`` or ``SAME``.
        mentions: One of these stands in the error or in the report of a skip: the file or value that is wrong.
        tool: How a tool begins its errors; "" for a call in Python.
        may_leave: Patterns of files that may be left after an error, such as logs.
        limits: What it may take.
        disk: Bytes of a file system of its own for the results, or None.
    """

    door: str
    kind: str
    name: str
    make: Callable[[Path], Any]
    enter: Callable[[Any, Path], int | None]
    expected: str = REFUSED
    mentions: tuple[str, ...] = ()
    tool: str = ""
    may_leave: tuple[str, ...] = ()
    limits: Limits = ORDINARY
    disk: int | None = None

    @property
    def label(self) -> str:
        """One line that tells it from the others."""
        return f"{self.door}: {self.kind}: {self.name}"


def require_finite(values: Iterable[np.ndarray | torch.Tensor]) -> None:
    """Raise WrongResultError if a number is NaN or infinite."""
    for value in values:
        array = np.asarray(value)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise WrongResultError(f"a result of shape {array.shape} holds NaN or infinite values")


def require_equal(found: np.ndarray, expected: np.ndarray) -> None:
    """Raise WrongResultError if two results differ."""
    if not np.array_equal(found, expected):
        raise WrongResultError("the result is not that of the sound input")
