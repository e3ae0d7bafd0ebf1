"""Hostile JSON: numbers, nesting and values that no writer of annotations means."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from robustness.faults.case import ANYTHING, REFUSED
from robustness.faults.damage import Damage

_DEPTH = 100_000
WRONG_VALUES = (None, True, -1, 1e308, "text", [], {}, [[1]], "../../etc/passwd", float("nan"), float("inf"))


def hostile_texts() -> Iterator[Damage]:
    """Files that are wrong whatever they should hold."""
    texts = {
        "lists 100,000 deep": "[" * _DEPTH + "]" * _DEPTH,
        "objects 100,000 deep": '{"a":' * _DEPTH + "1" + "}" * _DEPTH,
        "brackets that do not close": "[" * _DEPTH,
        "an integer of 100,000 digits": "9" * 100_000,
        "10^400": "1e400",
        "a number alone": "1",
        "a text alone": '"text"',
        "null": "null",
        "an empty list": "[]",
        "an empty object": "{}",
        "two documents": "{}{}",
        "a comment": "// none\n{}",
        "a byte order mark": "\ufeff{}",
        "NUL characters": "\0" * 100,
        "half a surrogate": '{"images": "\\ud800"}',
    }
    for name, text in texts.items():
        yield Damage("hostile JSON", name, _writes(text))
    yield Damage("not UTF-8", "Latin-1", lambda path: path.write_bytes('{"images": "Höhe"}'.encode("latin1")))
    yield Damage("not UTF-8", "half of UTF-16", lambda path: path.write_bytes('{"images": []}'.encode("utf-16")[:-1]))
    yield Damage("not UTF-8", "UTF-16", lambda path: path.write_bytes('{"images": []}'.encode("utf-16")))


def changed_values(
    content: Any, *place: Any, values: tuple = WRONG_VALUES, expected: str = REFUSED
) -> Iterator[Damage]:
    """A document with the value at ``place`` missing, or another."""
    where = ".".join(map(str, place))
    yield Damage("key missing", where, _writes(json.dumps(_without(content, place))), expected)
    for value in values:
        kind = "NaN or infinite" if value in (float("inf"),) or value != value else "wrong type"
        told = json.dumps(value)
        yield Damage(kind, f"{where} is {told}", _writes(json.dumps(with_value(content, place, value))), expected)


def with_value(content: Any, place: tuple, value: Any) -> Any:
    """A copy of a document with another value at ``place``."""
    changed = copy.deepcopy(content)
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    return changed


def _without(content: Any, place: tuple) -> Any:
    changed = with_value(content, place, None)
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    del holder[place[-1]]
    return changed


def _writes(text: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(text, encoding="utf-8", errors="surrogatepass")


def huge_number(content: Any, *place: Any) -> Damage:
    """A document with a number of 5,000 digits at ``place``."""
    text = json.dumps(with_value(content, place, "HUGE")).replace('"HUGE"', "9" * 5000)
    return Damage("huge", f"{'.'.join(map(str, place))} has 5,000 digits", _writes(text), ANYTHING)
