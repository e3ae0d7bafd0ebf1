"""Scores of any method's bodies."""

from mion_plugin.scoring.hypotheses import Hypotheses, check_hypotheses
from mion_plugin.scoring.layouts import read_bodies
from mion_plugin.scoring.scorer import BodyScorer, ScoredBodies

__all__ = ["BodyScorer", "Hypotheses", "ScoredBodies", "check_hypotheses", "read_bodies"]
