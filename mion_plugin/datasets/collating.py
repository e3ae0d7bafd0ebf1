"""How items of a data set become a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mion_plugin.registry import FUNCTIONS


@FUNCTIONS.register_module()
def only_item(items: Sequence[Any]) -> Any:
    """The one item, which is a batch already (``mion.LiftingDataset``).

    Raises:
        ValueError: There are several; the loader's ``batch_size`` must be 1.
    """
    if len(items) != 1:
        raise ValueError(f"got {len(items)} items, each of them a batch: set the data loader's batch_size to 1")
    return items[0]
