"""Errors in millimetres and the metric that reports them."""

from mion_plugin.evaluation.choice.quality import bootstrap_interval, rank_correlation, selection_statistics
from mion_plugin.evaluation.depth_metric import DepthMetric
from mion_plugin.evaluation.errors import (
    evaluation_joints,
    mpjpe,
    pa_mpjpe,
    pve,
    root_aligned,
    shape_l2,
    similarity_aligned,
)
from mion_plugin.evaluation.metrics import MeshMetric
from mion_plugin.evaluation.selection_metric import SelectionMetric
from mion_plugin.evaluation.statistics import path_statistics

__all__ = [
    "DepthMetric",
    "MeshMetric",
    "SelectionMetric",
    "bootstrap_interval",
    "evaluation_joints",
    "mpjpe",
    "pa_mpjpe",
    "path_statistics",
    "pve",
    "rank_correlation",
    "root_aligned",
    "selection_statistics",
    "shape_l2",
    "similarity_aligned",
]
