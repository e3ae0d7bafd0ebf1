"""A model on a GPU that is not there: fake tensors know shapes and devices, and meet none of another device."""

from __future__ import annotations

import torch
from torch import nn

from mion_plugin.body import SMPLBody


def become_fake(model: nn.Module) -> None:
    """Replace a model's parameters and buffers by fake ones on a GPU; within a ``FakeTensorMode``."""
    for module in _modules_and_keypoints(model):
        for tensors in (module._parameters, module._buffers):
            for name, value in tensors.items():
                if value is not None:
                    fake = torch.empty(value.shape, dtype=value.dtype, device="cuda")
                    tensors[name] = nn.Parameter(fake) if isinstance(value, nn.Parameter) else fake


def _modules_and_keypoints(model: nn.Module) -> list[nn.Module]:
    """All modules, and what their bodies compute keypoints with, which is no submodule."""
    modules = list(model.modules())
    bodies = [module for module in modules if isinstance(module, SMPLBody)]
    return modules + [keypoints for body in bodies for keypoints in body._pose_keypoints.values()]
