"""A residual network that lifts keypoints to what the decoder starts from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Up to this many rows, such as the paths of one image, products on a CPU have the weights first: measured with torch's
# MKL on an AMD processor, weights of 1024 x 1024 then take half the time (2 to 4 rows) to 0.7 of it (5), 6 rows 0.9.
_FEW_ROWS = 5


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
            hidden = _linear(self.first, x)
            for block in self.blocks:
                norm, first, activation, second = block.children()
                hidden = hidden + _linear(second, activation(_linear(first, norm(hidden))))
            norm, last = self.last
            return _linear(last, norm(hidden)).float()


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    """``layer(x)`` of x (..., inputs). What is not torch's own layer, such as a quantised one, is called as it is."""
    # the number of rows must not be asked for while it is a symbol of torch.export
    if torch.compiler.is_compiling() or x.device.type != "cpu" or type(layer) is not nn.Linear:
        return layer(x)
    rows = x.shape[:-1].numel()
    if not 1 < rows <= _FEW_ROWS:
        return layer(x)
    product = torch.addmm(layer.bias[:, None], layer.weight, x.reshape(rows, -1).T)
    return product.T.contiguous().view(*x.shape[:-1], -1)
