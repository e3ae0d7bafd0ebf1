"""The losses of the mesh refinement transformer (paper, eq. 6 to 9)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.rotations import rotmat_to_rotvec
from mion_plugin.registry import MODELS
from mion_plugin.samples import Targets

# What 3D keypoints are aligned at: the first of these whose joints the convention has.
_ROOTS = (("pelvis_extra",), ("left_hip_extra", "right_hip_extra"), ("pelvis",), ("left_hip", "right_hip"))
_MILLIMETRES = 1000.0


def _norm(difference: Tensor) -> Tensor:
    return torch.linalg.vector_norm(difference, dim=-1)


def _safe_norm(vectors: Tensor) -> Tensor:
    """(..., 1) lengths, whose gradient is finite at zero."""
    return vectors.square().sum(dim=-1, keepdim=True).clamp(min=torch.finfo(vectors.dtype).eps).sqrt()


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().mean(dim=-1)


SMPL_FORMS = ("per_joint", "printed")
ERRORS: dict[str, Callable[[Tensor], Tensor]] = {"l2": _norm, "mse": _mean_square}


@MODELS.register_module()
class MeshLoss(nn.Module):
    """L = w1 L_smpl + w2 (L_3d + L_2d), each term masked per sample and averaged over the samples that have labels.

    - eq. 7, in the form that ``smpl`` says. ``per_joint``: ``loss_smpl_pose``, of rotation matrices, mean over the
      joints, and ``loss_smpl_betas``. ``printed``: ``loss_smpl``, of the vector [theta, beta] of 72 axis-angle
      coordinates and 10 betas, see ``theta_difference``.
    - ``loss_keypoints3d`` (eq. 8): metres, relative to the pelvis (or the middle of the hips, if the convention has no
      pelvis); mean over the joints weighted by confidence. A sample whose pelvis is not annotated counts as unlabelled.
    - ``loss_keypoints2d`` (eq. 9): normalised crop coordinates (``CropCamera``), weighted by confidence.

    A term without any label in the batch is 0 with zero gradients.

    Args:
        smpl_weight: w1, paper: 1.
        keypoints_weight: w2, paper: 5.
        betas_weight: Further factor on the betas' part of eq. 7, paper: 1. (SPIN's is 0.001.) In ``printed`` on the
            betas themselves.
        smpl: Form of eq. 7. SPIN, mmhuman3d and what came after compare rotation matrices: axis-angle vectors of nearly
            equal rotations may be far apart, and of a norm of all 82 numbers each joint has a small share.
        error: What is taken of the difference of two vectors (a joint's rotation matrix, its position, the betas):
            ``l2``, its length, as the equations have it, or ``mse``, the mean square of its entries, as SPIN.
        winner_scale: Metres s. Of an image's branches, each is held to the 3D truth (pose, betas, 3D keypoints) in the
            proportion exp(-d / s) of the distance d of its candidate's keypoints from the true ones: relaxed
            winner-takes-all (Rupprecht et al., 2017). All are held to the 2D keypoints. None, the paper: all alike.
        loser_share: With ``winner_scale``, the share of the weight that is spread over all branches alike.

    Raises:
        ValueError: A negative weight, an unknown error or form.
    """

    def __init__(
        self,
        smpl_weight: float = 1.0,
        keypoints_weight: float = 5.0,
        betas_weight: float = 1.0,
        error: str = "l2",
        winner_scale: float | None = None,
        loser_share: float = 0.1,
        smpl: str = "per_joint",
    ) -> None:
        super().__init__()
        if not (winner_scale is None or 0 < winner_scale < float("inf")) or not 0 <= loser_share <= 1:
            raise ValueError(
                f"winner_scale is {winner_scale} and loser_share {loser_share}, expected None or metres above 0, "
                "and 0 to 1"
            )
        if min(smpl_weight, keypoints_weight, betas_weight) < 0:
            raise ValueError(
                f"weights {smpl_weight}, {keypoints_weight}, {betas_weight}: expected numbers that are not negative"
            )
        if error not in ERRORS:
            raise ValueError(f"error is {error!r}, expected one of {', '.join(ERRORS)}")
        if smpl not in SMPL_FORMS:
            raise ValueError(f"smpl is {smpl!r}, expected one of {', '.join(SMPL_FORMS)}")
        self.smpl_weight = smpl_weight
        self.keypoints_weight = keypoints_weight
        self.betas_weight = betas_weight
        self.error, self.smpl = ERRORS[error], smpl
        self.winner_scale, self.loser_share = winner_scale, loser_share

    def forward(
        self,
        bodies: Bodies,
        targets: Targets,
        valid: Tensor,
        body: SMPLBody,
        camera: CropCamera,
        candidates: Bodies | None = None,
    ) -> dict[str, Tensor]:
        """All terms, weighted, and what to watch.

        Args:
            bodies: Refined ones (B, N).
            targets: Of B samples, in pixels of the camera's crop.
            valid: (B,) bool; other samples do not count.
            body: Where the keypoints sit.
            camera: The crop's camera.
            candidates: (B, N), where the branches started; needed with ``winner_scale``.

        Returns:
            Scalars: the losses; ``mpjpe``, the mean distance of the 3D keypoints in millimetres, if any sample has
            them.

        Raises:
            ValueError: ``winner_scale`` is set, and the candidates are missing.
        """
        with full_precision(bodies.pose):
            joints = keypoints3d_difference(bodies, targets, valid, body)
            share = self._shares(candidates, targets, valid, body)
            return {
                **self._smpl_terms(bodies, targets, valid, share),
                "loss_keypoints3d": self.keypoints_weight * self.keypoints3d(*joints, share),
                "loss_keypoints2d": self.keypoints_weight * self.keypoints2d(bodies, targets, valid, body, camera),
                **mean_joint_error(*joints),
            }

    @torch.no_grad()
    def _shares(self, candidates: Bodies | None, targets: Targets, valid: Tensor, body: SMPLBody) -> Tensor | None:
        """(B, N) of mean 1, how much each branch is held to the 3D truth; None for all alike."""
        if self.winner_scale is None:
            return None
        if candidates is None:
            raise ValueError("winner_scale is set: the loss needs the candidates that the branches started from")
        difference, confidence, labelled = keypoints3d_difference(candidates, targets, valid, body)
        apart = _confident_mean(_norm(difference), (confidence > 0).to(difference))
        winner = (-apart / self.winner_scale).softmax(dim=1)
        share = len(winner[0]) * (1.0 - self.loser_share) * winner + self.loser_share
        return torch.where(labelled[:, None], share, 1.0)

    def _smpl_terms(self, bodies: Bodies, targets: Targets, valid: Tensor, share: Tensor | None) -> dict[str, Tensor]:
        if self.smpl == "printed":
            return {"loss_smpl": self.smpl_weight * self.smpl_printed(bodies, targets, valid, share)}
        betas_weight = self.smpl_weight * self.betas_weight
        return {
            "loss_smpl_pose": self.smpl_weight * self.smpl_pose(bodies, targets, valid, share),
            "loss_smpl_betas": betas_weight * self.smpl_betas(bodies, targets, valid, share),
        }

    def smpl_printed(self, bodies: Bodies, targets: Targets, valid: Tensor, share: Tensor | None = None) -> Tensor:
        """Eq. 7 as printed: error of [theta, beta]; arguments as ``smpl_pose``."""
        labelled = targets.has_smpl & valid
        theta = theta_difference(bodies.rotations, targets.rotations, labelled)
        betas = self.betas_weight * _difference(bodies.betas, targets.betas, labelled)
        return _labelled_mean(self.error(torch.cat([theta.flatten(-2), betas], dim=-1)), labelled, share)

    def smpl_pose(self, bodies: Bodies, targets: Targets, valid: Tensor, share: Tensor | None = None) -> Tensor:
        """Eq. 7, theta: error of the 9 entries of each rotation matrix; ``share`` (B, N) weighs the branches."""
        labelled = targets.has_smpl & valid
        difference = _difference(bodies.pose, targets.rotations, labelled)
        return _labelled_mean(self.error(difference.flatten(-2)).mean(dim=-1), labelled, share)

    def smpl_betas(self, bodies: Bodies, targets: Targets, valid: Tensor, share: Tensor | None = None) -> Tensor:
        """Eq. 7, beta."""
        labelled = targets.has_smpl & valid
        return _labelled_mean(self.error(_difference(bodies.betas, targets.betas, labelled)), labelled, share)

    def keypoints3d(
        self, difference: Tensor, confidence: Tensor, labelled: Tensor, share: Tensor | None = None
    ) -> Tensor:
        """Eq. 8, of what ``keypoints3d_difference`` returns."""
        return _labelled_mean(_confident_mean(self.error(difference), confidence), labelled, share)

    def keypoints2d(
        self, bodies: Bodies, targets: Targets, valid: Tensor, body: SMPLBody, camera: CropCamera
    ) -> Tensor:
        """Eq. 9."""
        confidence = targets.keypoints2d[..., 2]
        labelled = targets.has_keypoints2d & valid & (confidence > 0).any(dim=-1)
        points = body.pose_keypoints(bodies.pose, bodies.betas, bodies.transl, targets.keypoints2d_convention)
        seen = labelled[:, None] & (confidence > 0)
        difference = _difference(
            camera.project_normalized(points), camera.normalize(targets.keypoints2d[..., :2]), seen
        )
        return _labelled_mean(_confident_mean(self.error(difference), confidence), labelled)


def theta_difference(predicted: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
    """Predicted minus true axis-angle vectors (B, N, 24, 3) in radians; 0 where not ``labelled``.

    An angle is known up to full turns. Of the vectors of the predicted rotation the one that is nearest to the true
    vector is taken: the root of somebody who faces the camera is turned by about pi, where the shortest vector jumps.

    Args:
        predicted: (B, N, 24, 3, 3) rotation matrices.
        target: (B, 24, 3, 3).
        labelled: (B,) bool.
    """
    identity = torch.eye(3, dtype=predicted.dtype, device=predicted.device)
    known = labelled[:, None, None, None]
    wanted = rotmat_to_rotvec(torch.where(known, target, identity))[:, None]
    shortest = rotmat_to_rotvec(torch.where(known[:, None], predicted, identity))
    with torch.no_grad():
        angle = _norm(shortest)[..., None].clamp(min=torch.finfo(shortest.dtype).tiny)
        turns = ((shortest / angle * wanted).sum(dim=-1, keepdim=True) - angle).div(2 * torch.pi).round()
    # along the axis, which the vector of a small rotation hardly tells; there no turn is ever added
    whole = shortest + torch.where(turns != 0, 2 * torch.pi * turns * shortest / _safe_norm(shortest), 0.0)
    return torch.where(known, whole - wanted, 0.0 * whole)


def keypoints3d_difference(
    bodies: Bodies, targets: Targets, valid: Tensor, body: SMPLBody
) -> tuple[Tensor, Tensor, Tensor]:
    """Predicted minus annotated 3D keypoints, both relative to the root.

    Returns:
        ``(difference, confidence, labelled)``: (B, N, K, 3) metres, 0 where a joint is unknown; (B, K); (B,) bool.
    """
    root = list(root_joints(targets.keypoints3d_convention))
    confidence = targets.keypoints3d[..., 3]
    labelled = targets.has_keypoints3d & valid & (confidence[:, root] > 0).all(dim=-1)
    points = body.pose_keypoints(bodies.pose, bodies.betas, convention=targets.keypoints3d_convention)
    aligned, wanted = (
        value - value[..., root, :].mean(dim=-2, keepdim=True) for value in (points, targets.keypoints3d[..., :3])
    )
    return _difference(aligned, wanted, labelled[:, None] & (confidence > 0)), confidence, labelled


@torch.no_grad()
def mean_joint_error(difference: Tensor, confidence: Tensor, labelled: Tensor) -> dict[str, Tensor]:
    """``mpjpe``: mean distance of root-aligned 3D keypoints, millimetres; nothing if no sample has them."""
    if not labelled.any():
        return {}
    present = (confidence > 0).to(difference)
    return {"mpjpe": _MILLIMETRES * _labelled_mean(_confident_mean(_norm(difference), present), labelled)}


def root_joints(convention: str) -> tuple[int, ...]:
    """The joints of a convention whose middle 3D keypoints are aligned at.

    Raises:
        ValueError: The convention has neither a pelvis nor both hips.
    """
    names = keypoint_names(convention)
    for root in _ROOTS:
        if set(root) <= set(names):
            return tuple(names.index(name) for name in root)
    raise ValueError(f"keypoints3d in {convention!r} have neither a pelvis nor both hips to be aligned at")


def _difference(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """``predicted`` (B, N, ...) minus ``target`` (B, ...); 0 with zero gradient where not ``known`` (B,) or (B, K).

    Chosen, not multiplied: unknown targets may be anything, NaN included.
    """
    target, known = target[:, None], known[:, None]
    known = known.reshape(*known.shape, *[1] * (predicted.dim() - known.dim()))
    return torch.where(known, predicted - target, 0.0 * predicted)


def _confident_mean(errors: Tensor, confidence: Tensor) -> Tensor:
    """Mean of ``errors`` (B, N, K) over the present joints, each times its ``confidence`` (B, K): (B, N)."""
    present = (confidence > 0).sum(dim=-1).clamp(min=1)
    confidence = torch.where(confidence > 0, confidence, 0.0)  # chosen, as in ``_difference``
    return (errors * confidence[:, None]).sum(dim=-1) / present[:, None]


def _labelled_mean(errors: Tensor, labelled: Tensor, share: Tensor | None = None) -> Tensor:
    """Mean of ``errors`` (B, N), weighed by shares (B, N), over the labelled samples; 0 if there are none."""
    if share is not None:
        errors = share * errors
    return (errors.mean(dim=1) * labelled).sum() / labelled.sum().clamp(min=1)
