"""Building candidate pools from motion capture: readers, retargeting to SMPL, clustering."""

from mion_plugin.asset_building.pool.build import PoolRecipe, build_pool
from mion_plugin.asset_building.pool.clustering import PoseSelection, select_poses
from mion_plugin.asset_building.pool.motion import Motion, PoseSequence
from mion_plugin.asset_building.pool.orientations import cluster_orientations, cover_orientations, load_orientations
from mion_plugin.asset_building.pool.rest_pose import RestPose, find_rest_pose
from mion_plugin.asset_building.pool.retarget import retarget
from mion_plugin.asset_building.pool.sources import Collection, read_sources

__all__ = [
    "Collection",
    "Motion",
    "PoolRecipe",
    "PoseSelection",
    "PoseSequence",
    "RestPose",
    "build_pool",
    "cluster_orientations",
    "cover_orientations",
    "find_rest_pose",
    "load_orientations",
    "read_sources",
    "retarget",
    "select_poses",
]
