"""MPII Human Pose (Andriluka et al., CVPR 2014): 2D keypoints, from the annotations of the official archive.

mmhuman3d's converter wants ``train.h5``, which is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.conversion.archives import load_mat, safe_relative
from mion_plugin.conversion.people import People

ANNOTATIONS = "mpii_human_pose_v1_u12_1.mat"
_NUM_JOINTS = 16
# the crop of mmpose and of train.h5: lower and larger than the annotated one, for the feet
_HEIGHT, _DOWN, _LARGER = 200.0, 15.0, 1.25


def convert_mpii(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert the training images: the people with all 16 joints annotated, as SPIN and mmhuman3d.

    Args:
        archive: Holds ``images`` and the annotations, in itself or in ``mpii_human_pose_v1_u12_2``.
        split: ``train``.
        progress: Called with the number of images done and of all.

    Raises:
        FileNotFoundError, ValueError: The annotations are missing, or are not MPII's.
    """
    people = People("mpii", keypoints2d="mpii")
    path = archive / ANNOTATIONS
    if not path.is_file() and (archive / "mpii_human_pose_v1_u12_2" / ANNOTATIONS).is_file():
        path = archive / "mpii_human_pose_v1_u12_2" / ANNOTATIONS
    release = load_mat(path, "RELEASE", squeeze_me=True, struct_as_record=False)["RELEASE"]
    try:
        images, in_training = np.atleast_1d(release.annolist), np.atleast_1d(release.img_train)
        for index, image in enumerate(images):
            if in_training[index]:
                name = f"images/{safe_relative(str(image.image.name), path)}"
                for person in _people(image):
                    _add(people, name, person)
            progress(index + 1, len(images))
    except (AttributeError, IndexError, TypeError) as error:
        raise ValueError(f"{path} is not MPII's: {error}") from None
    return people


def _people(image: Any) -> Iterator[Any]:
    """The people of an image that have joints; MATLAB writes one struct, many, or an empty array."""
    for person in np.atleast_1d(getattr(image, "annorect", [])):
        if hasattr(getattr(person, "annopoints", None), "point"):
            yield person


def _add(people: People, name: str, person: Any) -> None:
    keypoints2d = np.zeros((_NUM_JOINTS, 3))
    for point in np.atleast_1d(person.annopoints.point):
        if not 0 <= int(point.id) < _NUM_JOINTS:
            raise ValueError(f"{name}: joint number {point.id}, expected 0 to {_NUM_JOINTS - 1}")
        keypoints2d[int(point.id)] = point.x, point.y, 1.0
    if not keypoints2d[:, 2].all():
        people.skip("people with a joint not annotated")
        return
    if np.size(getattr(person, "scale", ())) != 1 or not hasattr(getattr(person, "objpos", None), "x"):
        people.skip("people without scale or position")
        return
    scale = float(person.scale)
    centre = np.array([person.objpos.x, person.objpos.y + _DOWN * scale], dtype=np.float64)
    size = np.full(2, _HEIGHT * _LARGER * scale)
    people.add(name, np.concatenate([centre - size / 2, size]), keypoints2d)
