"""BEDLAM (Black et al., CVPR 2023): synthetic people in rendered scenes, with SMPL.

The layout is that of ``data_processing/ReadMe.md`` in the authors' repository pixelite1201/BEDLAM: an ``.npz`` for each
scene, as its ``df_full_body_smpl.py`` writes them. That the body stands at ``trans_cam`` plus the last column of
``cam_ext``, and that it is the neutral one, is from its training code (``dataset.py``, ``hmr_trainer_smpl.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from mion_plugin.conversion.archives import fields, require_file, require_files, safe_relative
from mion_plugin.conversion.frames import turn_images
from mion_plugin.conversion.people import People
from mion_plugin.files import RestrictedUnpickler
from mion_plugin.files.npz import read_npz

_ARRAYS = ("imgname", "center", "scale", "pose_cam", "shape", "trans_cam", "cam_int", "cam_ext", "gtkps")
_SIDE = 200.0  # pixels of a box of scale 1
_CLOSE_UP = "closeup"  # in the name of scenes that were rendered lying on their side
_LYING = "people of close-up scenes, whose pictures lie on their side; --turn-images writes them upright"
_UPRIGHT = "png_upright"


def convert_bedlam(
    archive: Path,
    split: str,
    *,
    turn: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> People:
    """Convert all scenes that there are labels of.

    2D keypoints are SMPL's 24 joints, also where they are hidden or outside the picture. ``smpl`` is of the neutral
    body, in the camera's frame, with the translation. Boxes are the archive's.

    Args:
        archive: Holds ``labels/SCENE.npz`` and ``images/SCENE/png/seq_000000/seq_000000_0000.png``.
        split: ``train``.
        turn: Write the pictures of close-up scenes upright, into ``images/SCENE/png_upright``.
        progress: Called with the number of scenes done and of all.

    Raises:
        FileNotFoundError, ValueError, UnsafePickleError: Files are missing, or are not BEDLAM's for SMPL.
    """
    people = People("bedlam", keypoints2d="smpl")
    paths = require_files(archive / "labels", "*.npz")
    for done, path in enumerate(paths, start=1):
        _add_scene(people, path, archive, turn)
        progress(done, len(paths))
    return people


def _add_scene(people: People, path: Path, archive: Path, turn: bool) -> None:
    arrays = read_npz(path, "file of BEDLAM's labels", only=_ARRAYS, read_objects=_read_objects)
    missing = [key for key in _ARRAYS if key not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    joints = np.shape(arrays["pose_cam"])[-1] // 3
    if joints != 24:
        raise ValueError(
            f"{path} holds poses of {joints} joints, expected SMPL's 24: BEDLAM's df_full_body_smpl.py writes those, "
            "df_full_body.py and the labels that can be downloaded are SMPL-X's"
        )
    arrays["gtkps"] = np.asarray(arrays["gtkps"])[:, :24, :2] if np.ndim(arrays["gtkps"]) == 3 else arrays["gtkps"]
    arrays["shape"] = np.asarray(arrays["shape"])[:, :10] if np.ndim(arrays["shape"]) == 2 else arrays["shape"]
    centre, scale, pose, betas, transl, intrinsics, extrinsics, keypoints = fields(
        arrays,
        path,
        center=(-1, 2),
        scale=(-1,),
        pose_cam=(-1, 72),
        shape=(-1, 10),
        trans_cam=(-1, 3),
        cam_int=(-1, 3, 3),
        cam_ext=(-1, 4, 4),
        gtkps=(-1, 24, 2),
    )
    names = [safe_relative(str(name), path) for name in np.ravel(arrays["imgname"])]
    if len({len(rows) for rows in (names, centre, scale, pose, betas, transl, intrinsics, extrinsics, keypoints)}) > 1:
        raise ValueError(f"{path}: its arrays have different numbers of people")
    folder = _pictures(archive / "images" / path.stem, names, turn)
    transl = transl + extrinsics[:, :3, 3]
    for row, name in enumerate(names):
        if folder is None:
            people.skip(_LYING)
        elif scale[row] <= 0:
            people.skip("people without a box")
        else:
            side = _SIDE * scale[row]
            upright = folder.name == _UPRIGHT
            picture = folder / (Path(name).with_suffix(".jpg") if upright else name)
            people.add(
                image_path=picture.relative_to(archive).as_posix(),
                box=np.array([*(centre[row] - side / 2), side, side]),
                keypoints2d=np.column_stack([keypoints[row], np.ones(24)]),
                smpl={
                    "global_orient": pose[row, :3],
                    "body_pose": pose[row, 3:],
                    "betas": betas[row],
                    "transl": transl[row],
                },
                gender="n",
                intrinsics=intrinsics[row],
            )


def _pictures(scene: Path, names: list[str], turn: bool) -> Path | None:
    """The folder of a scene's upright pictures; None where they lie on their side.

    The labels of close-up scenes are those of the pictures turned clockwise by 90 degrees.
    """
    if _CLOSE_UP not in scene.name or not names:
        return scene / "png"
    upright = scene / _UPRIGHT
    if upright.is_dir():
        return upright
    if _is_upright(require_file(scene / "png" / names[0])):
        return scene / "png"  # the user has turned them
    if not turn:
        return None
    turn_images(scene / "png", upright, sorted(set(names)))
    return upright


def _is_upright(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.height >= image.width
    except OSError as error:
        raise ValueError(f"{path} is not a readable picture: {error}") from None


def _read_objects(file: IO[bytes]) -> Any:
    return RestrictedUnpickler(file).load()  # type: ignore[arg-type]  # typeshed's IO is none
