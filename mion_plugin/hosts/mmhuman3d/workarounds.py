"""What mmhuman3d 0.11 and mmcv 1.6 cannot do on today's PyTorch, or at all, and MION needs.

Nothing of theirs is changed on disk. The first two belong to ``MIONEstimator`` alone; the others change objects in this
process, when mmhuman3d's architectures (``support_modern_torch``) or ``mmhuman3d.apis.test`` (``keep_every_batch``) are
imported in one that imports this package.

- ``unwrap_containers``: on CPUs nothing takes ``img_metas`` out of its ``DataContainer``.
- ``drop_unsaved_buffers``: mmcv's checkpoints hold every buffer, those of the licensed body model too.
- ``_accept_gpu_indices``: mmcv asks torch for a stream by the GPU's index; torch 2.1 and newer want a device
  (``'int' object has no attribute 'type'``).
- ``_restore_ddp_attribute``: ``MMDistributedDataParallel`` reads ``_use_replicated_tensor_module``, which torch 2.1 and
  newer lack, when it tests.
- ``_allow_numpy_scalars``: checkpoints with the best score, a numpy number, do not load with torch 2.6 and newer.
- ``keep_every_batch``: ``multi_gpu_test`` loses the last batch where processes have different numbers of batches.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from mmcv.parallel import DataContainer, MMDistributedDataParallel, _functions
from mmengine.dist import all_reduce
from torch import nn

from mion_plugin.files.array_constructors import torch_safe_globals

_EMPTY_BATCH = ("keypoints_3d", "smpl_pose", "smpl_beta", "image_path", "image_idx")


def unwrap_containers(batch: dict[str, Any]) -> dict[str, Any]:
    """A collated batch without ``DataContainer`` around its values, as mmcv's ``scatter`` leaves it for one GPU.

    Raises:
        ValueError: The batch was collated for several GPUs.
    """
    return {name: _unwrap(name, value) for name, value in batch.items()}


def drop_unsaved_buffers(module: nn.Module, state_dict: dict[str, Any], prefix: str, _: Any) -> None:
    """Hook for ``register_state_dict_post_hook``: drops what torch's own ``state_dict`` would not hold."""
    for name, part in module.named_modules(remove_duplicate=False):  # stages share their body
        for buffer in part._non_persistent_buffers_set:
            state_dict.pop(prefix + (f"{name}." if name else "") + buffer, None)


def support_modern_torch() -> None:
    """Let mmcv 1.6 scatter to GPUs, test in several processes and load its own checkpoints."""
    _accept_gpu_indices()
    _restore_ddp_attribute()
    _allow_numpy_scalars()


def keep_every_batch(test: ModuleType) -> None:
    """Let ``multi_gpu_test`` return what all processes found.

    mmhuman3d zips the processes' lists of batches, so that the last batch of those with one more than others is lost
    and ``evaluate`` fails on its samples. The shorter lists get an empty batch first.

    Args:
        test: The module ``mmhuman3d.apis.test``.
    """
    test.collect_results_cpu = _padded(test.collect_results_cpu)  # type: ignore[attr-defined]
    test.collect_results_gpu = _padded(test.collect_results_gpu)  # type: ignore[attr-defined]


def _unwrap(name: str, value: Any) -> Any:
    if not isinstance(value, DataContainer):
        return value
    if len(value.data) != 1:
        raise ValueError(f"{name} was collated for {len(value.data)} GPUs, but one model got all of it; use one")
    return value.data[0]


def _accept_gpu_indices() -> None:
    get_stream = torch.nn.parallel._functions._get_stream  # torch's own, however often this is called
    _functions._get_stream = lambda index: get_stream(torch.device("cuda", index))


def _restore_ddp_attribute() -> None:
    if not hasattr(MMDistributedDataParallel, "_use_replicated_tensor_module"):
        MMDistributedDataParallel._use_replicated_tensor_module = False


def _allow_numpy_scalars() -> None:
    """Numbers and arrays of numpy load, rebuilt by constructors that trust nothing but their bytes.

    ``numpy.dtype`` itself on torch's list of safe names would take a forged state on trust.
    """
    torch.serialization.add_safe_globals(torch_safe_globals())


def _padded(collect: Callable[..., Any]) -> Callable[..., Any]:
    """``collect`` for lists of batches, which get as long as the longest process's."""

    def collect_padded(result_part: list, size: int, *args: Any) -> Any:
        longest = torch.tensor(len(result_part))
        all_reduce(longest, "max")
        missing = int(longest) - len(result_part)
        return collect(result_part + missing * [dict.fromkeys(_EMPTY_BATCH, ())], size, *args)

    return collect_padded
