"""Leeds Sports Pose (Johnson and Everingham, BMVC 2010) and its extended training set (CVPR 2011): 2D keypoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mion_plugin.conversion.archives import fields, load_mat
from mion_plugin.conversion.people import People, person_box
from mion_plugin.files.presence import require_file

_NUM_IMAGES, _NUM_TRAIN = 2000, 1000  # of LSP: the first half is the training set


def convert_lsp(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert LSP's training or test images; all joints are annotated, hidden ones too.

    As mmhuman3d's converter, which however leaves out images with a joint outside, and tells the split from the number
    of files in the folder.

    Args:
        archive: ``lsp_dataset_original`` (for training, as SPIN) or ``lsp_dataset``: ``joints.mat`` and ``images``.
        split: ``train`` or ``test``.
        progress: Called with the number of images done and of all.

    Raises:
        FileNotFoundError, ValueError: ``joints.mat`` is missing, or is not LSP's.
    """
    people = People("lsp", keypoints2d="lsp")
    path = archive / "joints.mat"
    (joints,) = fields(load_mat(path, "joints"), path, joints=(3, 14, -1))
    first, last = (0, _NUM_TRAIN) if split == "train" else (_NUM_TRAIN, _NUM_IMAGES)
    for index in range(first, min(last, joints.shape[2])):
        _add(people, f"images/im{index + 1:04d}.jpg", joints[:2, :, index].T, np.ones(14))
        progress(index + 1 - first, last - first)
    return people


def convert_lspet(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert LSPET, in high resolution (HR-LSPET, ``im00001.png`` beside ``joints.mat``) or as first published.

    In the first archive the third column marks the joints that were annotated; the others hold no position. In HR-LSPET
    all count, as in SPIN and mmhuman3d, but those outside the image do not (mmhuman3d leaves out such images).

    Args:
        archive: ``hr-lspet``, or ``lspet_dataset`` with its folder ``images``.
        split: ``train``.
        progress: Called with the number of images done and of all.

    Raises:
        FileNotFoundError, ValueError: ``joints.mat`` or an image is missing, or is not LSPET's.
    """
    people = People("hr-lspet", keypoints2d="lsp")
    path = archive / "joints.mat"
    joints = load_mat(path, "joints")["joints"]
    if joints.ndim != 3 or joints.shape[:2] != (14, 3):
        raise ValueError(f"{path}: joints has shape {joints.shape}, expected (14, 3, N)")
    high_resolution = sorted(archive.glob("im*.png"))
    names = [image.name for image in high_resolution] or [
        f"images/im{index + 1:05d}.jpg" for index in range(joints.shape[2])
    ]
    if len(names) != joints.shape[2]:
        raise ValueError(f"{archive} has {len(names)} images and joints.mat {joints.shape[2]} people: incomplete")
    for index, name in enumerate(names):
        points = joints[:, :2, index].astype(np.float64)
        annotated = _inside(archive / name, points) if high_resolution else joints[:, 2, index] == 1
        _add(people, name, points, annotated & np.isfinite(points).all(axis=1))
        progress(index + 1, len(names))
    return people


def _inside(image: Path, points: np.ndarray) -> np.ndarray:
    with Image.open(require_file(image)) as opened:  # reads the header alone
        size = opened.size
    return ((points >= 0) & (points <= size)).all(axis=1)


def _add(people: People, name: str, points: np.ndarray, confidence: np.ndarray) -> None:
    keypoints2d = np.column_stack([points, confidence])
    keypoints2d[keypoints2d[:, 2] == 0] = 0
    box = person_box(keypoints2d)
    if box is None:
        people.skip("people with fewer than two annotated joints")
    else:
        people.add(name, box, keypoints2d)
