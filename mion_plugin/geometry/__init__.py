"""Cameras and keypoint conventions; rotations come from the ``roma`` package."""

from mion_plugin.geometry.camera import project
from mion_plugin.geometry.keypoints import convert_keypoints, flip_permutation, keypoint_names

__all__ = ["convert_keypoints", "flip_permutation", "keypoint_names", "project"]
