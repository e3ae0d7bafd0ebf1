"""EMDB (Kaufmann et al., ICCV 2023): SMPL from electromagnetic sensors and a hand-held camera.

The layout is that of ``dataset.md`` in the authors' repository eth-ait/emdb; that ``trans`` is SMPL's translation in
the world and the extrinsics lead from the world to the camera, of its ``visualize.py`` and ``evaluation_metrics.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.conversion.archives import camera_rotations, chosen_rows, fields, load_pickle, require_files
from mion_plugin.conversion.people import BOX_SCALE, People
from mion_plugin.geometry.boxes import scale_boxes

_MAX_MISMATCH = 2.0  # px between the pelvis of kp2d and where the camera sees the body's
_LEAST_SPREAD = 1e-4  # of the equations for the pelvis: below, the frames all look at it alike
_GENDERS = {"female": "f", "male": "m", "neutral": "n"}
_FRAME_KEYS = {"kp2d": (24, 2), "bboxes": (4,), "poses_root": (3,), "poses_body": (69,), "trans": (3,)}


def convert_emdb(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert the sequences of EMDB 1 or of EMDB 2, without the frames that the archive marks as bad.

    2D keypoints are SMPL's 24 joints, also where they are hidden. ``smpl`` is of the person's gender, in the camera's
    frame, with the translation: SMPL turns about the pelvis, whose place at rest the archive does not tell, but which
    follows from where its camera sees it (``kp2d``) in all frames of a sequence together.

    Args:
        archive: Holds ``P0/SEQUENCE/P0_SEQUENCE_data.pkl`` and ``P0/SEQUENCE/images/00000.jpg`` up to P9.
        split: ``1`` or ``2``, as ``emdb1`` and ``emdb2`` of each sequence say.
        progress: Called with the number of sequences done and of all.

    Raises:
        FileNotFoundError, ValueError, UnsafePickleError: Files are missing, or are not EMDB's.
    """
    people = People("emdb", keypoints2d="smpl")
    paths = require_files(archive, "P*/*/*_data.pkl")
    for done, path in enumerate(paths, start=1):
        sequence = load_pickle(path)
        if f"emdb{split}" not in sequence:
            raise ValueError(f"{path} lacks emdb{split}")
        if sequence[f"emdb{split}"]:
            _add_sequence(people, sequence, path, path.parent.relative_to(archive).as_posix())
        progress(done, len(paths))
    return people


@dataclass(frozen=True, eq=False)
class _Good:
    """One person in the G good frames of a sequence.

    Attributes:
        frames: (G,) their indices.
        gender: m, f or n.
        betas: (10,).
        intrinsics: (3, 3).
        boxes: (G, 4) corners, pixels.
        seen: (G, 24, 2) ``kp2d``, pixels.
        rotation: G cameras' rotations, from the world.
        orientation: G global orientations, camera axes.
        body: (G, 69) axis-angle.
        shift: (G, 3) metres, ``trans`` in the camera's frame; the pelvis is that far from the turned rest place.
    """

    frames: np.ndarray
    gender: str
    betas: np.ndarray
    intrinsics: np.ndarray
    boxes: np.ndarray
    seen: np.ndarray
    rotation: Rotation
    orientation: Rotation
    body: np.ndarray
    shift: np.ndarray


def _read_good(sequence: dict[str, Any], path: Path, mask: np.ndarray) -> _Good:
    """What the file says of the frames where ``mask`` (T,) is True."""
    gender = _GENDERS.get(str(sequence.get("gender")))
    if gender is None:
        raise ValueError(f"{path}: gender {sequence.get('gender')!r}, expected one of {', '.join(_GENDERS)}")
    camera, smpl = _part(sequence, "camera", path), _part(sequence, "smpl", path)
    intrinsics, betas = *fields(camera, path, intrinsics=(3, 3)), *fields(smpl, path, betas=(10,))
    parts = {**sequence, **smpl, **_part(sequence, "bboxes", path)}
    kp2d, boxes, root, body, trans = (chosen_rows(parts, key, mask, shape, path) for key, shape in _FRAME_KEYS.items())
    rotation, origin = camera_rotations(camera, "extrinsics", mask, path)
    return _Good(
        frames=np.flatnonzero(mask),
        gender=gender,
        betas=betas,
        intrinsics=intrinsics,
        boxes=boxes,
        seen=kp2d,
        rotation=rotation,
        orientation=rotation * Rotation.from_rotvec(root),
        body=body,
        shift=np.einsum("nij,nj->ni", rotation.as_matrix(), trans) + origin,
    )


def _add_sequence(people: People, sequence: dict[str, Any], path: Path, folder: str) -> None:
    mask = fields(sequence, path, good_frames_mask=(-1,))[0].astype(bool)
    for _ in range(len(mask) - mask.sum()):
        people.skip("frames that the archive marks as bad")
    good = _read_good(sequence, path, mask)
    turned = good.rotation.as_matrix()
    rest = _pelvis_at_rest(turned, good.shift, good.seen[:, 0], good.intrinsics)
    pelvis = good.shift if rest is None else turned @ rest + good.shift
    agree = _agree(pelvis, good.seen[:, 0], good.intrinsics)
    for row, frame in enumerate(good.frames):
        corner, size = good.boxes[row, :2], good.boxes[row, 2:] - good.boxes[row, :2]
        if rest is None:
            people.skip("frames of a sequence that does not tell where the pelvis is at rest")
        elif not agree[row]:
            people.skip("frames whose kp2d are not where the camera sees the pelvis")
        elif (size <= 0).any():
            people.skip("frames without a box")
        else:
            people.add(
                image_path=f"{folder}/images/{frame:05d}.jpg",
                box=scale_boxes(np.concatenate([corner, size]), BOX_SCALE),
                keypoints2d=np.column_stack([good.seen[row], np.ones(24)]),
                smpl={
                    "global_orient": good.orientation[row].as_rotvec(),
                    "body_pose": good.body[row],
                    "betas": good.betas,
                    "transl": pelvis[row] - rest,
                },
                gender=good.gender,
                intrinsics=good.intrinsics,
            )


def _part(sequence: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    part = sequence.get(key)
    if not isinstance(part, dict):
        raise ValueError(f"{path}: {key} is {'missing' if part is None else type(part).__name__}, expected a dict")
    return part


def _pelvis_at_rest(
    turned: np.ndarray, shift: np.ndarray, seen: np.ndarray, intrinsics: np.ndarray
) -> np.ndarray | None:
    """The pelvis J (3,) of the body at rest, metres, in SMPL's frame: one for all frames.

    In the camera the pelvis is at R J + s, for a camera of rotation R and s = R trans + t, and the camera sees it at
    (u, v): with the rows K of the intrinsics, (K1 - u K3)(R J + s) = 0 and (K2 - v K3)(R J + s) = 0. Each equation is
    divided by the depth, so that the least squares are of pixels.

    Args:
        turned: (G, 3, 3) R.
        shift: (G, 3) s.
        seen: (G, 2) pixels.
        intrinsics: (3, 3).

    Returns:
        None where the equations do not tell: too few frames, or all alike.
    """
    rays = intrinsics[None, :2] - seen[:, :, None] * intrinsics[None, 2:]  # (G, 2, 3)
    rays /= np.maximum(np.abs(shift[:, 2]), 0.1)[:, None, None]
    rows = (rays @ turned).reshape(-1, 3)
    right = -np.einsum("gki,gi->gk", rays, shift).reshape(-1)
    if len(rows) < 3:
        return None
    rest, _, _, spread = np.linalg.lstsq(rows, right, rcond=None)
    return rest if spread[-1] > _LEAST_SPREAD * spread[0] else None


def _agree(points: np.ndarray, pixels: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Whether (G,) camera-frame points (G, 3) lie before the camera and project on pixels (G, 2)."""
    projected = points @ intrinsics.T
    depth = np.maximum(projected[:, 2:], 1e-6)
    return (points[:, 2] > 0) & (np.abs(projected[:, :2] / depth - pixels).max(1) < _MAX_MISMATCH)
