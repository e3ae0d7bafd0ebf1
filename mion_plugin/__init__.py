"""MION: multi-hypothesis human mesh recovery for the OpenMMLab ecosystem.

Importing the package makes its components known under the scope ``mion``; it is what
``custom_imports = dict(imports=['mion_plugin'])`` in a config names. It imports neither torch nor mmengine: the
registries appear as soon as mmengine's do (``mion_plugin.registry``), and are filled when something is first looked up
in one of them (``mion_plugin.components``).
"""

from importlib import import_module
from typing import Any

from mion_plugin import hosts
from mion_plugin.hosts.after_import import after_import

__version__ = "0.1.0"

__all__ = [
    "MIONInferencer",
    "backbones",
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


def __getattr__(name: str) -> Any:
    """Import a subpackage, or the inferencer, when it is first used as an attribute."""
    if name == "MIONInferencer":
        return import_module(f"{__name__}.inference").MIONInferencer
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


after_import("mmengine.registry", lambda _: import_module(f"{__name__}.registry"))
