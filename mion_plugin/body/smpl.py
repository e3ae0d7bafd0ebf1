"""SMPL as a component: pose, shape and translation to vertices, joints and keypoints."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from smplx.lbs import lbs
from torch import Tensor, nn

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS, BodyArrays
from mion_plugin.body.files import load_body, named_gender
from mion_plugin.body.fingerprint import BodyFingerprint
from mion_plugin.body.keypoint_rows import keypoint_rows
from mion_plugin.body.pose_keypoints import PoseKeypoints
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.registry import MODELS


@dataclass(frozen=True)
class BodyOutput:
    """A posed body in metres, in the frame that ``global_orient`` and ``transl`` lead to.

    Attributes:
        vertices: (..., 6890, 3).
        joints: (..., 24, 3) SMPL's joints.
    """

    vertices: Tensor
    joints: Tensor


@MODELS.register_module()
class SMPLBody(nn.Module):
    """The SMPL body model, skinned by ``smplx``.

    The model's arrays are buffers that stay out of the state dict: a checkpoint never carries a licensed body.

    Args:
        model_path: None for the free stand-in, or the user's SMPL file or folder; see ``load_body``.
        gender: ``neutral``, ``male`` or ``female``; see ``load_body``.

    Attributes:
        gender: The one that the file's name tells, else as given.

    Raises:
        FileNotFoundError, ValueError, UnsafePickleError: See ``load_body``.
    """

    faces: Tensor
    v_template: Tensor
    J_regressor: Tensor
    weights: Tensor

    def __init__(self, model_path: str | os.PathLike[str] | None = None, gender: str = "neutral") -> None:
        super().__init__()
        self.arrays: BodyArrays = load_body(model_path, gender)
        self.gender = named_gender(Path(self.arrays.name)) or gender
        for name in ("v_template", "shapedirs", "J_regressor", "weights", "faces"):
            self.register_buffer(name, torch.tensor(getattr(self.arrays, name)), persistent=False)
        # lbs wants (207, 6890 * 3)
        posedirs = torch.from_numpy(self.arrays.posedirs).flatten(0, 1).T.contiguous()
        self.register_buffer("posedirs", posedirs, persistent=False)
        # no submodules: what is made at first use would give copies of a model (mmengine's EMAHook, DDP) other buffers
        self._pose_keypoints: dict[str, PoseKeypoints] = {}
        self._rows_cache: dict[tuple[str, torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}
        self._fingerprint: tuple[BodyArrays, BodyFingerprint] | None = None

    @property
    def fingerprint(self) -> BodyFingerprint:
        """What weights and pools keep of the body."""
        if self._fingerprint is None or self._fingerprint[0] is not self.arrays:
            self._fingerprint = self.arrays, BodyFingerprint.of(self.arrays)
        return self._fingerprint[1]

    def forward(self, pose: Tensor, betas: Tensor | None = None, transl: Tensor | None = None) -> BodyOutput:
        """Pose the body.

        Args:
            pose: (..., 24, 3) axis-angle in radians or (..., 24, 3, 3) rotation matrices; index 0 is global_orient,
                a rotation about the pelvis joint.
            betas: (..., 10) shape; None for the mean shape.
            transl: (..., 3) metres added to every point; None for zero.

        Raises:
            ValueError: A shape is not one of these.
        """
        rotations, betas = self._check(pose, betas, transl)
        lead = rotations.shape[:-3]
        # smplx takes views, which matrices that lie column by column, as decompositions give them, do not have
        rotations = rotations.reshape(-1, NUM_JOINTS, 3, 3).contiguous()
        betas = betas.reshape(-1, NUM_BETAS)
        if len(rotations) == 0:  # smplx's reshapes do not take an empty batch
            vertices, joints = (betas.new_zeros(0, count, 3) for count in (len(self.v_template), NUM_JOINTS))
        else:
            with full_precision(rotations):
                vertices, joints = lbs(
                    betas,
                    rotations,
                    self.v_template,
                    self.shapedirs,
                    self.posedirs,
                    self.J_regressor,
                    self.arrays.parents,  # not a tensor: smplx reads it entry by entry, each a wait for a GPU
                    self.weights,
                    pose2rot=False,
                )
        vertices = vertices.reshape(*lead, len(self.v_template), 3)
        joints = joints.reshape(*lead, NUM_JOINTS, 3)
        if transl is not None:
            vertices, joints = vertices + transl[..., None, :], joints + transl[..., None, :]
        return BodyOutput(vertices, joints)

    def keypoints(self, output: BodyOutput, convention: str = "coco") -> Tensor:
        """The (..., K, 3) keypoints of ``convention`` on a posed body; see ``keypoint_rows`` for their definition."""
        regressor, joint_index = self._rows(convention, like=output.vertices)
        with full_precision(output.vertices):
            on_surface = regressor @ output.vertices
        at_joints = output.joints[..., joint_index.clamp(min=0), :]
        return torch.where((joint_index >= 0)[:, None], at_joints, on_surface)

    def vertex_keypoints(self, vertices: Tensor, convention: str = "coco") -> Tensor:
        """The keypoints (..., K, 3) of posed vertices (..., 6890, 3) alone.

        Keypoints that are joints of the skeleton come from the joint regressor, which SMPL defines on the body at rest:
        on a bent one they lie some millimetres beside those of ``keypoints``.
        """
        with full_precision(vertices):
            joints = self.J_regressor.to(vertices) @ vertices
        return self.keypoints(BodyOutput(vertices, joints), convention)

    def pose_keypoints(
        self, pose: Tensor, betas: Tensor | None = None, transl: Tensor | None = None, convention: str = "coco"
    ) -> Tensor:
        """The same keypoints straight from the pose, without skinning the mesh: many times faster, differentiable.

        Arguments as ``forward``. Returns (..., K, 3) metres.
        """
        return self.pose_joints_and_keypoints(pose, betas, transl, convention)[1]

    def pose_joints_and_keypoints(
        self, pose: Tensor, betas: Tensor | None = None, transl: Tensor | None = None, convention: str = "coco"
    ) -> tuple[Tensor, Tensor]:
        """SMPL's joints (..., 24, 3) and what ``pose_keypoints`` gives (..., K, 3), in the time of the latter alone."""
        rotations, betas = self._check(pose, betas, transl)
        with torch.inference_mode(False):  # what is kept may later take part in a training
            if convention not in self._pose_keypoints:
                self._pose_keypoints[convention] = PoseKeypoints(self.arrays, keypoint_rows(self.arrays, convention))
            points = self._pose_keypoints[convention].to(self.v_template)
        with full_precision(rotations):
            joints, keypoints = points(rotations, betas)
        if transl is not None:
            joints, keypoints = joints + transl[..., None, :], keypoints + transl[..., None, :]
        return joints, keypoints

    def _rows(self, convention: str, like: Tensor) -> tuple[Tensor, Tensor]:
        """Regressor (K, 6890) and joint index (K,) of ``keypoint_rows`` as ``like``, made once for each precision."""
        key = convention, like.device, like.dtype
        if key not in self._rows_cache:
            rows = keypoint_rows(self.arrays, convention)
            with torch.inference_mode(False):  # as in ``pose_joints_and_keypoints``
                regressor, joint_index = torch.from_numpy(rows.regressor), torch.from_numpy(rows.joint_index)
                self._rows_cache[key] = regressor.to(like.device, like.dtype), joint_index.to(like.device)
        return self._rows_cache[key]

    def _check(self, pose: Tensor, betas: Tensor | None, transl: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rotation matrices (..., 24, 3, 3) and betas (..., 10) with equal leading dimensions."""
        if pose.shape[-3:] == (NUM_JOINTS, 3, 3):
            rotations = pose
        elif pose.shape[-2:] == (NUM_JOINTS, 3):
            rotations = rotvec_to_rotmat(pose)
        else:
            raise ValueError(
                f"pose has shape {tuple(pose.shape)}, expected (..., 24, 3) axis-angle or (..., 24, 3, 3) matrices"
            )
        lead = rotations.shape[:-3]
        if betas is None:
            betas = rotations.new_zeros(*lead, NUM_BETAS)
        for name, value, size in (("betas", betas, NUM_BETAS), ("transl", transl, 3)):
            if value is not None and value.shape != (*lead, size):
                raise ValueError(f"{name} has shape {tuple(value.shape)}, expected {(*lead, size)} for this pose")
        return rotations, betas
