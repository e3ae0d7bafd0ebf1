"""Synthetic training images in SURREAL's manner: posed, dressed, lit bodies over backgrounds."""

from mion_plugin.candidates.splits import choose_test_clips, is_test_clip, pool_without_clips, split_pool
from mion_plugin.synthesis.bodies import BodySettings, PoseSource
from mion_plugin.synthesis.dataset import SURREALSynthesisDataset
from mion_plugin.synthesis.degradation import Degradation
from mion_plugin.synthesis.lifting_dataset import LiftingDataset
from mion_plugin.synthesis.synthesizer import Synthesizer

__all__ = [
    "BodySettings",
    "Degradation",
    "LiftingDataset",
    "PoseSource",
    "SURREALSynthesisDataset",
    "Synthesizer",
    "choose_test_clips",
    "is_test_clip",
    "pool_without_clips",
    "split_pool",
]
