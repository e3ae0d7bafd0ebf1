"""Pictures of results."""

from mion_plugin.visualization.candidate_sheet import draw_candidate_sheet
from mion_plugin.visualization.drawing import draw_keypoints, overlay_body, side_view

__all__ = ["draw_candidate_sheet", "draw_keypoints", "overlay_body", "side_view"]
