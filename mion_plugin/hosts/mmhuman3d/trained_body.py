"""Checkpoints that mmcv loads into an estimator are held to its body: by load_from, by init_cfg, and to test.

mmcv's ``load_checkpoint`` gives a model the weights alone, not the file's ``meta``, where the body is told. It does
pass on what state dicts know of each module (``_metadata``, torch's way to tell versions): the file's name and its meta
travel there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from torch import nn

from mion_plugin.weights import check_body, trained_body

_FILE = "mion_file"  # in the metadata of the whole model: (name of the file, its meta)


def tell_files(checkpoint: ModuleType) -> None:
    """Let ``load_checkpoint`` tell models which file their weights are from, and what its ``meta`` says.

    Args:
        checkpoint: The module ``mmcv.runner.checkpoint``; changed in this process alone, and once.
    """
    load = checkpoint._load_checkpoint
    if not hasattr(load, "__wrapped__"):
        checkpoint._load_checkpoint = _telling(load)  # type: ignore[attr-defined]


def check_loaded_body(model: nn.Module, state_dict: Any, prefix: str, metadata: Mapping[str, Any], *_: Any) -> None:
    """Hook for ``register_load_state_dict_pre_hook``; weights that do not come from a file are taken as they are.

    Raises:
        ValueError: The file was trained with another body; the message names it and both. Nothing is loaded then.
    """
    if _FILE in metadata:
        source, meta = metadata[_FILE]
        check_body(model, trained_body({"meta": meta}, source), source)


def _telling(load: Callable[..., Any]) -> Callable[..., Any]:
    def load_and_tell(filename: Any, *args: Any, **options: Any) -> Any:
        content = load(filename, *args, **options)
        if not isinstance(content, dict):  # mmcv says so itself
            return content
        weights = content.get("state_dict", content)
        told = OrderedDict(weights)
        metadata = dict(getattr(weights, "_metadata", {}))
        metadata[""] = {**metadata.get("", {}), _FILE: (str(filename), content.get("meta"))}
        told._metadata = metadata  # type: ignore[attr-defined]
        return {**content, "state_dict": told} if "state_dict" in content else told

    load_and_tell.__wrapped__ = load  # type: ignore[attr-defined]
    return load_and_tell
