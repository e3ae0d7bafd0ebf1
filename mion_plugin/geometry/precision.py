"""Where automatic mixed precision must not reach."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of ``like``: rotations and projections need float32.

    A bfloat16 has 8 bits: at a translation of 50 m that is a step of 0.25 m.
    """
    return torch.autocast(like.device.type, enabled=False)
