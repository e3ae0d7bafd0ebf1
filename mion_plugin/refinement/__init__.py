"""Stage 2: the mesh refinement transformer."""

from mion_plugin.refinement.lifting_model import KeypointLifting
from mion_plugin.refinement.losses import MeshLoss
from mion_plugin.refinement.model import MeshRefinementTransformer
from mion_plugin.refinement.network import RefinementNetwork
from mion_plugin.refinement.position_encoding import PNCCEncoding, SinePositionEncoding2D
from mion_plugin.refinement.transformer import Transformer

__all__ = [
    "KeypointLifting",
    "MeshLoss",
    "MeshRefinementTransformer",
    "PNCCEncoding",
    "RefinementNetwork",
    "SinePositionEncoding2D",
    "Transformer",
]
