"""Pictures of results."""

from mion_plugin.visualization.body_sheet import draw_body_sheet
from mion_plugin.visualization.candidate_sheet import draw_body_columns, draw_candidate_sheet
from mion_plugin.visualization.drawing import draw_keypoints, overlay_body, side_view
from mion_plugin.visualization.result_pictures_hook import ResultPicturesHook

__all__ = [
    "ResultPicturesHook",
    "draw_body_columns",
    "draw_body_sheet",
    "draw_candidate_sheet",
    "draw_keypoints",
    "overlay_body",
    "side_view",
]
