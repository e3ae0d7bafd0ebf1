"""What ``mion.KeypointFit`` is measured against: sixty steps of Adam, and mmhuman3d's SMPLify, from the same bodies."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mion_plugin.baselines.body_files import write_body_files
from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.fitting import FittedBodies
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.geometry.rotations import rotmat_to_rotvec, rotvec_to_rotmat

Fit = Callable[[Bodies, Tensor], Bodies]  # bodies (B, N) and keypoints (B, K, 3) to bodies
ADAM_STEPS = 60
_ROBUST = 0.1  # half crops
_PULL_POSE, _PULL_BETAS = 0.1, 0.02  # weights of squared turns and betas beside 100 times the mean robust 2D error
_SPIN = Path(__file__).parents[2] / "configs/_base_/spin_registration.py"
_SPIN_SIZE = 224.0  # px, side of the crop that mmhuman3d's camera is for


def adam_fit(body: SMPLBody, camera: CropCamera) -> Fit:
    """Sixty steps of Adam on rotations, betas and translation: robust 2D error and a pull to the start, untuned."""

    def fit(bodies: Bodies, keypoints2d: Tensor) -> Bodies:
        pose, betas, transl = bodies.rotations, bodies.betas, bodies.transl
        with torch.enable_grad():
            turns, change, shift = (torch.zeros_like(value) for value in (pose[..., 0], betas, transl))
            groups = [(turns, 0.03), (change, 0.05), (shift, 0.02)]
            optimizer = torch.optim.Adam([{"params": [value.requires_grad_()], "lr": rate} for value, rate in groups])
            for _ in range(ADAM_STEPS):
                optimizer.zero_grad()
                moved = _moved(pose, betas, transl, turns, change, shift)
                _adam_loss(body, camera, moved, turns, keypoints2d).backward()
                optimizer.step()
        return _moved(pose, betas, transl, turns.detach(), change.detach(), shift.detach())

    return fit


def smplify_fit(body: dict[str, Any], image_size: float, in_pixels: bool = True) -> Fit:
    """mmhuman3d's SMPLify as SPIN's config has it, 50 and 50 steps; all bodies of the batch in one call.

    ``cost`` of what it gives is SMPLify's own loss: 2D error and priors.

    Args:
        body: Config of the ``SMPLBody``.
        image_size: Side of the crop in pixels.
        in_pixels: Weigh the 2D error as SPIN does, in pixels of a 224 crop (``smplify/losses.py`` there). mmhuman3d
            divides it by half the crop's side and keeps SPIN's weights, which leaves a 12,400th of it: bodies are then
            led by the priors alone (False).
    """
    registrant = _build_smplify(body, in_pixels)

    def fit(bodies: Bodies, keypoints2d: Tensor) -> FittedBodies:
        pose, betas, transl = bodies.rotations, bodies.betas, bodies.transl
        lead = transl.shape[:2]
        points = convert_keypoints(keypoints2d, "coco", "smpl_49", approximate=True)[0]
        points = points.repeat_interleave(lead[1], dim=0)
        rotvec = rotmat_to_rotvec(pose).flatten(0, 1)
        with torch.enable_grad():
            found = registrant(
                keypoints2d=points[..., :2] * (_SPIN_SIZE / image_size),
                keypoints2d_conf=points[..., 2],
                init_global_orient=rotvec[:, 0],
                init_body_pose=rotvec[:, 1:].flatten(1),
                init_betas=betas.flatten(0, 1),
                init_transl=transl.flatten(0, 1),
                return_losses=True,
            )
        rotvec = torch.cat([found["global_orient"], found["body_pose"]], dim=1).view(*lead, 24, 3)
        return FittedBodies(
            rotvec_to_rotmat(rotvec),
            found["betas"].view(*lead, -1),
            found["transl"].view(*lead, 3),
            valid=bodies.valid,
            cost=found["total_loss"].view(lead),
        )

    return fit


def _moved(pose: Tensor, betas: Tensor, transl: Tensor, turns: Tensor, change: Tensor, shift: Tensor) -> Bodies:
    depth = transl[..., 2:] * shift[..., 2:].exp()
    moved = torch.cat([transl[..., :2] + shift[..., :2], depth], dim=-1)
    return Bodies(rotvec_to_rotmat(turns) @ pose, betas + change, moved)


def _adam_loss(body: SMPLBody, camera: CropCamera, moved: Bodies, turns: Tensor, keypoints2d: Tensor) -> Tensor:
    points = camera.project_normalized(body.pose_keypoints(moved.pose, moved.betas, moved.transl))
    squared = (points - camera.normalize(keypoints2d[:, None, :, :2])).square().sum(-1)
    robust = _ROBUST**2 * squared / (_ROBUST**2 + squared)
    weight = keypoints2d[:, None, :, 2].clamp(0, 1)
    error = (weight * robust).sum(-1) / weight.sum(-1)
    pull = _PULL_POSE * turns.square().sum((-1, -2)) + _PULL_BETAS * moved.betas.square().sum(-1)
    return (100.0 * error + pull).sum()


def smplify_config(in_pixels: bool) -> dict[str, Any]:
    """mmhuman3d's config of it; see ``smplify_fit``."""
    config = Config.fromfile(_SPIN).smplify.to_dict()
    if in_pixels:
        loss, unit = config["keypoints2d_loss"], (_SPIN_SIZE - 1) / 2  # pixels in mmhuman3d's -1..1
        config["keypoints2d_loss"] = {
            **loss,
            "loss_weight": loss["loss_weight"] * unit**2,
            "sigma": loss["sigma"] / unit,
        }
    return config


def _build_smplify(body: dict[str, Any], in_pixels: bool) -> Any:
    from mmhuman3d.models.registrants.builder import build_registrant

    config = smplify_config(in_pixels)
    config["pose_prior_loss"].pop("prior_folder")  # a mixture fitted to the training recordings takes its place
    config["device"] = torch.device("cpu")
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        write_body_files(config, body, Path(folder))
        return build_registrant(config)
