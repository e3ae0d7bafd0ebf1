"""Imports everything that is registered: what the registries import when something is first looked up in them."""

from mion_plugin import (
    backbones,
    baselines,
    body,
    candidates,
    consistency,
    datasets,
    engine,
    evaluation,
    fitting,
    mion,
    refinement,
    rendering,
    synthesis,
    timm_backbone,
    visualization,
)

__all__ = [
    "backbones",
    "baselines",
    "body",
    "candidates",
    "consistency",
    "datasets",
    "engine",
    "evaluation",
    "fitting",
    "mion",
    "refinement",
    "rendering",
    "synthesis",
    "timm_backbone",
    "visualization",
]
