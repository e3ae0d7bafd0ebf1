"""Options that a former version had under other names: accepted for one version, with a warning that names the new."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any


def check_known(owner: str, table: Mapping[str, tuple[str, ...]], renamed: Mapping[str, Any]) -> None:
    """Raise TypeError, as Python does, for an option that no version had."""
    if unknown := sorted(set(renamed) - set(table)):
        raise TypeError(f"{owner} got an unexpected keyword argument {unknown[0]!r}")


def warn_of_renamed(owner: str, places: Mapping[str, str]) -> None:
    """Say where options are now.

    Args:
        owner: Whose they are.
        places: Old name -> where the option is now.
    """
    told = ", ".join(f"{old} is {place}" for old, place in sorted(places.items()))
    warnings.warn(f"{owner}: options have new places: {told}", FutureWarning, stacklevel=4)


def insert_option(config: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of a nested config with a value at ``path``; a mapping completes one that is there, as merging does."""
    first, *rest = path
    before = config.get(first)
    if rest:
        value = insert_option(before or {}, tuple(rest), value)
    elif isinstance(before, Mapping) and isinstance(value, Mapping):
        value = {**before, **value}
    return {**config, first: value}


def nest_options(
    owner: str, table: Mapping[str, tuple[str, ...]], renamed: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """A config completed by options that were given under their old names, and a warning if there are any.

    Args:
        owner: Whose options they are.
        table: Old name -> where the option is in the config.
        renamed: Old name -> value.
        config: What was given under the new names.

    Raises:
        TypeError: A name that no version knew.
    """
    check_known(owner, table, renamed)
    if renamed:
        warn_of_renamed(owner, {name: ".".join(table[name]) for name in renamed})
    nested = dict(config)
    for name, value in renamed.items():
        nested = insert_option(nested, table[name], value)
    return nested
