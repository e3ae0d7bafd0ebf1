"""Parts of a model: given as a config, or as what would be built from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mion_plugin.registry import MODELS

Part = Mapping[str, Any] | nn.Module


def build_part(part: Part | None, **defaults: Any) -> Any:
    """The part itself, or what its config, completed by the defaults, describes; None describes the defaults alone."""
    return part if isinstance(part, nn.Module) else MODELS.build({**defaults, **(part or {})})


__all__ = ["Part", "build_part"]
