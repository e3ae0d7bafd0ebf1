"""Another stage 3, not in the paper: read the depths of a person's joints from the picture, and compare bodies."""

from mion_plugin.consistency.reading.consistency import DepthConsistency
from mion_plugin.consistency.reading.model import DepthReaderTraining
from mion_plugin.consistency.reading.network import DepthReader, DepthReading

__all__ = [
    "DepthConsistency",
    "DepthReader",
    "DepthReaderTraining",
    "DepthReading",
]
