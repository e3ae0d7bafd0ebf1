"""Stage 1: several coarse bodies that all explain the same 2D keypoints."""

from mion_plugin.candidates.fit import fit_translation
from mion_plugin.candidates.partial_selector import PartialSelector
from mion_plugin.candidates.pool import CandidatePool, load_pool, save_pool
from mion_plugin.candidates.selector import Candidates, CandidateSelector

__all__ = [
    "CandidatePool",
    "CandidateSelector",
    "Candidates",
    "PartialSelector",
    "fit_translation",
    "load_pool",
    "save_pool",
]
