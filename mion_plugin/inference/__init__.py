"""From photographs and 2D keypoints to bodies."""

from mion_plugin.inference.inferencer import MIONInferencer
from mion_plugin.inference.meshes import save_mesh
from mion_plugin.inference.results import PersonBodies, save_person

__all__ = ["MIONInferencer", "PersonBodies", "save_mesh", "save_person"]
