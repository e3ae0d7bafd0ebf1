"""What is found about one person, and the files it is written to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.files import atomic_path
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.image_camera import PinholeCamera
from mion_plugin.inference.meshes import save_mesh

_ARRAYS = ("pose", "betas", "transl", "vertices", "image_transl", "fit_loss", "scores", "selection_scores")


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
        selected: The path that is the answer.
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
            from a model that gives none.
        scores: (N,) of the consistency network, lowest is best; or None without one.
        selection_scores: (N,) what the choice went by, lowest won; or None from a model that has but one rule.
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
    scores: np.ndarray | None = None
    selection_scores: np.ndarray | None = None

    @property
    def reprojection_rms(self) -> np.ndarray | None:
        """(N,) distance of each body's keypoints from the given ones, root mean square in pixels of the crop."""
        if self.fit_loss is None:
            return None
        return np.sqrt(self.fit_loss / max(self.keypoints2d[:, 2].sum(), 1e-6))

    def describe(self) -> dict[str, Any]:
        """The numbers, ready for JSON; what is infinite or absent is null."""
        paths = []
        for n in range(len(self.transl)):
            apart = np.linalg.norm(self._centred(n) - self._centred(self.selected), axis=-1).mean()
            paths.append(
                {
                    "score": _number(self.scores, n, 5),
                    "selection_score": _number(self.selection_scores, n, 5),
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
            "valid": self.valid,
            "selected": self.selected,
            "keypoints2d": self.keypoints2d.tolist(),
            "crop": {"center": self.crop.center.tolist(), "side": self.crop.side},
            "image_size": self.image_size,
            **{
                name: {"focal_length": camera.focal_length, "principal_point": list(camera.principal_point)}
                for name, camera in self._cameras().items()
            },
            "paths": paths,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything measured per path, and ``selected``, ``keypoints2d`` and the cameras, for an ``.npz`` file.

        A camera is (3,): focal length and principal point.
        """
        found = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        cameras = {
            name: np.array([camera.focal_length, *camera.principal_point]) for name, camera in self._cameras().items()
        }
        return {**found, "selected": np.array(self.selected), "keypoints2d": self.keypoints2d, **cameras}

    def _cameras(self) -> dict[str, PinholeCamera]:
        return {name: getattr(self, name) for name in ("crop_camera", "crop_camera_in_image", "image_camera")}

    def _centred(self, path: int) -> np.ndarray:
        return self.vertices[path] - self.vertices[path].mean(axis=0)


def save_person(
    person: PersonBodies, stem: str | os.PathLike[str], faces: np.ndarray | None = None, mesh_format: str | None = None
) -> list[Path]:
    """Write ``STEM.json`` (``describe``), ``STEM.npz`` (``arrays``) and, on request, the chosen body's mesh.

    Args:
        person: What was found.
        stem: Path without ending.
        faces: (F, 3), for the mesh.
        mesh_format: One of ``meshes.FORMATS``, or None for no mesh. The mesh is written without translation.

    Returns:
        The files written.
    """
    stem = Path(stem)
    files = [stem.with_name(f"{stem.name}.{ending}") for ending in ("json", "npz")]
    with atomic_path(files[0]) as temporary:
        temporary.write_text(json.dumps(person.describe(), indent=1))
    with atomic_path(files[1]) as temporary:
        np.savez_compressed(temporary, **person.arrays())
    if mesh_format is not None:
        if faces is None:
            raise ValueError("faces is None, expected (F, 3): a mesh is to be written")
        files.append(stem.with_name(f"{stem.name}.{mesh_format}"))
        save_mesh(files[-1], person.vertices[person.selected] - person.transl[person.selected], faces)
    return files


def _number(values: np.ndarray | None, index: int, digits: int) -> float | None:
    if values is None or not np.isfinite(values[index]):
        return None
    return round(float(values[index]), digits)
