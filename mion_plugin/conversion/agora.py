"""AGORA (Patel et al., CVPR 2021): scans of dressed people in rendered scenes, with SMPL fitted to them.

Layout and geometry are those of the authors' repository pixelite1201/agora_evaluation: the columns of
``docs/gt_dataframe.md``, the cameras by the picture's name and the order of rotations of ``projection.py``, and, as its
``get_joints_verts_from_dataframe.py`` poses everybody, the neutral body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.conversion.archives import fields, require_files, safe_relative
from mion_plugin.conversion.people import People, person_box
from mion_plugin.files.pickled_tables import load_table, load_tensors

_SENSOR = np.array([36.0, 20.25])  # mm
_SIZES = {"_1280x720": (1280, 720), "": (3840, 2160)}  # what pictures' names end in -> their size, smaller ones first
_ANNOTATED_WIDTH = 3840  # of the pictures that gt_joints_2d are in
_COLUMNS = ("imgPath", "X", "Y", "Z", "Yaw", "camX", "camY", "camZ", "camYaw", "kid", "isValid", "gt_path_smpl")
_JOINTS = ("gt_joints_2d", "gt_joints_3d")
_MAX_MISMATCH = 2.0  # px at full size between gt_joints_2d and where the camera sees gt_joints_3d
_FARTHEST_PELVIS = 0.6  # metres of SMPL's pelvis at rest from its origin; the mean body's is at 0.22
_TO_CAMERA_AXES = np.diag([1.0, -1.0, -1.0])  # SMPL's y up to OpenCV's y down


@dataclass(frozen=True)
class _Camera:
    """One of AGORA's cameras.

    Attributes:
        focal_length: mm.
        position: (3,) metres, in OpenCV's axes (x right, y down, z ahead).
        yaw: Degrees.
        pitch: Degrees.
    """

    focal_length: float
    position: np.ndarray
    yaw: float
    pitch: float

    @property
    def rotation(self) -> Rotation:
        """World to camera."""
        return Rotation.from_euler("x", self.pitch, degrees=True) * Rotation.from_euler("y", -self.yaw, degrees=True)

    def intrinsics(self, width: int, height: int) -> np.ndarray:
        """(3, 3) for pictures of a size."""
        focal = self.focal_length / _SENSOR * (width, height)
        return np.array([[focal[0], 0, width / 2], [0, focal[1], height / 2], [0, 0, 1]])


def convert_agora(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert one split: everybody of whom a tenth is seen (``isValid``), without the children.

    2D and 3D keypoints are SMPL's 24 joints, 3D in metres in the camera's frame, not relative to the root. ``smpl`` is
    of the neutral body, in the camera's frame, with the translation: where the pelvis is at rest follows from
    ``gt_joints_3d``. Children are fitted with a body between SMPL's and an infant's, which is not SMPL's.

    Args:
        archive: Holds ``validation_SMPL/**/*.pkl`` (the camera dataframes with SMPL joints and vertices), the fits
            under the paths that these name, and the pictures anywhere in ``images``, of 1280 x 720 or 3840 x 2160.
        split: ``train`` or ``validation``; the labels of the test set are not handed out.
        progress: Called with the number of dataframes done and of all.

    Raises:
        FileNotFoundError, ValueError, UnsafePickleError: Files are missing, or are not AGORA's.
    """
    people = People("agora", keypoints2d="smpl", keypoints3d="smpl")
    pictures = {path.name: path.relative_to(archive).as_posix() for path in sorted((archive / "images").rglob("*.png"))}
    paths = require_files(archive / f"{split}_SMPL", "**/*.pkl")
    for done, path in enumerate(paths, start=1):
        table = load_table(path)
        missing = [column for column in (*_COLUMNS, *_JOINTS) if column not in table]
        if missing:
            hint = "; take the camera dataframes with SMPL joints and vertices" if set(missing) & set(_JOINTS) else ""
            raise ValueError(f"{path} lacks the columns {', '.join(missing)}{hint}")
        for row in range(len(table["imgPath"])):
            _add_picture(people, {name: table[name][row] for name in (*_COLUMNS, *_JOINTS)}, path, archive, pictures)
        progress(done, len(paths))
    return people


def _add_picture(people: People, row: Mapping[str, Any], path: Path, archive: Path, pictures: dict[str, str]) -> None:
    name = safe_relative(str(row["imgPath"]), path)
    image, size = _picture(name, pictures)
    camera = _camera(name, row, path)
    try:
        everybody = [
            {key: row[key][person] for key in (*_JOINTS, "X", "Y", "Z", "Yaw", "kid", "isValid", "gt_path_smpl")}
            for person in range(len(row["isValid"]))
        ]
    except (IndexError, TypeError):
        raise ValueError(f"{path}: the columns of {name} hold different numbers of people") from None
    for person in everybody:
        if not person["isValid"]:
            people.skip("people who are hidden by more than 90 %")
        elif person["kid"]:
            people.skip("children, whose body is not SMPL's")
        else:
            _add_person(people, person, camera, image, size, path, archive)


def _picture(name: str, pictures: dict[str, str]) -> tuple[str, tuple[int, int]]:
    """The picture's path in the archive and its size; the smaller one if there are both, or none."""
    stem = Path(name).name.removesuffix(".png").removesuffix("_1280x720")
    for ending, size in _SIZES.items():
        if f"{stem}{ending}.png" in pictures:
            return pictures[f"{stem}{ending}.png"], size
    return f"images/{stem}_1280x720.png", _SIZES["_1280x720"]


def _camera(name: str, row: Mapping[str, Any], path: Path) -> _Camera:
    """The camera of a picture: by its name, and by the columns where the name tells none."""
    fixed = {  # focal length, position, yaw, pitch
        "hdri": (50, (0, 0, 170), 0.0, 0),
        "cam00": (18, (400, -275, 265), 135.0, 30),
        "cam01": (18, (400, 225, 265), -135.0, 30),
        "cam02": (18, (-490, 170, 265), -45.0, 30),
        "cam03": (18, (-490, -275, 265), 45.0, 30),
        "ag2": (28, (0, 0, 170), 0.0, 15),
    }
    for word, (focal_length, position, yaw, pitch) in fixed.items():
        if word in name:
            return _Camera(focal_length, _from_unreal(*position), yaw, pitch)
    x, y, z, yaw = (float(value) for value in fields(row, path, camX=(), camY=(), camZ=(), camYaw=()))
    return _Camera(28, _from_unreal(x, y, z) - [0, 1.7, 0], yaw, 0)


def _from_unreal(x: float, y: float, z: float) -> np.ndarray:
    """Unreal's centimetres (x ahead, y right, z up) as metres in OpenCV's axes."""
    return np.array([y, -z, x]) / 100


def _add_person(
    people: People,
    person: Mapping[str, Any],
    camera: _Camera,
    image: str,
    size: tuple[int, int],
    path: Path,
    archive: Path,
) -> None:
    joints = {key: np.asarray(person[key])[:24] if np.ndim(person[key]) == 2 else person[key] for key in _JOINTS}
    keypoints2d, points = fields(joints, path, gt_joints_2d=(24, 2), gt_joints_3d=(24, 3))
    x, y, z, yaw = (float(value) for value in fields(person, path, X=(), Y=(), Z=(), Yaw=()))
    fit = archive / Path(safe_relative(str(person["gt_path_smpl"]), path)).with_suffix(".pkl")
    orient, body_pose, betas, transl = _read_fit(fit)
    # scans look along Unreal's x, SMPL's bodies along z
    turned = camera.rotation * Rotation.from_euler("y", yaw - 90, degrees=True) * Rotation.from_matrix(_TO_CAMERA_AXES)
    shift = camera.rotation.apply(_from_unreal(x, y, z) - camera.position)
    rest = turned.inv().apply(points[0] - shift) - transl
    if not _agree(points, keypoints2d, camera):
        people.skip("people whose gt_joints_2d are not where the camera sees gt_joints_3d")
    elif np.linalg.norm(rest) > _FARTHEST_PELVIS:
        people.skip("people whose fit is not where their joints are")
    else:
        keypoints2d = np.column_stack([keypoints2d * (size[0] / _ANNOTATED_WIDTH), np.ones(24)])
        box = person_box(keypoints2d)
        if box is None:
            raise ValueError(f"{path}: all joints of a person in {image} are in one point")
        people.add(
            image_path=image,
            box=box,
            keypoints2d=keypoints2d,
            keypoints3d=np.column_stack([points, np.ones(24)]),
            smpl={
                "global_orient": (turned * Rotation.from_rotvec(orient)).as_rotvec(),
                "body_pose": body_pose,
                "betas": betas,
                "transl": points[0] - rest,
            },
            gender="n",
            intrinsics=camera.intrinsics(*size),
        )


def _read_fit(path: Path) -> list[np.ndarray]:
    """SMPL's global_orient (3,), body_pose (69,), betas (10,) and transl (3,), in the scan's own frame."""
    content = load_tensors(path)
    for former, name in (("root_pose", "global_orient"), ("translation", "transl")):
        if former in content:
            content[name] = content[former]
    flat = {name: np.ravel(values) for name, values in content.items()}
    flat["betas"] = flat.get("betas", np.zeros(0))[:10]
    return fields(flat, path, global_orient=(3,), body_pose=(69,), betas=(10,), transl=(3,))


def _agree(points: np.ndarray, keypoints2d: np.ndarray, camera: _Camera) -> bool:
    """Whether camera-frame points (24, 3) project on keypoints (24, 2) of the full size."""
    if (points[:, 2] <= 0).any():
        return False
    projected = points @ camera.intrinsics(*_SIZES[""]).T
    return bool(np.abs(projected[:, :2] / projected[:, 2:] - keypoints2d).max() < _MAX_MISMATCH)
