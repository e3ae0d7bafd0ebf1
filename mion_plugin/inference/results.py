"""What is found about one person, and the files it is written to."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch

from mion_plugin.constants import NEUTRAL
from mion_plugin.files import atomic_path
from mion_plugin.files.npz import write_npz
from mion_plugin.geometry.keypoints import as_written
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.guessed_joints import JOINT_NAMES, guessed_joints
from mion_plugin.inference.image_camera import PinholeCamera
from mion_plugin.inference.meshes import save_mesh

_ARRAYS = (
    *("pose", "betas", "transl", "vertices", "image_transl"),
    *("fit_loss", "fit_cost", "scores", "selection_scores", "expected_error"),
)


@dataclass(frozen=True)
class PersonBodies:
    """The N bodies found for one person of a photograph. Arrays are float32; lengths in metres.

    Two frames, both with x right, y down, z into the scene:

    - the crop camera's, in which the network works: ``pose``, ``transl``, ``vertices``. ``crop_camera`` projects them
      to pixels of the crop, ``crop_camera_in_image`` the very same points to pixels of the image, exactly.
    - that of ``image_camera``, one for all people of a photograph: ``vertices - transl + image_transl``, which looks
      almost the same; see ``image_camera.py``. ``image_error`` tells how nearly.

    Attributes:
        image_name: The photograph.
        person: Which of its people, from 0.
        valid: False where the keypoints determined no candidate, so that the bodies mean nothing.
        selected: The path that is the answer. It is the path as it ended; the others, where the model gives
            alternatives (``mion.MION``), are moved away from where theirs did. ``selection_scores`` and
            ``fit_cost`` are of the paths before.
        keypoints2d: (17, 3) COCO keypoints as given: pixels of the image, and confidence.
        crop: Where the crop lies in the image.
        image_size: Pixels, side of the crop as the network sees it.
        pose: (N, 24, 3, 3) rotation matrices, index 0 the global orientation.
        betas: (N, 10).
        transl: (N, 3).
        vertices: (N, V, 3), translation included.
        crop_camera: Of the crop at ``image_size``.
        crop_camera_in_image: Its equivalent in the image.
        image_camera: Of the image.
        image_transl: (N, 3).
        image_error: (N,) root mean square distance, in pixels of the image, between the vertices' projections by the
            two cameras.
        fit_loss: (N,) squared pixels of the crop, weighted by confidence and summed, infinite if not ``valid``; or None
            from a model that gives none. By the keypoints that the stages have read: a model with ``correct_keypoints``
            moves those given to where it sees them.
        fit_cost: (N,) of the fit onto the keypoints, lowest is best; or None without one.
        scores: (N,) of stage 3 in body heights, lowest is best; or None without one.
        selection_scores: (N,) what the choice went by, lowest won; or None from a model that has but one rule.
        expected_error: (N,) MPJPE in millimetres that a calibrated ``mion.DepthConsistency`` expects; or None.
        rule: The rule of choice, ``selection`` of ``mion.MION``; or None from a model that has but one.
        num_people: How many people of the photograph have bodies; None where nobody counted.
        gender: Of the body model of ``betas`` and ``vertices``. Scores are of the neutral bodies that were found first.
        score_unit: Millimetres of expected error that 1 in ``scores`` and ``selection_scores`` means; None where
            stage 3 is not calibrated, or the rule goes by something else.
    """

    image_name: str
    person: int
    valid: bool
    selected: int
    keypoints2d: np.ndarray
    crop: CropPlace
    image_size: int
    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    vertices: np.ndarray
    crop_camera: PinholeCamera
    crop_camera_in_image: PinholeCamera
    image_camera: PinholeCamera
    image_transl: np.ndarray
    image_error: np.ndarray
    fit_loss: np.ndarray | None = None
    fit_cost: np.ndarray | None = None
    scores: np.ndarray | None = None
    selection_scores: np.ndarray | None = None
    expected_error: np.ndarray | None = None
    rule: str | None = None
    score_unit: float | None = None
    num_people: int | None = None
    gender: str = NEUTRAL

    @property
    def score(self) -> np.ndarray | None:
        """(N,) what the choice went by, the lowest won: millimetres where there is a ``score_unit``.

        None where nothing was measured: of the rule ``first``, and of a model with but one path.
        """
        if self.rule == "first":
            return None
        by = self.selection_scores if self.selection_scores is not None else self.scores
        return None if by is None else by * (1.0 if self.score_unit is None else self.score_unit)

    @property
    def joints_guessed(self) -> np.ndarray:
        """(24,) bool, which of SMPL's joints no keypoint in the photograph tells of; see ``guessed_joints``."""
        x, y = self.image_camera.principal_point  # the photograph's middle
        return guessed_joints(self.keypoints2d, (2.0 * x, 2.0 * y))

    def score_text(self, path: int) -> str:
        """A path's score, to be read: ``104 mm``, or a plain number where it has no unit."""
        if self.score is None:
            return ""
        return f"{self.score[path]:.0f} mm" if self.score_unit is not None else f"{self.score[path]:.3f}"

    @property
    def reason(self) -> str:
        """Why the chosen path was chosen, in a line."""
        name = f"path {self.selected + 1} is chosen"
        if self.score is None:
            return f"{name}: its candidate is nearest to the 2D keypoints" if self.rule == "first" else name
        others = [path for path in self.ranked_paths if path != self.selected]
        parts = ""
        if self.score_unit is not None and self.rule == "cen+reprojection" and self.expected_error is not None:
            seen = float(self.expected_error[self.selected])
            parts = f" = {seen:.0f} by the picture + {self.score[self.selected] - seen:.0f} by the 2D keypoints"
        told = f"{name}: lowest score, {self.score_text(self.selected)}{parts}"
        if not others:
            return f"{name}: it is the only one"
        second = self.score_text(others[0])
        behind = "hardly behind" if second == self.score_text(self.selected) else f"with {second}"
        return f"{told}; next is path {others[0] + 1} {behind}"

    @property
    def reprojection_rms(self) -> np.ndarray | None:
        """(N,) distance of each body's keypoints from those of ``fit_loss``, root mean square in pixels of the crop."""
        if self.fit_loss is None:
            return None
        return np.sqrt(self.fit_loss / max(self.keypoints2d[:, 2].sum(), 1e-6))

    @property
    def ranked_paths(self) -> list[int]:
        """The paths, the chosen one first, then the others by what the choice went by, best first."""
        by = self.selection_scores if self.selection_scores is not None else self.scores
        order = range(len(self.transl)) if by is None else np.argsort(by, kind="stable").tolist()
        return [self.selected, *(path for path in order if path != self.selected)]

    def describe(self) -> dict[str, Any]:
        """The numbers, ready for JSON; what is infinite or absent is null.

        Of each path, ``score`` is what the choice went by, in millimetres where ``score_unit`` says so, and ``cen``
        what stage 3 alone gave. ``joints_guessed`` are names of SMPL's joints.
        """
        paths = []
        for n in range(len(self.transl)):
            apart = np.linalg.norm(self._centred(n) - self._centred(self.selected), axis=-1).mean()
            paths.append(
                {
                    "score": _number(self.score, n, 5),
                    "cen": _number(self.scores, n, 5),
                    "selection_score": _number(self.selection_scores, n, 5),
                    "expected_error_mm": _number(self.expected_error, n, 1),
                    "fit_loss": _number(self.fit_loss, n, 2),
                    "reprojection_rms_px": _number(self.reprojection_rms, n, 2),
                    "distance_to_selected_mm": round(1000.0 * float(apart), 1),
                    "betas": self.betas[n].tolist(),
                    "transl": self.transl[n].tolist(),
                    "image_transl": self.image_transl[n].tolist(),
                    "image_error_px": _number(self.image_error, n, 2),
                }
            )
        return {
            "image": self.image_name,
            "person": self.person,
            "num_people": self.num_people,
            "gender": self.gender,
            "valid": self.valid,
            "selected": self.selected,
            "rule": self.rule,
            "reason": self.reason,
            "score_unit": None if self.score_unit is None else "mm",
            "keypoints2d": self.keypoints2d.tolist(),
            "joints_guessed": self._names_guessed(),
            **self._describe_cameras(),
            "paths": paths,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything measured per path, ``selected``, ``keypoints2d``, ``joints_guessed`` (24,) and the cameras.

        ``pose`` comes twice: as matrices, and as ``global_orient`` (N, 3) and ``body_pose`` (N, 69), axis-angle in
        radians, which ``smplx`` takes. For an ``.npz`` file. A camera is (3,): focal length and principal point.
        """
        found = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        axis_angle = self.axis_angle()
        found.update(global_orient=axis_angle[:, 0], body_pose=axis_angle[:, 1:].reshape(len(axis_angle), -1))
        cameras = {
            name: np.array([camera.focal_length, *camera.principal_point]) for name, camera in self._cameras().items()
        }
        known = {"keypoints2d": self.keypoints2d, "joints_guessed": self.joints_guessed}
        return {**found, "selected": np.array(self.selected), **known, **cameras}

    def axis_angle(self) -> np.ndarray:
        """``pose`` as axis-angle (N, 24, 3), radians."""
        return roma.rotmat_to_rotvec(torch.from_numpy(self.pose)).numpy()

    def only_selected(self) -> PersonBodies:
        """The same person with one path, the chosen one."""
        chosen = slice(self.selected, self.selected + 1)
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, "image_error")}
        kept: dict[str, Any] = {name: None if value is None else value[chosen] for name, value in arrays.items()}
        return dataclasses.replace(self, selected=0, **kept)

    def describe_selected(self) -> dict[str, Any]:
        """The chosen body and its cameras, ready for a line of JSON; what is infinite or absent is null.

        ``global_orient`` (3) and ``body_pose`` (69) are axis-angle in radians; everything else as in ``describe``.
        """
        n, pose = self.selected, self.axis_angle()[self.selected]
        return {
            "person": self.person,
            "valid": self.valid,
            "gender": self.gender,
            "rule": self.rule,
            "score": _number(self.score, n, 5),
            "score_unit": None if self.score_unit is None else "mm",
            "cen": _number(self.scores, n, 5),
            "expected_error_mm": _number(self.expected_error, n, 1),
            "reprojection_rms_px": _number(self.reprojection_rms, n, 2),
            "global_orient": _rounded(pose[0]),
            "body_pose": _rounded(pose[1:].ravel()),
            "betas": _rounded(self.betas[n]),
            "transl": _rounded(self.transl[n]),
            "image_transl": _rounded(self.image_transl[n]),
            "image_error_px": _number(self.image_error, n, 2),
            "keypoints2d": as_written(self.keypoints2d).tolist(),
            "joints_guessed": self._names_guessed(),
            **self._describe_cameras(),
        }

    def _names_guessed(self) -> list[str]:
        return [name for name, guessed in zip(JOINT_NAMES, self.joints_guessed, strict=True) if guessed]

    def _describe_cameras(self) -> dict[str, Any]:
        """The crop and the cameras, ready for JSON."""
        return {
            "crop": {"center": self.crop.center.tolist(), "side": self.crop.side},
            "image_size": self.image_size,
            **{
                name: {"focal_length": camera.focal_length, "principal_point": list(camera.principal_point)}
                for name, camera in self._cameras().items()
            },
        }

    def _cameras(self) -> dict[str, PinholeCamera]:
        return {name: getattr(self, name) for name in ("crop_camera", "crop_camera_in_image", "image_camera")}

    def _centred(self, path: int) -> np.ndarray:
        return self.vertices[path] - self.vertices[path].mean(axis=0)


def save_person(
    person: PersonBodies,
    stem: str | os.PathLike[str],
    faces: np.ndarray | None = None,
    mesh_format: str | Sequence[str] | None = None,
) -> list[Path]:
    """Write ``STEM.json`` (``describe``), ``STEM.npz`` (``arrays``, ``gender``) and, if wanted, the chosen body's mesh.

    Args:
        person: What was found.
        stem: Path without ending.
        faces: (F, 3), for the mesh.
        mesh_format: One of ``meshes.FORMATS`` or several, or None for no mesh. The mesh is written without translation.

    Returns:
        The files written.
    """
    stem = Path(stem)
    files = [stem.with_name(f"{stem.name}.{ending}") for ending in ("json", "npz")]
    with atomic_path(files[0]) as temporary:
        temporary.write_text(json.dumps(person.describe(), indent=1))
    write_npz(files[1], {**person.arrays(), "gender": np.array(person.gender)})
    for ending in [mesh_format] if isinstance(mesh_format, str) else mesh_format or ():
        if faces is None:
            raise ValueError("faces is None, expected (F, 3): a mesh is to be written")
        files.append(stem.with_name(f"{stem.name}.{ending}"))
        save_mesh(files[-1], person.vertices[person.selected] - person.transl[person.selected], faces)
    return files


def _rounded(values: np.ndarray) -> list[float | None]:
    """To a hundredth of a millimetre, or 1e-5 radians or pixels; what is infinite is null."""
    return [round(float(value), 5) if np.isfinite(value) else None for value in values]


def _number(values: np.ndarray | None, index: int, digits: int) -> float | None:
    if values is None or not np.isfinite(values[index]):
        return None
    return round(float(values[index]), digits)
