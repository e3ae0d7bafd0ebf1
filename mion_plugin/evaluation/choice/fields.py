"""Where data samples keep the numbers that the rules of choice go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

# rule -> field of ``pred_bodies``, (N,) scores whose lowest wins; ``first`` asks no field
RULE_FIELDS = {
    "first": "first",
    "reprojection": "fit_loss",
    "cen": "scores",
    "cen+reprojection": "combined_scores",
    "fit": "fit_cost",
}
CHOSEN = "chosen"  # what the model went by
FIRST_PATH = "first"
DEFAULT_CHOOSERS = (CHOSEN, "reprojection")
_CHOSEN_FIELD = "selection_scores"
_CHOSEN_FALLBACKS = ("scores", "selected")  # of models that choose by one kind of score, or give an index alone


def choosers_of(choosers: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """Name of a way to choose -> what chooses; given as such a mapping, or as ``chosen`` and names of rules.

    Raises:
        ValueError: An unknown rule, or one that needs no scores (``random`` and ``oracle`` are statistics).
    """
    if isinstance(choosers, Mapping):
        return dict(choosers)
    known = {CHOSEN: _CHOSEN_FIELD, **RULE_FIELDS}
    if unknown := [name for name in choosers if name not in known]:
        raise ValueError(f"choosers has {unknown[0]!r}, expected some of {', '.join(known)}, or a mapping to fields")
    return {name: known[name] for name in choosers}


def path_scores(element: Mapping[str, Any], choosers: Mapping[str, str], num_paths: int) -> dict[str, np.ndarray]:
    """Name of a way to choose -> its scores (N,), the lowest wins, or the index () of its path.

    Args:
        element: ``pred_bodies`` or ``candidates`` of one sample.
        choosers: Name -> field of the element, or ``first`` for path 1 (the one of lowest fit loss). A chooser whose
            field is absent is left out, but ``chosen`` then falls back on the field ``scores``, next on the index in
            ``selected``, and without either on the first path.
        num_paths: N.

    Raises:
        ValueError: A field that is neither N scores nor one index, or holds NaN.
    """
    found = {}
    for name, field in choosers.items():
        if name == CHOSEN:
            field = next((key for key in (field, *_CHOSEN_FALLBACKS) if key in element), FIRST_PATH)
        if field in element:
            found[name] = _checked(field, element[field], num_paths)
        elif field == FIRST_PATH:
            found[name] = np.arange(num_paths, dtype=np.float64)
    return found


def _checked(field: str, value: Any, num_paths: int) -> np.ndarray:
    values = torch.as_tensor(value).detach().cpu().double().numpy()
    if values.shape not in ((num_paths,), ()):
        raise ValueError(f"{field} has shape {values.shape}, expected ({num_paths},) scores or one index")
    if np.isnan(values).any():
        raise ValueError(f"{field} holds NaN")
    if values.shape == () and values not in range(num_paths):
        raise ValueError(f"{field} is {values}, expected the index of one of {num_paths} paths")
    return values
