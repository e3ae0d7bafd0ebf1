"""Keypoints from pose and shape without skinning a mesh.

A keypoint is a weighted sum of skinned vertices, and a skinned vertex a weighted sum of its bones' transforms of
v_shaped + v_pose. Exchanging the sums, a keypoint is a sum over bones of one transformed point, which is linear in
betas and pose features. The vertices of one keypoint hang on two to five bones, so about a hundred (keypoint, bone)
pairs replace 6,890 vertices.
"""

from __future__ import annotations

import numpy as np
import torch
from smplx.lbs import batch_rigid_transform
from torch import Tensor, nn

from mion_plugin.body.arrays import NUM_JOINTS, BodyArrays
from mion_plugin.body.keypoint_rows import KeypointRows


class PoseKeypoints(nn.Module):
    """K keypoints of a body as a function of pose and betas.

    Args:
        body: The body model.
        rows: Where the keypoints sit on it.
    """

    pair_point: Tensor
    pair_shapedirs: Tensor
    pair_posedirs: Tensor
    pair_weight: Tensor
    pair_keypoint: Tensor
    pair_bone: Tensor
    joint_index: Tensor
    joints_template: Tensor
    joints_shapedirs: Tensor

    def __init__(self, body: BodyArrays, rows: KeypointRows) -> None:
        super().__init__()
        # (K, J): how much of a keypoint hangs on a bone; computed in float64 since thousands of terms are summed
        share = rows.regressor.astype(np.float64) @ body.weights
        keypoint, bone = np.nonzero(share)
        pair_rows = rows.regressor[keypoint].astype(np.float64) * body.weights.T[bone]
        joints_shapedirs = np.tensordot(body.J_regressor.astype(np.float64), body.shapedirs, axes=1)
        arrays = {
            "pair_point": pair_rows @ body.v_template,
            "pair_shapedirs": np.tensordot(pair_rows, body.shapedirs, axes=1),
            "pair_posedirs": np.tensordot(pair_rows, body.posedirs, axes=1),
            "pair_weight": share[keypoint, bone],
            "joints_template": body.J_regressor.astype(np.float64) @ body.v_template,
            "joints_shapedirs": joints_shapedirs,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array.astype(np.float32)), persistent=False)
        indices = {
            "pair_keypoint": keypoint,
            "pair_bone": bone,
            "joint_index": rows.joint_index,
        }
        self._parents = body.parents  # not a tensor: smplx reads it entry by entry, each a wait for a GPU
        for name, array in indices.items():
            self.register_buffer(name, torch.from_numpy(array.astype(np.int64)), persistent=False)

    def forward(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Keypoints in metres.

        Args:
            rotations: (..., 24, 3, 3) joint rotations, index 0 global_orient.
            betas: (..., 10).

        Returns:
            (..., K, 3).
        """
        lead = rotations.shape[:-3]
        rotations, betas = rotations.reshape(-1, NUM_JOINTS, 3, 3), betas.reshape(-1, betas.shape[-1])
        if len(rotations) == 0:
            return betas.new_zeros(*lead, len(self.joint_index), 3)
        rest_joints = self.joints_template + torch.einsum("jcl,bl->bjc", self.joints_shapedirs, betas)
        joints, transforms = batch_rigid_transform(rotations, rest_joints, self._parents, dtype=rotations.dtype)
        features = (rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)).flatten(1)
        points = (
            self.pair_point
            + torch.einsum("pcl,bl->bpc", self.pair_shapedirs, betas)
            + torch.einsum("pcf,bf->bpc", self.pair_posedirs, features)
        )
        bones = transforms[:, self.pair_bone]
        moved = (bones[..., :3, :3] @ points[..., None])[..., 0] + self.pair_weight[:, None] * bones[..., :3, 3]
        on_surface = moved.new_zeros(len(moved), len(self.joint_index), 3).index_add(1, self.pair_keypoint, moved)
        at_joints = joints[:, self.joint_index.clamp(min=0)]
        keypoints = torch.where((self.joint_index >= 0)[:, None], at_joints, on_surface)
        return keypoints.reshape(*lead, len(self.joint_index), 3)
