"""What training and testing on mmengine's Runner need besides mmengine."""

from mion_plugin.engine.epoch_seed_hook import EpochSeedHook

__all__ = ["EpochSeedHook"]
