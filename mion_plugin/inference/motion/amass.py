"""Motion as AMASS keeps it: the keys and the layout of its SMPL-X release, which Blender's SMPL-X add-on imports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import roma
import torch

from mion_plugin.files.npz import write_npz
from mion_plugin.inference.motion.recording import Z_UP, BodyMotion, RestShape

_NUM_SHARED, _NUM_SMPLX = 22, 55  # joints that SMPL and SMPL-X have in common; SMPL-X's, with jaw, eyes and fingers


def write_amass(path: Path, motion: BodyMotion, shape: RestShape) -> None:
    """Write ``.npz``: z up, x right and y ahead as the camera looks, metres, the origin at the camera.

    ``poses`` (T, 165) axis-angle in radians: the 22 joints that SMPL and SMPL-X share, the others zero, for SMPL has no
    fingers; ``smpl_poses`` (T, 72): all 24 of SMPL. ``trans`` (T, 3) in metres, ``betas`` (10,) of the body model that
    made them, its ``gender``, ``mocap_frame_rate`` in Hz; ``seen`` (T,) tells which poses were not interpolated and
    ``start`` when the first one was, in seconds of the video.
    """
    pose, transl = motion.in_world(Z_UP, shape.joints[0])
    rotvec = roma.rotmat_to_rotvec(torch.from_numpy(pose)).numpy()
    poses = np.zeros((len(motion), _NUM_SMPLX, 3))
    poses[:, :_NUM_SHARED] = rotvec[:, :_NUM_SHARED]
    write_npz(
        path,
        {
            "poses": poses.reshape(len(motion), -1),
            "smpl_poses": rotvec.reshape(len(motion), -1),
            "trans": transl,
            "betas": motion.betas,
            "gender": shape.gender,
            "mocap_frame_rate": motion.frame_rate,
            "seen": motion.seen,
            "start": motion.start,
        },
    )
