"""Which path of a sample counts as the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

DEFAULT_CHOOSERS = {"chosen": "selection_scores", "lowest_2d": "fit_loss"}
MAIN_CHOOSER = "chosen"
MAIN_FALLBACKS = ("scores", "selected")  # what models tell that choose by one kind of score, or give an index alone
FIRST_PATH = "first"  # a chooser that asks no field


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
        if name == MAIN_CHOOSER:
            field = next((key for key in (field, *MAIN_FALLBACKS) if key in element), FIRST_PATH)
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
