"""3DPW (von Marcard et al., ECCV 2018): SMPL from IMUs and a moving camera.

mmhuman3d's converter does not run with numpy 1.24 and later (``np.bool``), and unpickles without care.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.conversion.archives import (
    camera_rotations,
    chosen_rows,
    fields,
    load_pickle,
    require_files,
    safe_relative,
)
from mion_plugin.conversion.people import People, person_box


def convert_pw3d(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert one split: every person of every frame whose camera is known (``campose_valid``), as SPIN.

    2D keypoints are the file's, OpenPose's 18; ``smpl`` is of the person's gender, in the camera's frame, without the
    translation, which depends on the body model.

    Args:
        archive: Holds ``sequenceFiles/SPLIT/*.pkl`` and ``imageFiles``.
        split: ``train``, ``validation`` or ``test``.
        progress: Called with the number of sequences done and of all.

    Raises:
        FileNotFoundError, ValueError, UnsafePickleError: Files are missing, or are not 3DPW's.
    """
    people = People("pw3d", keypoints2d="pw3d")
    paths = require_files(archive / "sequenceFiles" / split, "*.pkl")
    for done, path in enumerate(paths, start=1):
        sequence = load_pickle(path)
        try:
            count = len(sequence["poses"])
        except (KeyError, TypeError):
            raise ValueError(f"{path} lacks poses") from None
        for person in range(count):
            _add_track(people, _read_track(sequence, person, path))
        progress(done, len(paths))
    return people


@dataclass(frozen=True, eq=False)
class _Track:
    """One person in the V frames of a sequence whose camera is known.

    Attributes:
        name: The sequence's.
        gender: m or f.
        frames: (V,) their indices.
        orientations: V global orientations, camera axes.
        poses: (V, 72) axis-angle; the first three in the world.
        keypoints: (V, 18, 3) pixels, confidence.
        betas: (10,).
        intrinsics: (3, 3).
    """

    name: str
    gender: str
    frames: np.ndarray
    orientations: Rotation
    poses: np.ndarray
    keypoints: np.ndarray
    betas: np.ndarray
    intrinsics: np.ndarray


def _read_track(sequence: dict[str, Any], person: int, path: Path) -> _Track:
    keys = ("poses", "poses2d", "betas", "campose_valid", "genders")
    try:
        values = {key: sequence[key][person] for key in keys}
        gender = str(values.pop("genders"))
        values |= {key: sequence[key] for key in ("cam_poses", "cam_intrinsics")}
        name = safe_relative(str(sequence["sequence"]), path)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{path} lacks {error} of person {person}") from None
    betas, valid, intrinsics = fields(values, path, betas=(-1,), campose_valid=(-1,), cam_intrinsics=(3, 3))
    if len(betas) < 10:
        raise ValueError(f"{path}: person {person} has {len(betas)} betas, expected 10")
    known = valid.astype(bool)  # what stands in the other frames does not matter
    poses = chosen_rows(values, "poses", known, (72,), path)
    keypoints = chosen_rows(values, "poses2d", known, (3, 18), path)
    turned, _ = camera_rotations(values, "cam_poses", known, path)
    return _Track(
        name=name,
        gender=gender,
        frames=np.flatnonzero(known),
        orientations=turned * Rotation.from_rotvec(poses[:, :3]),
        poses=poses,
        keypoints=keypoints.swapaxes(1, 2),
        betas=betas[:10],
        intrinsics=intrinsics,
    )


def _add_track(people: People, track: _Track) -> None:
    for row, frame in enumerate(track.frames):
        keypoints = track.keypoints[row]
        box = person_box(keypoints)
        if box is None:
            people.skip("people without keypoints in a frame")
            continue
        people.add(
            image_path=f"imageFiles/{track.name}/image_{frame:05d}.jpg",
            box=box,
            keypoints2d=keypoints,
            smpl={
                "global_orient": track.orientations[row].as_rotvec(),
                "body_pose": track.poses[row, 3:],
                "betas": track.betas,
            },
            gender=track.gender,
            intrinsics=track.intrinsics,
        )
