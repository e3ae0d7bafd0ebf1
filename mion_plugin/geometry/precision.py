"""Where automatic mixed precision and TF32 must not reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain

import torch
from torch import Tensor, nn


def full_precision(like: Tensor) -> AbstractContextManager[None]:
    """A context without autocast on the device of ``like``, and without TF32: rotations and projections need float32.

    A bfloat16 has 8 bits: at a translation of 50 m that is a step of 0.25 m. TF32 rounds what matrix products read to
    11 bits: a step of 31 mm there, and up to 1 mm on a body at the origin. ``torch.set_float32_matmul_precision`` and
    ``torch.backends.cuda.matmul`` switch it on for the whole process; the switch is put back afterwards. Products of
    the backward pass follow the switch, as those of the networks do.

    While a network is compiled or exported only autocast is kept out: the switch is no operation of a graph. What is
    compiled are networks (``decode``), whose products may be rounded.
    """
    without_autocast = torch.autocast(like.device.type, enabled=False)
    return without_autocast if torch.compiler.is_compiling() else _without_tf32(without_autocast)


def require_full_precision(part: nn.Module) -> None:
    """Raise ValueError for a part that was cast to 16 bits (``half()``), in which nobody solves and projects."""
    dtypes = (value.dtype for value in chain(part.parameters(), part.buffers()) if value.is_floating_point())
    dtype = next(dtypes, torch.float32)
    if dtype in (torch.float16, torch.bfloat16):
        raise ValueError(
            f"the weights of this {type(part).__name__} are {dtype}, expected float32. For speed leave them so, "
            "and call the model under torch.autocast (amp=True of MIONInferencer, --amp of the tools)"
        )


@contextmanager
def _without_tf32(without_autocast: torch.autocast) -> Iterator[None]:
    with without_autocast, _float32_products():
        yield


@contextmanager
def _float32_products() -> Iterator[None]:
    """Matrix products read all bits of their inputs; the switch is left alone where it says so already."""
    products = torch.backends.cuda.matmul
    try:
        allowed = products.allow_tf32
    except RuntimeError:  # set through its newer name, which torch then wants to be asked for
        former = products.fp32_precision
        products.fp32_precision = "ieee"
        try:
            yield
        finally:
            products.fp32_precision = former
        return
    if not allowed:
        yield
        return
    precision = torch.get_float32_matmul_precision()  # high or medium, which allow it both
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
