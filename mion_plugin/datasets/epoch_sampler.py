"""A sampler that makes augmentation depend on the epoch."""

from __future__ import annotations

from mmengine.dataset import DefaultSampler

from mion_plugin.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(DefaultSampler):
    """mmengine's ``DefaultSampler`` that also tells the dataset the epoch, so that augmentation depends on it.

    With it a run is the same for any number of workers and processes, and bit for bit after a resume.
    """

    def set_epoch(self, epoch: int) -> None:
        """Called by mmengine's ``DistSamplerSeedHook`` before every epoch."""
        super().set_epoch(epoch)
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)
