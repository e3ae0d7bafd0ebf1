"""MION: multi-hypothesis human mesh recovery for the OpenMMLab ecosystem.

Importing the package registers its components under the scope ``mion``; it is what
``custom_imports = dict(imports=['mion_plugin'])`` in a config names.
"""

from mion_plugin import (
    baselines,
    body,
    candidates,
    consistency,
    datasets,
    engine,
    evaluation,
    fitting,
    hosts,
    mion,
    refinement,
    registry,
    rendering,
    synthesis,
    visualization,
)

__version__ = "0.1.0"

__all__ = [
    "baselines",
    "body",
    "candidates",
    "consistency",
    "datasets",
    "engine",
    "evaluation",
    "fitting",
    "hosts",
    "mion",
    "refinement",
    "registry",
    "rendering",
    "synthesis",
    "visualization",
]
