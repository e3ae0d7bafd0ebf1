"""BEDLAM (Black et al., CVPR 2023): synthetic people in rendered scenes, with SMPL.

An ``.npz`` of labels for each scene: those of ``all_npz_12_smpl_training.zip``, as ``df_full_body_smpl.py`` in the
authors' repository pixelite1201/BEDLAM writes them, or of ``bedlam-labels-smpl.zip``, which pixelite1201/CameraHMR
fetches. That the body stands at ``trans_cam`` plus the last column of ``cam_ext``, and that it is the neutral one, is
from the training code of both (``dataset.py``, ``hmr_trainer_smpl.py``; ``dataset_train.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mion_plugin.conversion.archives import fields, require_files, safe_relative
from mion_plugin.conversion.frames import turn_images
from mion_plugin.conversion.people import People
from mion_plugin.files import read_objects
from mion_plugin.files.npz import read_npz
from mion_plugin.files.presence import require_file
from mion_plugin.geometry.keypoints import keypoint_names

_ARRAYS = ("imgname", "center", "scale", "pose_cam", "shape", "trans_cam", "cam_int", "cam_ext", "gtkps")
_SIDE = 200.0  # pixels of a box of scale 1
_LYING = "people of close-up scenes, whose pictures lie on their side; --turn-images writes them upright"
_UPRIGHT = "png_upright"
_WITHOUT_IMAGES = (
    "scenes without a folder images/SCENE"  # not downloaded; or AGORA's labels, which come with the others
)
_NUM_OPENPOSE = 44  # of 4D-Humans' keypoints: OpenPose's 25, and 19 regressed from the vertices


def convert_bedlam(
    archive: Path,
    split: str,
    *,
    turn: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> People:
    """Convert all scenes that there are labels and images of.

    2D keypoints are SMPL's 24 joints, also where they are hidden or outside the picture; labels with 44 keypoints have
    14 of them. ``smpl`` is of the neutral body, in the camera's frame, with the translation. Boxes are the archive's.

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
        if (archive / "images" / path.stem).is_dir():
            _add_scene(people, path, archive, turn)
        else:
            people.skip(_WITHOUT_IMAGES)
        progress(done, len(paths))
    return people


def _add_scene(people: People, path: Path, archive: Path, turn: bool) -> None:
    arrays = read_npz(path, "file of BEDLAM's labels", only=_ARRAYS, read_objects=read_objects)
    missing = [key for key in _ARRAYS if key not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    poses = np.asarray(arrays["pose_cam"])
    arrays["pose_cam"] = poses = poses.reshape(len(poses), -1) if poses.ndim == 3 else poses  # CameraHMR takes both
    joints = poses.shape[-1] // 3 if poses.ndim else 0
    if joints != 24:
        raise ValueError(
            f"{path} holds poses of {joints} joints, expected SMPL's 24: all_npz_12_training.zip is SMPL-X's, take "
            "all_npz_12_smpl_training.zip or bedlam-labels-smpl.zip, from the same place (docs/data.md, BEDLAM)"
        )
    arrays["shape"] = np.asarray(arrays["shape"])[:, :10] if np.ndim(arrays["shape"]) == 2 else arrays["shape"]
    keypoints = _smpl_joints(arrays["gtkps"], path)
    centre, scale, pose, betas, transl, intrinsics, extrinsics = fields(
        arrays,
        path,
        center=(-1, 2),
        scale=(-1,),
        pose_cam=(-1, 72),
        shape=(-1, 10),
        trans_cam=(-1, 3),
        cam_int=(-1, 3, 3),
        cam_ext=(-1, 4, 4),
    )
    names = [safe_relative(str(name), path) for name in np.ravel(arrays["imgname"])]
    if len({len(rows) for rows in (names, centre, scale, pose, betas, transl, intrinsics, extrinsics, keypoints)}) > 1:
        raise ValueError(f"{path}: its arrays have different numbers of people")
    labelled = _is_upright(*intrinsics[0, :2, 2]) if len(intrinsics) else False
    folder = _pictures(archive / "images" / path.stem, names, labelled, turn)
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
                keypoints2d=keypoints[row],
                smpl={
                    "global_orient": pose[row, :3],
                    "body_pose": pose[row, 3:],
                    "betas": betas[row],
                    "transl": transl[row],
                },
                gender="n",
                intrinsics=intrinsics[row],
            )


def _smpl_joints(keypoints: np.ndarray, path: Path) -> np.ndarray:
    """(N, 24, 3) pixels and confidence from a file's ``gtkps``.

    smplx's order begins with SMPL's joints (45 of them, or 24). 44 are those of 4D-Humans, whose first 25 are named
    after OpenPose's; the limbs, the neck and the pelvis among them are SMPL's joints.
    """
    shape = np.shape(keypoints)
    if len(shape) != 3 or shape[1] not in (24, 45, _NUM_OPENPOSE):
        raise ValueError(f"{path}: gtkps has shape {shape}, expected 24, 44 or 45 keypoints a person")
    (pixels,) = fields({"gtkps": np.asarray(keypoints)[..., :2]}, path, gtkps=(-1, shape[1], 2))
    smpl = keypoint_names("smpl")
    order = keypoint_names("openpose_25" if shape[1] == _NUM_OPENPOSE else "smpl")
    seen = np.asarray(keypoints)[..., 2] > 0 if shape[2] > 2 else np.ones(shape[:2])  # CameraHMR's confidence, else 1
    joints = np.zeros((len(pixels), len(smpl), 3))
    for index, name in enumerate(order):
        joint = name.removesuffix("_openpose")
        if joint in smpl:
            joints[:, smpl.index(joint), :2] = pixels[:, index]
            joints[:, smpl.index(joint), 2] = seen[:, index]
    return joints


def _pictures(scene: Path, names: list[str], labelled: bool, turn: bool) -> Path | None:
    """The folder of a scene's pictures as the labels see them; None where they lie on their side.

    The labels of close-up scenes are those of the pictures turned clockwise by 90 degrees. They are told by the camera:
    one scene (``staticzoomed-suburba-frameocc`` in the authors' list) has ``closeup`` in its folder's name alone.

    Args:
        scene: The folder.
        names: Of the pictures in it.
        labelled: Whether the labels are those of upright pictures.
        turn: See ``convert_bedlam``.
    """
    if not labelled or not names:
        return scene / "png"
    upright = scene / _UPRIGHT
    if upright.is_dir():
        return upright
    if _is_upright(*_size(require_file(scene / "png" / names[0]))):
        return scene / "png"  # the user has turned them
    if not turn:
        return None
    turn_images(scene / "png", upright, sorted(set(names)))
    return upright


def _is_upright(width: float, height: float) -> bool:
    return height >= width


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise ValueError(f"{path} is not a readable picture: {error}") from None
