"""Which of an image's N bodies is the answer: the rules, where their scores stand in samples, how well they choose."""

from mion_plugin.evaluation.choice.fields import RULE_FIELDS, path_scores
from mion_plugin.evaluation.choice.quality import bootstrap_interval, rank_correlation, selection_statistics
from mion_plugin.evaluation.choice.rules import RULES, Labels, fit_loss_of

__all__ = [
    "RULES",
    "RULE_FIELDS",
    "Labels",
    "bootstrap_interval",
    "fit_loss_of",
    "path_scores",
    "rank_correlation",
    "selection_statistics",
]
