"""Where a body of a data set's sample falls in its picture."""

import functools

import numpy as np
import torch

from mion_plugin.body import SMPLBody


@functools.cache
def _body(files, gender):
    return SMPLBody(files, gender=gender)


def body_joints(sample, body_files, convention, transl=None):
    """(K, 3) joints of the sample's body, of its gender, in metres."""
    body = _body(body_files, sample["gender"])
    pose = np.concatenate([sample["smpl_global_orient"][None], sample["smpl_body_pose"]])
    output = body(
        torch.from_numpy(pose)[None],
        torch.from_numpy(sample["smpl_betas"])[None],
        None if transl is None else torch.as_tensor(transl)[None].float(),
    )
    return body.keypoints(output, convention)[0].double().numpy()


def pixels(points, intrinsics):
    """Pinhole projection (K, 2) of (K, 3)."""
    projected = points @ np.asarray(intrinsics, dtype=np.float64).T
    return projected[:, :2] / projected[:, 2:]


def placed(points, keypoints2d, intrinsics):
    """``points`` (K, 3) where they best project on ``keypoints2d`` (K, 2): lines of sight, by least squares."""
    rays = (np.asarray(keypoints2d, dtype=np.float64) - intrinsics[:2, 2]) / np.diag(intrinsics)[:2]
    rows, right = [], []
    for axis in (0, 1):  # t_axis - ray t_z = ray z - x
        row = np.zeros((len(points), 3))
        row[:, axis], row[:, 2] = 1, -rays[:, axis]
        rows.append(row)
        right.append(rays[:, axis] * points[:, 2] - points[:, axis])
    translation = np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0]
    return points + translation
