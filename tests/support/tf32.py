"""TF32 without a GPU: what a matrix product reads is rounded to 10 bits behind the leading one, if torch allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

aten = torch.ops.aten
_PRODUCTS = {
    aten.mm.default,
    aten.bmm.default,
    aten.addmm.default,
    aten.baddbmm.default,
    aten.mv.default,
    aten.addmv.default,
    aten.dot.default,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
}
_CONVOLUTIONS = {aten.convolution.default}


def round_to_tf32(value: Any) -> Any:
    """float32 tensors rounded to nearest, the last 13 of 23 bits away; anything else as it is."""
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        return value
    return ((value.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


class RoundingMode(TorchDispatchMode):
    """Rounds as a GPU with tensor cores would, by torch's own switches; counts what it rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.rounded = 0

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        allowed = (func in _PRODUCTS and torch.backends.cuda.matmul.allow_tf32) or (
            func in _CONVOLUTIONS and torch.backends.cudnn.allow_tf32
        )
        if allowed:
            self.rounded += 1
            args = tree_map(round_to_tf32, args)
        return func(*args, **(kwargs or {}))


@contextmanager
def tf32() -> Iterator[RoundingMode]:
    """TF32 switched on for the process, and simulated."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with RoundingMode() as mode:
            yield mode
    finally:
        torch.set_float32_matmul_precision(precision)
