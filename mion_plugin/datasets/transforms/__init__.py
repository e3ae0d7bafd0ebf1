"""Steps of the data pipeline: plain callables on a results dict, registered under their OpenMMLab names."""

from mion_plugin.datasets.transforms.color import ColorJitter, RandomChannelNoise
from mion_plugin.datasets.transforms.formatting import Normalize, PackBodyInputs
from mion_plugin.datasets.transforms.geometric import GetRandomScaleRotation, MeshAffine, RandomHorizontalFlip
from mion_plugin.datasets.transforms.loading import BrokenImageError, LoadImageFromFile

__all__ = [
    "BrokenImageError",
    "ColorJitter",
    "GetRandomScaleRotation",
    "LoadImageFromFile",
    "MeshAffine",
    "Normalize",
    "PackBodyInputs",
    "RandomChannelNoise",
    "RandomHorizontalFlip",
]
