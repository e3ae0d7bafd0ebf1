"""Rasterising body meshes: face indices and depth, images interpolated from them, PNCC, shaded pictures."""

from mion_plugin.rendering.interpolation import face_map, interpolate, silhouette, vertex_label_map
from mion_plugin.rendering.pncc import PNCCRenderer, normalized_coordinate_code
from mion_plugin.rendering.pncc_transform import PNCCTransform
from mion_plugin.rendering.rasterizer import Fragments, rasterize
from mion_plugin.rendering.shading import composite, shade, vertex_normals

__all__ = [
    "Fragments",
    "PNCCRenderer",
    "PNCCTransform",
    "composite",
    "face_map",
    "interpolate",
    "normalized_coordinate_code",
    "rasterize",
    "shade",
    "silhouette",
    "vertex_label_map",
    "vertex_normals",
]
