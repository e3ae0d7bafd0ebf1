"""What training and testing on mmengine's Runner need besides mmengine."""

from mion_plugin.engine.body_fingerprint_hook import BodyFingerprintHook
from mion_plugin.engine.epoch_seed_hook import EpochSeedHook
from mion_plugin.engine.fitting_checkpoint_hook import FittingCheckpointHook
from mion_plugin.engine.plain_checkpoint_hook import PlainCheckpointHook
from mion_plugin.engine.stop_on_invalid_loss_hook import StopOnInvalidLossHook

__all__ = [
    "BodyFingerprintHook",
    "EpochSeedHook",
    "FittingCheckpointHook",
    "PlainCheckpointHook",
    "StopOnInvalidLossHook",
]
