"""A sampler that makes augmentation depend on the epoch."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import DefaultSampler
from torch.utils.data import ConcatDataset

from mion_plugin.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(DefaultSampler):
    """mmengine's ``DefaultSampler`` that also tells the dataset the epoch, so that augmentation depends on it.

    With it a run is the same for any number of workers and processes, and bit for bit after a resume.
    """

    def set_epoch(self, epoch: int) -> None:
        """Called by mmengine's ``DistSamplerSeedHook`` before every epoch."""
        super().set_epoch(epoch)
        _tell(self.dataset, epoch)


def _tell(dataset: Any, epoch: int) -> None:
    """Tell a data set the epoch, or those that a ``ConcatDataset`` of mmengine or torch is made of.

    Sets in a wrapper that repeats samples within an epoch must not know it: all repeats would be augmented alike.
    """
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(epoch)
    elif isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            _tell(part, epoch)
