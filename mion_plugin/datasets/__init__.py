"""Annotated images: HumanData files, mixing of sets, augmentation and crops."""

from mion_plugin.datasets import transforms
from mion_plugin.datasets.collating import joined_collate, only_item
from mion_plugin.datasets.epoch_sampler import EpochSampler
from mion_plugin.datasets.human_data import HumanData, load_human_data, save_human_data
from mion_plugin.datasets.human_dataset import HumanDataset
from mion_plugin.datasets.mixed_dataset import MixedDataset

__all__ = [
    "EpochSampler",
    "HumanData",
    "HumanDataset",
    "MixedDataset",
    "joined_collate",
    "load_human_data",
    "only_item",
    "save_human_data",
    "transforms",
]
