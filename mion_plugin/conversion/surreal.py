"""SURREAL (Varol et al., CVPR 2017): synthetic people in rendered videos.

Geometry, from the generator's published code (``main_part1.py``, ``misc/smpl_relations``) and checked on the clip that
its repository holds (joints3D projects on joints2D within rounding; every bone of joints3D is that of the posed body):

- The body stands in the world by Rx(90°) Rz(zrot) R(pose[0:3]).
- The camera's matrix has determinant -1: **all pictures are mirror images**. What an annotation calls a left hand is a
  right hand in the picture. So poses and joints are mirrored here: body_pose has its sides exchanged and axes 1 and 2
  negated, and with the mirror M along x the camera-frame orientation is C Rx(90°) Rz(zrot) R(pose[0:3]) M, a rotation.
- gender: 0 female, 1 male (the data's README and ``smpl_relations``; a comment in the generator has it reversed).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.body.mirroring import MIRRORED_JOINTS, mirror_poses
from mion_plugin.conversion.archives import fields, load_mat, require_files
from mion_plugin.conversion.frames import extract_frames
from mion_plugin.conversion.people import People, person_box

INTRINSICS = np.array([[600.0, 0, 160], [0, 600, 120], [0, 0, 1]])  # 60 mm lens, 32 mm sensor, 320 x 240 pixels
WORLD_TO_CAMERA = np.array([[0.0, 0, -1], [0, 1, 0], [-1, 0, 0]])  # determinant -1
_UPRIGHT = Rotation.from_euler("x", 90, degrees=True)
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_GENDERS = ("f", "m")
_MAX_MISMATCH = 2.0  # px between joints2D, which is rounded, and the projection of joints3D


def convert_surreal(
    archive: Path,
    split: str,
    *,
    frame_step: int = 10,
    extract: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> People:
    """Convert one run of one split.

    2D and 3D keypoints are SMPL's 24 joints, also where they are hidden or outside the picture; 3D in metres in the
    camera's frame, not relative to the root. ``smpl`` has no translation: it depends on the body model; the pelvis of
    ``keypoints3d`` is where the body's goes.

    Args:
        archive: ``SURREAL/data/cmu``, which holds ``train/run0/SEQUENCE/SEQUENCE_c0001_info.mat`` and ``.mp4``.
        split: e.g. ``train_run0``.
        frame_step: Take every so many frames of a clip; at 30 frames a second neighbours hardly differ.
        extract: Write the frames to ``train/run0/SEQUENCE/images_CLIP[_everyN]/frame_000000.jpg``.
        progress: Called with the number of clips done and of all.

    Raises:
        FileNotFoundError, ValueError: Files are missing, or are not SURREAL's.
    """
    if frame_step < 1:
        raise ValueError(f"frame_step {frame_step}, expected at least 1")
    people = People("surreal", keypoints2d="smpl", keypoints3d="smpl")
    folder = archive.joinpath(*split.split("_"))
    annotations = require_files(folder, "*/*_info.mat")
    for done, annotation in enumerate(annotations, start=1):
        clip = annotation.name.removesuffix("_info.mat")
        images = annotation.parent / (f"images_{clip}" + (f"_every{frame_step}" if frame_step > 1 else ""))
        if extract:
            extract_frames(
                annotation.with_name(f"{clip}.mp4"),
                images,
                lambda index: _frame_name(index) if index % frame_step == 0 else None,
            )
        _add_clip(people, annotation, images.relative_to(archive).as_posix(), frame_step)
        progress(done, len(annotations))
    return people


def _frame_name(index: int) -> str:
    return f"frame_{index:06d}.jpg"


def _add_clip(people: People, path: Path, images: str, frame_step: int) -> None:
    keys = ("joints2D", "joints3D", "pose", "shape", "zrot", "gender", "camLoc")
    joints2d, joints3d, pose, shape, zrot, gender, location = fields(
        load_mat(path, *keys),
        path,
        joints2D=(2, 24, -1),  # a clip of one frame lacks the last axis
        joints3D=(3, 24, -1),
        pose=(72, -1),
        shape=(10, -1),
        zrot=(-1,),
        gender=(-1,),
        camLoc=(3,),
    )
    if len({values.shape[-1] for values in (joints2d, joints3d, pose, shape, zrot, gender)}) > 1:
        raise ValueError(f"{path}: its variables have different numbers of frames")
    if not np.isin(gender, (0, 1)).all():
        raise ValueError(f"{path}: gender {gender[0]:g}, expected 0 (female) or 1 (male)")
    for frame in range(0, len(zrot), frame_step):
        points = (joints3d[..., frame].T - location) @ WORLD_TO_CAMERA.T
        keypoints2d = joints2d[..., frame].T
        if not _agree(points, keypoints2d):
            people.skip("frames whose joints2D are not where the camera sees joints3D")
            continue
        keypoints2d = np.column_stack([keypoints2d, np.ones(24)])[MIRRORED_JOINTS]
        box = person_box(keypoints2d)
        if box is None:
            people.skip("frames with all joints in one point")
            continue
        people.add(
            image_path=f"{images}/{_frame_name(frame)}",
            box=box,
            keypoints2d=keypoints2d,
            keypoints3d=np.column_stack([points, np.ones(24)])[MIRRORED_JOINTS],
            smpl={**_mirrored_pose(pose[:, frame].reshape(24, 3), zrot[frame]), "betas": shape[:, frame]},
            gender=_GENDERS[int(gender[frame])],
            intrinsics=INTRINSICS,
        )


def _agree(points: np.ndarray, keypoints2d: np.ndarray) -> bool:
    """Whether camera-frame points (24, 3) project on keypoints (24, 2)."""
    if (points[:, 2] <= 0).any():
        return False
    projected = points @ INTRINSICS.T
    return bool(np.abs(projected[:, :2] / projected[:, 2:] - keypoints2d).max() < _MAX_MISMATCH)


def _mirrored_pose(pose: np.ndarray, zrot: float) -> dict[str, np.ndarray]:
    """The pose (24, 3) of the body as the picture shows it, in the camera's frame."""
    in_world = _UPRIGHT * Rotation.from_euler("z", zrot) * Rotation.from_rotvec(pose[0])
    orientation = WORLD_TO_CAMERA @ in_world.as_matrix() @ _MIRROR
    return {
        "global_orient": Rotation.from_matrix(orientation).as_rotvec(),
        "body_pose": mirror_poses(pose[1:]),
    }
