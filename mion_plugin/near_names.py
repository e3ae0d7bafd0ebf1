"""What a misspelt name was meant to be, in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CUTOFF = 0.6  # difflib's own
_LISTED = 5


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "", *, cutoff: float = _CUTOFF) -> str:
    """``; did you mean NAME?`` of the known name nearest to ``name``; ``otherwise`` where none is near.

    Args:
        name: What was given.
        known: What there is.
        otherwise: What to say instead.
        cutoff: The least likeness, from 0 to 1, as difflib measures it.
    """
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else otherwise


def nearest(name: object, known: Iterable[str], listed: int = _LISTED) -> str:
    """At most so many of the known names, the nearest first, and how many more there are: ``a, b and 3 more``."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=listed)
    told = [*near, *(other for other in names if other not in near)][:listed]
    more = f" and {len(names) - len(told)} more" if len(names) > len(told) else ""
    return f"{', '.join(told) or 'nothing'}{more}"
