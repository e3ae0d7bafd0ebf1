"""UP-3D (Lassner et al., CVPR 2017): SMPL fitted to photographs, the fits approved by people.

The fit ``NNNNN_body.pkl`` belongs to a crop of the photograph ``NNNNN_image.png`` that was scaled: its camera has the
focal length ``f`` and the middle of that crop as principal point, and ``NNNNN_fit_crop_info.txt`` (height and width of
the crop; first and last row and column in the photograph) leads back to the photograph, as in the authors'
``pose/tools/create_dataset.py``. mmhuman3d's converter leaves camera and translation out, and unpickles without care.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mion_plugin.conversion.archives import fields, load_pickle
from mion_plugin.conversion.people import People, person_box
from mion_plugin.files.npz import read_npy
from mion_plugin.files.presence import require_file
from mion_plugin.files.text_files import read_text

_LINE = re.compile(r"/?(\d{5})_image\.png")  # of train.txt and so on


def convert_up3d(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert one split.

    2D keypoints are the 14 annotated joints, in pixels of the photograph. ``smpl`` is of the neutral body, with the
    translation, in the camera whose intrinsics each row has.

    Args:
        archive: ``up-3d``, which holds ``train.txt``, ``00000_image.png``, ``00000_body.pkl``, ...
        split: ``train``, ``val``, ``trainval`` or ``test``.
        progress: Called with the number of people done and of all.

    Raises:
        FileNotFoundError, ValueError, UnsafePickleError: Files are missing, or are not UP-3D's.
    """
    people = People("up3d", keypoints2d="lsp")
    names = _read_names(archive / f"{split}.txt")
    for done, name in enumerate(names, start=1):
        keypoints2d = _read_keypoints(archive / f"{name}_joints.npy")
        box = person_box(keypoints2d)
        if box is None:
            people.skip("people with fewer than two annotated joints")
        else:
            smpl, intrinsics = _read_fit(archive, name)
            people.add(f"{name}_image.png", box, keypoints2d, smpl=smpl, gender="n", intrinsics=intrinsics)
        progress(done, len(names))
    return people


def _read_names(path: Path) -> list[str]:
    """The five-digit names of the photographs of a split."""
    names = []
    for line in read_text(require_file(path)).splitlines():
        if line.strip():
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise ValueError(f"{path} has the line {line!r}, expected the form /00000_image.png")
            names.append(match[1])
    return names


def _read_keypoints(path: Path) -> np.ndarray:
    """(14, 3) pixels and confidence; a joint at or beyond the upper left edge is absent, as in the authors' code."""
    joints = read_npy(path, "array")
    if joints.shape not in ((2, 14), (3, 14)) or joints.dtype.kind not in "fiu":
        raise ValueError(
            f"{path} is {joints.dtype} {joints.shape}, expected numbers (3, 14): x, y, confidence of 14 joints"
        )
    joints = joints.astype(np.float64)
    present = (joints[:2] > 0).all(axis=0)  # also false for NaN
    confidence = joints[2] * present if len(joints) == 3 else present.astype(np.float64)
    return np.where(present[:, None], np.column_stack([joints[:2].T, confidence]), 0.0)


def _read_fit(archive: Path, name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """SMPL parameters in the camera's frame, and the intrinsics (3, 3) for pixels of the photograph."""
    path = archive / f"{name}_body.pkl"
    pose, betas, transl, rotation, shift, focal = fields(
        load_pickle(path), path, pose=(72,), betas=(10,), trans=(3,), rt=(3,), t=(3,), f=()
    )
    if np.abs(rotation).max() > 1e-6:
        raise ValueError(f"{path}: its camera is turned by {rotation.tolist()}; the data set's are not")
    scale, corner, size = _read_crop(archive / f"{name}_fit_crop_info.txt")
    centre = size / 2 / scale + corner
    intrinsics = np.array([[focal / scale, 0, centre[0]], [0, focal / scale, centre[1]], [0, 0, 1]])
    smpl = {"global_orient": pose[:3], "body_pose": pose[3:], "betas": betas, "transl": transl + shift}
    return smpl, intrinsics


def _read_crop(path: Path) -> tuple[float, np.ndarray, np.ndarray]:
    """Crop pixels per pixel of the photograph, the crop's corner in the photograph (x, y), its size (x, y)."""
    words = read_text(require_file(path)).split()
    try:
        height, width, top, bottom, left, right = (int(word) for word in words[:6])
        scale = (height / (bottom - top) + width / (right - left)) / 2
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{path} holds {' '.join(words)!r}, expected height width top bottom left right") from None
    if scale <= 0:
        raise ValueError(f"{path} tells a crop of scale {scale:g}, expected a positive one")
    return scale, np.array([left, top], dtype=np.float64), np.array([width, height], dtype=np.float64)
