"""From photographs and 2D keypoints to bodies."""

from mion_plugin.inference.frames import FramePeople, find_by_detector, find_in_file, infer_frames
from mion_plugin.inference.inferencer import MIONInferencer
from mion_plugin.inference.meshes import save_mesh
from mion_plugin.inference.overlay import draw_paths, draw_people
from mion_plugin.inference.results import PersonBodies, save_person
from mion_plugin.inference.side_swaps import SideSwapGuard
from mion_plugin.inference.smoothing import BodySmoother
from mion_plugin.inference.sources import Frame, FrameSource, open_source
from mion_plugin.inference.tracking import KeypointTracker

__all__ = [
    "BodySmoother",
    "Frame",
    "FramePeople",
    "FrameSource",
    "KeypointTracker",
    "MIONInferencer",
    "PersonBodies",
    "SideSwapGuard",
    "draw_paths",
    "draw_people",
    "find_by_detector",
    "find_in_file",
    "infer_frames",
    "open_source",
    "save_mesh",
    "save_person",
]
