"""How items of a data set become a batch."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mion_plugin.registry import FUNCTIONS

_ALIGNMENT = 16  # bytes; a multiple of the size of every dtype, so that a tensor can be seen where it lies

_Place = tuple[int, torch.dtype, torch.Size]  # first byte in the common buffer, and what lies there


@FUNCTIONS.register_module()
def only_item(items: Sequence[Any]) -> Any:
    """The one item, which is a batch already (``mion.LiftingDataset``).

    Raises:
        ValueError: There are several; the loader's ``batch_size`` must be 1.
    """
    if len(items) != 1:
        raise ValueError(f"got {len(items)} items, each of them a batch: set the data loader's batch_size to 1")
    return items[0]


@FUNCTIONS.register_module()
def joined_collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """mmengine's ``pseudo_collate`` (lists of the items' entries), made to travel fast from a loader's worker.

    torch hands every tensor of a batch over by a file descriptor of its own, and a sample has a dozen: with 64 of them
    the training process spends longer on taking a batch over than on a step's small parts. This batch travels as one
    tensor, and arrives as a dict of lists of tensors that lie in it, equal to what ``pseudo_collate`` would have given.
    """
    return _JoinedBatch(pseudo_collate(items))


class _JoinedBatch(dict):
    """A dict that is pickled with all its tensors in one, and unpickled as a plain dict."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _separate, _join(dict(self))


def _join(batch: Any) -> tuple[bytes, Tensor]:
    """A batch without its tensors, pickled, and all of their bytes, in one tensor."""
    file = io.BytesIO()
    pickler = _TensorsApart(file)
    pickler.dump(batch)
    joined = torch.empty(pickler.size, dtype=torch.uint8)
    for start, tensor in pickler.tensors:
        content = tensor.contiguous().view(-1).view(torch.uint8)
        joined[start : start + len(content)] = content
    return file.getvalue(), joined


def _separate(pickled: bytes, joined: Tensor) -> Any:
    return _TensorsBack(io.BytesIO(pickled), joined).load()


class _TensorsApart(pickle.Pickler):
    """Leaves a tensor's place where the tensor was; what is no plain CPU tensor is pickled as ever."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: list[tuple[int, Tensor]] = []
        self.size = 0  # bytes

    def persistent_id(self, value: Any) -> _Place | None:
        if type(value) is not Tensor or value.device.type != "cpu" or value.layout != torch.strided:
            return None
        if value.requires_grad or value.is_quantized or value.dtype.is_complex:
            return None
        start = self.size
        self.tensors.append((start, value))
        self.size += -(-value.numel() * value.element_size() // _ALIGNMENT) * _ALIGNMENT
        return start, value.dtype, value.shape


class _TensorsBack(pickle.Unpickler):
    """Puts tensors where ``_TensorsApart`` took them out. What it reads comes from a process of our own, not a file."""

    def __init__(self, file: io.BytesIO, joined: Tensor) -> None:
        super().__init__(file)
        self.joined = joined

    def persistent_load(self, place: _Place) -> Tensor:
        start, dtype, shape = place
        stop = start + shape.numel() * dtype.itemsize
        return self.joined[start:stop].view(dtype).view(shape)
