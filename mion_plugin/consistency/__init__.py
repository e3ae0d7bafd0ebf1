"""Stage 3: the consistency estimation network, which tells how well a body agrees with an image."""

from mion_plugin.consistency.distance import template_height, vertex_distance
from mion_plugin.consistency.losses import ConsistencyLoss
from mion_plugin.consistency.model import ConsistencyModel
from mion_plugin.consistency.network import ConsistencyEstimationNetwork
from mion_plugin.consistency.pair_dataset import CandidatePairDataset
from mion_plugin.consistency.perturbation import Perturbation, perturb_pose
from mion_plugin.consistency.reading import DepthConsistency, DepthReader, DepthReaderTraining, DepthReading

__all__ = [
    "CandidatePairDataset",
    "ConsistencyEstimationNetwork",
    "ConsistencyLoss",
    "ConsistencyModel",
    "DepthConsistency",
    "DepthReader",
    "DepthReaderTraining",
    "DepthReading",
    "Perturbation",
    "perturb_pose",
    "template_height",
    "vertex_distance",
]
