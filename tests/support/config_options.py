"""Whether an entry that a page or a comment names is one that the config's parts read."""

import inspect
from collections.abc import Callable

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS

from mion_plugin.refinement.heads import BodyHead
from mion_plugin.refinement.queries import JointQueries
from mion_plugin.refinement.transformer import Transformer
from mion_plugin.registry import DATASETS, MODELS

PARTS = {"transformer": Transformer, "head": BodyHead, "queries": JointQueries}  # dicts of a network without a type


def reader(cfg: Config, key: str) -> Callable | None:
    """The class that reads the entry of a config, by its dict's type; None for a dict that nothing is built of."""
    part, name = cfg, ""
    for name in key.split(".")[:-1]:
        part = part[name]
    if "type" not in part:
        return PARTS.get(name)
    return next(found for registry in (MODELS, DATASETS, OPTIMIZERS) if (found := registry.get(part["type"])))


def accepts(cfg: Config, key: str) -> bool:
    """Whether what stands at the key, but for its last name, has an option of that name."""
    *path, name = key.split(".")
    kind = reader(cfg, key)
    if kind is not None:
        options = inspect.signature(kind).parameters
        return name in options or any(option.kind is option.VAR_KEYWORD for option in options.values())
    part = cfg
    for step in path:
        part = part[step]
    return name in part
