"""The numbers of a SMPL-layout body model, whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_VERTICES = 6890
NUM_FACES = 13776
NUM_JOINTS = 24
NUM_BETAS = 10
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
NUM_POSE_FEATURES = 207  # 23 joints x 9 entries of (R - I)
_LARGEST = 1e5  # metres, weights and numbers of vertices stay far below


@dataclass(frozen=True)
class BodyArrays:
    """A body model as plain arrays: float32, metres, SMPL axes (x to the body's left, y up, z forward).

    Attributes:
        name: Where the model came from; used in messages.
        v_template: (6890, 3) vertices of the mean shape in rest pose.
        shapedirs: (6890, 3, 10) vertex displacement per unit of each beta.
        posedirs: (6890, 3, 207) vertex displacement per entry of R - I of joints 1..23.
        J_regressor: (24, 6890) joints from rest-pose vertices.
        weights: (6890, 24) skinning weights, rows sum to 1.
        faces: (13776, 3) int64 vertex indices, counter-clockwise seen from outside.
        parents: (24,) int64 parent of each joint, -1 for the root.
        regressor_h36m: (17, 6890) Human3.6M joints from posed vertices in mmhuman3d's ``h36m`` order, or None.
        regressor_extra: (9, 6890) the joints 45..53 of mmhuman3d's ``smpl_54`` from posed vertices, or None.
    """

    name: str
    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    parents: np.ndarray
    regressor_h36m: np.ndarray | None = None
    regressor_extra: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check every shape; raises ValueError naming the model, the array and what was expected."""
        expected = {
            "v_template": (NUM_VERTICES, 3),
            "shapedirs": (NUM_VERTICES, 3, NUM_BETAS),
            "posedirs": (NUM_VERTICES, 3, NUM_POSE_FEATURES),
            "J_regressor": (NUM_JOINTS, NUM_VERTICES),
            "weights": (NUM_VERTICES, NUM_JOINTS),
            "faces": (NUM_FACES, 3),
            "parents": (NUM_JOINTS,),
            "regressor_h36m": (17, NUM_VERTICES),
            "regressor_extra": (9, NUM_VERTICES),
        }
        for field, shape in expected.items():
            array = getattr(self, field)
            if array is None and field.startswith("regressor_"):
                continue
            if array.shape != shape:
                raise ValueError(f"{self.name}: {field} has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{self.name}: {field} holds NaN or infinite values")
            if array.dtype.kind == "f" and np.abs(array).max() > _LARGEST:
                raise ValueError(f"{self.name}: {field} holds numbers up to {np.abs(array).max():g}: of no body")
        self._check_references()

    def _check_references(self) -> None:
        """Numbers of vertices and joints must be of some, and joints come after their parents."""
        if self.faces.min() < 0 or self.faces.max() >= NUM_VERTICES:
            raise ValueError(f"{self.name}: faces name vertex {self.faces.max()}, expected 0 to {NUM_VERTICES - 1}")
        after = np.arange(1, NUM_JOINTS)
        if self.parents[0] != -1 or not ((self.parents[1:] >= 0) & (self.parents[1:] < after)).all():
            raise ValueError(
                f"{self.name}: parents are {self.parents.tolist()}, expected a joint before each but the root"
            )
        if not np.allclose(self.weights.sum(axis=1), 1.0, atol=1e-3):
            raise ValueError(f"{self.name}: weights do not sum to 1 for each vertex")
