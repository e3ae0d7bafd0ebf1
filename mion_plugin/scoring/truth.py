"""True bodies in a file, and how far hypotheses are from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.evaluation.errors import evaluation_joints, mpjpe, pa_mpjpe
from mion_plugin.files.npz import read_npz
from mion_plugin.scoring.hypotheses import check_hypotheses
from mion_plugin.scoring.placing import pose_bodies

JOINTS = "h36m"  # the joints that errors are measured on come from Human3.6M's regressor
ERRORS = {"MPJPE": mpjpe, "PA-MPJPE": pa_mpjpe}
_KIND = "ground truth"
_PER_BODY = ("pose", "betas", "vertices")
_NO_IMAGE = (1, 1)  # of bodies without a camera the photograph's size is not asked for


@dataclass(frozen=True)
class Truth:
    """The true joints of P people.

    Attributes:
        source: The file.
        image_name: P names of photographs, or None: all are in the only one.
        person: (P,) which of a photograph's people, or None: each is alone.
        joints: (P, 17, 3) metres, in the order ``h36m``.
    """

    source: Path
    image_name: tuple[str, ...] | None
    person: np.ndarray | None
    joints: Tensor

    def row_of(self, rows: list[int], person: int) -> int | None:
        """Which of a photograph's rows is a person; None where none is.

        Raises:
            ValueError: The file does not tell which of several.
        """
        if self.person is not None:
            return next((row for row in rows if int(self.person[row]) == person), None)
        if len(rows) > 1:
            raise ValueError(f"{self.source} has {len(rows)} people of one photograph, and no person that numbers them")
        return rows[0] if rows else None


def read_truth(path: str | os.PathLike[str], body: SMPLBody) -> Truth:
    """Read a file of true bodies, one for each person.

    It has the keys of a file of bodies (``hypotheses.py``) without the dimension N: ``image_name``, ``person``, and
    ``pose`` (P, 24, 3) with ``betas``, or ``vertices`` (P, 6890, 3); or ``keypoints3d`` (P, 17, 3), metres in the order
    of mmhuman3d's ``h36m``. Bodies are turned as those that are scored: in the same camera's frame.

    Args:
        path: An ``.npz`` file.
        body: What they are bodies of.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It cannot be read, or has another layout.
    """
    path = Path(path)
    arrays = read_npz(path, _KIND, only=("image_name", "person", "keypoints3d", *_PER_BODY))
    joints = arrays.pop("keypoints3d", None)
    if joints is not None:
        return _of_joints(arrays, joints, path)
    found = check_hypotheses(
        {name: value[:, None] if name in _PER_BODY and value.ndim else value for name, value in arrays.items()}, path
    )
    posed = [pose_bodies(found, row, body, (JOINTS,), _NO_IMAGE) for row in range(len(found))]
    return Truth(path, found.image_name, found.person, torch.cat([one.keypoints[JOINTS] for one in posed]))


def true_errors(joints: Tensor, truth: Tensor) -> dict[str, np.ndarray]:
    """Name of an error -> (N,) millimetres, of joints (N, 17, 3) against true ones (17, 3), both ``h36m``."""
    predicted, target = evaluation_joints(joints), evaluation_joints(truth)[None]
    return {name: measure(predicted, target).numpy() for name, measure in ERRORS.items()}


def _of_joints(arrays: Mapping[str, np.ndarray], joints: np.ndarray, path: Path) -> Truth:
    if any(name in arrays for name in _PER_BODY):
        raise ValueError(f"{path}: keypoints3d and bodies are two truths; give one")
    if joints.ndim != 3 or joints.shape[1:] != (17, 3) or joints.dtype.kind != "f" or not np.isfinite(joints).all():
        raise ValueError(f"{path}: keypoints3d is {joints.dtype} {joints.shape}, expected finite numbers (P, 17, 3)")
    for name in ("image_name", "person"):
        if name in arrays and arrays[name].shape != joints.shape[:1]:
            raise ValueError(f"{path}: {name} has shape {arrays[name].shape}, expected {joints.shape[:1]}")
    names, person = arrays.get("image_name"), arrays.get("person")
    if person is not None and person.dtype.kind not in "iu":
        raise ValueError(f"{path}: person is {person.dtype}, expected integers from 0")
    if names is not None and names.dtype.kind != "U":
        raise ValueError(f"{path}: image_name is {names.dtype}, expected text")
    return Truth(path, None if names is None else tuple(map(str, names)), person, torch.from_numpy(joints).double())
