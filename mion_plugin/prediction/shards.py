"""The files of a run: ``.npz`` shards of people's parameters, written whole or not at all, and their reader."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.files.npz import read_npz, write_npz
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.image_camera import PinholeCamera, equivalent_camera, fit_to_camera
from mion_plugin.inference.results import PersonBodies
from mion_plugin.prediction.problems import Problem

KIND = "shard of predictions"
_FORMAT = 1  # of the files
_FIXED = ("format", "crop_camera", "num_photographs", "problem_kind", "problem_image", "problem_why")


@dataclass(frozen=True)
class Predictions:
    """P people with N bodies each. Lengths in metres; pixels have their centres at integer + 0.5.

    The bodies are in the frame of each person's crop camera: x right, y down, z into the scene.
    ``crop_camera_in_image`` projects them to pixels of the photograph; ``bodies`` gives everything that
    ``MIONInferencer`` does.

    Attributes:
        image_name: (P,) photograph, as the folder, list or annotation file calls it; of a tar ``TAR/MEMBER``.
        person: (P,) which of its people, from 0.
        keypoints2d: (P, 17, 3) COCO keypoints as given or detected: pixels of the photograph, and confidence.
        crop: (P, 3) the crop's middle x, y and its side, pixels of the photograph.
        image_camera: (P, 3) the photograph's camera: focal length and principal point x, y, pixels.
        pose: (P, N, 24, 3) axis-angle in radians, index 0 the global orientation.
        betas: (P, N, 10).
        transl: (P, N, 3).
        selected: (P,) the path that is the answer.
        crop_camera: (3,) focal length in pixels of the crop, principal point x, and side of the crop in pixels as the
            network sees it.
        fit_loss: (P, N) as of ``PersonBodies``, and so the following ones; None from a model that gives none.
        fit_cost: (P, N).
        scores: (P, N).
        selection_scores: (P, N).
        expected_error: (P, N) millimetres.
        rule: By which the chosen path was chosen, as of ``PersonBodies``; None also of files that do not tell.
        score_unit: Likewise.
    """

    image_name: np.ndarray
    person: np.ndarray
    keypoints2d: np.ndarray
    crop: np.ndarray
    image_camera: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    selected: np.ndarray
    crop_camera: np.ndarray
    fit_loss: np.ndarray | None = None
    fit_cost: np.ndarray | None = None
    scores: np.ndarray | None = None
    selection_scores: np.ndarray | None = None
    expected_error: np.ndarray | None = None
    rule: str | None = None
    score_unit: float | None = None

    def __len__(self) -> int:
        return len(self.person)

    def only_selected(self) -> Predictions:
        """The same people with one path, the chosen one: N is 1."""
        rows, columns = np.arange(len(self)), self.selected
        kept = {
            name: getattr(self, name)[rows, columns][:, None] for name in _PER_PATH if getattr(self, name) is not None
        }
        return dataclasses.replace(self, selected=np.zeros_like(self.selected), **kept)

    def camera_of_crop(self) -> PinholeCamera:
        """The crop's camera."""
        focal_length, middle, _ = self.crop_camera.tolist()
        return PinholeCamera(focal_length, (middle, middle))

    def crop_camera_in_image(self, row: int) -> PinholeCamera:
        """The camera that projects a person's bodies to pixels of the photograph, exactly."""
        return equivalent_camera(self._place(row), float(self.crop_camera[0]), float(self.crop_camera[2]))

    def bodies(self, row: int, body: SMPLBody) -> PersonBodies:
        """Everything that ``MIONInferencer`` gives of a person, vertices included, made again from the parameters.

        Args:
            row: Which person.
            body: The body model of the run.
        """
        pose = rotvec_to_rotmat(torch.from_numpy(self.pose[row]))
        betas, transl = (torch.from_numpy(values[row]) for values in (self.betas, self.transl))
        with torch.no_grad():
            vertices = body.cpu()(pose, betas, transl).vertices
        focal_length, x, y = self.image_camera[row].tolist()
        in_image, target = self.crop_camera_in_image(row), PinholeCamera(focal_length, (x, y))
        image_transl, image_error = fit_to_camera(vertices, transl, in_image, target)
        measured = {name: getattr(self, name) for name in _OPTIONAL}
        return PersonBodies(
            image_name=str(self.image_name[row]),
            person=int(self.person[row]),
            valid=True,
            selected=int(self.selected[row]),
            keypoints2d=self.keypoints2d[row].astype(np.float64),
            crop=self._place(row),
            image_size=int(self.crop_camera[2]),
            pose=pose.numpy(),
            betas=self.betas[row],
            transl=self.transl[row],
            vertices=vertices.numpy(),
            crop_camera=self.camera_of_crop(),
            crop_camera_in_image=in_image,
            image_camera=target,
            image_transl=image_transl.float().numpy(),
            image_error=image_error.float().numpy(),
            rule=self.rule,
            score_unit=self.score_unit,
            num_people=int((self.image_name == self.image_name[row]).sum()),
            gender=body.gender,
            **{name: None if values is None else values[row] for name, values in measured.items()},
        )

    def _place(self, row: int) -> CropPlace:
        return CropPlace(self.crop[row, :2], float(self.crop[row, 2]))


_OF_ALL = ("crop_camera", "rule", "score_unit")  # what the people of a file have in common
_FIELDS = tuple(field.name for field in dataclasses.fields(Predictions) if field.name not in _OF_ALL)
_OPTIONAL = ("fit_loss", "fit_cost", "scores", "selection_scores", "expected_error")
_PER_PATH = ("pose", "betas", "transl", *_OPTIONAL)
_SHAPES = {"keypoints2d": (17, 3), "crop": (3,), "image_camera": (3,), "image_name": (), "person": (), "selected": ()}
_PATH_SHAPES = {"pose": (NUM_JOINTS, 3), "betas": (NUM_BETAS,), "transl": (3,), **dict.fromkeys(_OPTIONAL, ())}


def write_shard(
    path: Path,
    records: Sequence[Mapping[str, np.ndarray]],
    camera: CropCamera,
    num_photographs: int,
    problems: Sequence[Problem],
    rule: str | None = None,
    score_unit: float | None = None,
) -> None:
    """Write what was found in a piece, whole or not at all; the same bytes for the same findings.

    Args:
        path: The file.
        records: Of batches of people; see ``collect_records``.
        camera: The crop's.
        num_photographs: In the piece.
        problems: What was left out.
        rule: See ``Predictions``, and so the following.
        score_unit: None is not written.
    """
    joined = {name: np.concatenate([one[name] for one in records]) for name in (records[0] if records else ())}
    told = {
        "format": np.array(_FORMAT),
        "crop_camera": np.array([camera.focal_length, camera.principal_point[0], camera.image_size], dtype=np.float64),
        "num_photographs": np.array(num_photographs),
        "problem_kind": np.array([problem.kind for problem in problems], dtype=np.str_),
        "problem_image": np.array([problem.image_name for problem in problems], dtype=np.str_),
        "problem_why": np.array([problem.why for problem in problems], dtype=np.str_),
    }
    choice = {"rule": rule, "score_unit": score_unit}
    told |= {name: np.array(value) for name, value in choice.items() if value is not None}
    write_npz(path, {**told, **joined})


def read_shard(path: str | os.PathLike[str]) -> Predictions | None:
    """The people of a shard; None where nobody was found in any of its photographs.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a shard, or a damaged one.
    """
    arrays = read_npz(path, KIND)
    _check(arrays, path)
    if "person" not in arrays:
        return None
    for name in _FIELDS:
        if name not in arrays and name not in _OPTIONAL:
            raise ValueError(f"{path} is no {KIND}: it has no {name}")
    choice = {name: arrays[name].item() for name in ("rule", "score_unit") if name in arrays}
    people = Predictions(**{name: arrays[name] for name in (*_FIELDS, "crop_camera") if name in arrays}, **choice)
    _check_shapes(people, path)
    return people


def read_problems(path: str | os.PathLike[str]) -> tuple[int, int, list[Problem]]:
    """How many photographs and people a shard tells of, and what was left out; errors as ``read_shard``."""
    arrays = read_npz(path, KIND, only=(*_FIXED, "person"))
    _check(arrays, path)
    columns = [arrays[name] for name in ("problem_kind", "problem_image", "problem_why")]
    if arrays["num_photographs"].shape != () or any(one.shape != columns[0].shape or one.ndim != 1 for one in columns):
        raise ValueError(f"{path} is no {KIND}: its counts or its problems have other shapes")
    problems = [Problem(*row) for row in zip(*(one.tolist() for one in columns), strict=True)]
    return int(arrays["num_photographs"]), len(arrays.get("person", ())), problems


def read_predictions(folder: str | os.PathLike[str]) -> Iterator[Predictions]:
    """The people of a finished run, shard by shard, in order of the shards' names.

    Raises:
        FileNotFoundError: No shard is in the folder.
        ValueError: A shard cannot be read.
    """
    paths = sorted(path for path in Path(folder).glob("*.npz") if not path.name.startswith("."))
    if not paths:
        raise FileNotFoundError(f"folder {folder} holds no {KIND} (.npz)")
    for path in paths:
        people = read_shard(path)
        if people is not None:
            yield people


def _check(arrays: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    missing = [name for name in _FIXED if name not in arrays]
    if missing:
        raise ValueError(f"{path} is no {KIND}: it has no {missing[0]}")
    for name, kind in (("rule", "U"), ("score_unit", "f")):
        if name in arrays and (arrays[name].shape != () or arrays[name].dtype.kind != kind):
            raise ValueError(f"{path}: {name} is {arrays[name].dtype} of shape {arrays[name].shape}")
    if arrays["format"].shape != () or arrays["format"] != _FORMAT:
        raise ValueError(f"{path} is a {KIND} of format {arrays['format'].tolist()}, expected {_FORMAT}")


def _check_shapes(people: Predictions, path: str | os.PathLike[str]) -> None:
    leading = people.pose.shape[:2]
    expected = {name: (*leading[:1], *shape) for name, shape in _SHAPES.items()}
    expected |= {name: (*leading, *shape) for name, shape in _PATH_SHAPES.items()}
    for name, shape in expected.items():
        value = getattr(people, name)
        if value is not None and value.shape != shape:
            raise ValueError(f"{path}: {name} has shape {value.shape}, expected {shape}")
