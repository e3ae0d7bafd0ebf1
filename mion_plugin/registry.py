"""MION's registries: children of mmengine's root registries with scope ``mion``.

A config of any mmengine project reaches them with the scope as prefix, e.g. ``type='mion.CandidateSelector'``,
once ``custom_imports = dict(imports=['mion_plugin'])`` has imported the package. The first lookup in a registry imports
what is registered; ``len(MODELS)`` and ``MODELS.module_dict`` tell only of what is imported already.
"""

import sys

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import INFERENCERS as MMENGINE_INFERENCERS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

SCOPE = "mion"
_COMPONENTS = ["mion_plugin.components"]

# mmengine imports `<scope>.registry` when a config says `default_scope = 'mion'`, and warns where it finds none.
sys.modules.setdefault(f"{SCOPE}.registry", sys.modules[__name__])

MODELS = Registry("model", parent=MMENGINE_MODELS, scope=SCOPE, locations=_COMPONENTS)
DATASETS = Registry("dataset", parent=MMENGINE_DATASETS, scope=SCOPE, locations=_COMPONENTS)
DATA_SAMPLERS = Registry("data sampler", parent=MMENGINE_DATA_SAMPLERS, scope=SCOPE, locations=_COMPONENTS)
TRANSFORMS = Registry("transform", parent=MMENGINE_TRANSFORMS, scope=SCOPE, locations=_COMPONENTS)
METRICS = Registry("metric", parent=MMENGINE_METRICS, scope=SCOPE, locations=_COMPONENTS)
HOOKS = Registry("hook", parent=MMENGINE_HOOKS, scope=SCOPE, locations=_COMPONENTS)
FUNCTIONS = Registry("function", parent=MMENGINE_FUNCTIONS, scope=SCOPE, locations=_COMPONENTS)
INFERENCERS = Registry("inferencer", parent=MMENGINE_INFERENCERS, scope=SCOPE, locations=["mion_plugin.inference"])

__all__ = ["DATASETS", "DATA_SAMPLERS", "FUNCTIONS", "HOOKS", "INFERENCERS", "METRICS", "MODELS", "SCOPE", "TRANSFORMS"]
