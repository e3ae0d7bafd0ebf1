"""Bodies in many photographs: parameters in shards, by runs that processes share and that go on after a kill."""

from mion_plugin.prediction.parts import Part, find_part
from mion_plugin.prediction.run import Pace, PieceDone, predict
from mion_plugin.prediction.shards import Predictions, read_predictions, read_shard
from mion_plugin.prediction.sources import open_photographs

__all__ = [
    "Pace",
    "Part",
    "PieceDone",
    "Predictions",
    "find_part",
    "open_photographs",
    "predict",
    "read_predictions",
    "read_shard",
]
