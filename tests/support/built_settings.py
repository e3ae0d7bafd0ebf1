"""What built parts have been told, to compare two of them without knowing their options."""

from collections.abc import Collection
from typing import Any

import torch

_MODULES = ("mion", "torch.nn", "torch.optim", "mmengine.optim")


def settings(part: Any, without: Collection[str] = (), seen: set[int] | None = None) -> list:
    """Numbers, names, classes, sums of tensors and shapes of weights of an object and of what it holds.

    Args:
        part: A model, an optimiser's wrapper, a data set, ...
        without: Names of attributes that are left out, wherever they are.
        seen: What has been looked at.
    """
    seen = set() if seen is None else seen
    if isinstance(part, str | int | float | None):
        return [part]
    if isinstance(part, torch.nn.Parameter):  # drawn at random
        return [tuple(part.shape)]
    if isinstance(part, torch.Tensor):
        return [tuple(part.shape), part.double().sum().item()]
    if id(part) in seen:
        return []
    seen.add(id(part))
    if isinstance(part, dict):
        told = {str(key): value for key, value in part.items() if not str(key).endswith("hooks")}  # counted by torch
        return [(key, *settings(value, without, seen)) for key, value in told.items() if key not in without]
    if isinstance(part, list | tuple):
        return [settings(value, without, seen) for value in part]
    inner = settings(vars(part), without, seen) if type(part).__module__.startswith(_MODULES) else []
    return [getattr(part, "__qualname__", type(part).__qualname__), *inner]
