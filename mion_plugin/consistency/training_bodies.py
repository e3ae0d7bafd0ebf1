"""Which bodies an image is paired with in training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates import fit_translation
from mion_plugin.consistency.perturbation import Perturbation, perturb_pose
from mion_plugin.geometry.crop_camera import CropCamera

KINDS = ("candidate", "refined", "perturbed")


def check_kinds(kinds: Mapping[str, float]) -> dict[str, float]:
    """Kinds of pairs with their probabilities, which then sum to 1; raises ValueError for anything else."""
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"pairs has the kind {unknown[0]!r}, expected some of {', '.join(KINDS)}")
    total = sum(kinds.values())
    if not kinds or min(kinds.values()) < 0 or not 0 < total < float("inf"):
        raise ValueError(f"pairs is {dict(kinds)}, expected probabilities not below 0 and one above")
    return {kind: value / total for kind, value in kinds.items()}


def draw_kinds(kinds: Mapping[str, float], count: int, generator: torch.Generator | None = None) -> dict[str, int]:
    """How many of an image's ``count`` bodies are of each kind.

    The expected numbers are ``count`` times the probabilities, and every number is within one of that (systematic
    sampling). All images of a batch get the same numbers, so that each kind is one rectangular batch of bodies.

    Args:
        kinds: Kind -> probability; they sum to 1.
        count: Bodies per image.
        generator: A CPU generator; None for torch's global one.
    """
    places = (torch.rand((), generator=generator, dtype=torch.float64) + torch.arange(count)) / count
    bounds = torch.tensor(list(kinds.values()), dtype=torch.float64).cumsum(0)[:-1]
    number = torch.bucketize(places, bounds, right=True).bincount(minlength=len(kinds))
    return dict(zip(kinds, number.tolist(), strict=True))


def perturbed_bodies(
    true: Bodies,
    candidates: Bodies,
    keypoints2d: Tensor,
    convention: str,
    settings: Perturbation,
    body: SMPLBody,
    camera: CropCamera,
    generator: torch.Generator | None = None,
) -> Bodies:
    """A perturbed body for each candidate, placed as stage 1 places candidates: by the same keypoints.

    Args:
        true: (B, 1) true bodies; ``transl`` is not read.
        candidates: (B, N) of the same people, for mixing.
        keypoints2d: (B, K, 3) crop pixels and confidence.
        convention: Their order.
        settings: See ``perturb_pose``.
        body: The body model.
        camera: The crop's camera.
        generator: A CPU generator; None for torch's global one.
    """
    lead = candidates.transl.shape[:2]
    pose, betas = (value.expand(*lead, *value.shape[2:]) for value in (true.pose, true.betas))
    joints = body.pose_keypoints(pose, betas, convention="smpl")
    pose, share = perturb_pose(pose, joints, candidates.rotations, settings, generator)
    betas = betas * share[..., None]
    points = body.pose_keypoints(pose, betas, convention=convention)
    transl, fit_loss = fit_translation(points, keypoints2d, camera.focal_length, camera.principal_point)
    transl = torch.where(fit_loss.isfinite()[..., None], transl, candidates.transl)
    return Bodies(pose=pose, betas=betas, transl=transl)
