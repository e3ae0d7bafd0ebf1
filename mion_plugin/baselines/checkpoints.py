"""Checkpoints of mmhuman3d in the layout of ``MMHuman3DMethod``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "architecture."
# Parts whose weights are not the method's: the licensed body, which `body` names, and the discriminator of training.
LEFT_OUT = ("body_model_train.", "body_model_test.", "disc.", "loss_adv.", "registrant.")


def is_from_mmhuman3d(state_dict: Mapping[str, Any]) -> bool:
    """Whether the weights are named as mmhuman3d names them."""
    return any(name.removeprefix("module.").startswith(("backbone.", "head.")) for name in state_dict)


def from_mmhuman3d(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Weights under the names of ``MMHuman3DMethod``.

    Names get the prefix ``architecture.`` and lose the ``module.`` of distributed wrappers, of the whole model or, as
    mmhuman3d wraps them, of each part. The body models and the discriminator are left out.
    """
    renamed = {name.replace("module.", ""): value for name, value in state_dict.items()}
    return {f"{PREFIX}{name}": value for name, value in renamed.items() if not name.startswith(LEFT_OUT)}
