"""Stage 1: from 2D keypoints to several different bodies that all explain them (paper 3.1 and 3.4)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.distance import PoseDistance
from mion_plugin.candidates.diversity import choose_diverse, count_compatible
from mion_plugin.candidates.fit import FitTarget, fit_to_target, make_target
from mion_plugin.candidates.pool import CandidatePool, make_pool
from mion_plugin.candidates.quick_fit import QUICK_ERROR, QuickFit
from mion_plugin.candidates.scoring import ROUNDING, Bounds, PoolScorer
from mion_plugin.candidates.shortlist import BOUND_SLACK, PoolEntries, Shortlist, bound_poses, may_be_best
from mion_plugin.candidates.splits import open_pool
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.geometry.precision import full_precision, require_full_precision
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.registry import MODELS

# Bounds held at once: 7 images x 300,000 candidates are 8 MB a table on a CPU, 512 MB a table on a GPU.
_BOUNDS_AT_ONCE_CPU = 1 << 21
_BOUNDS_AT_ONCE_GPU = 1 << 27
_PAIRS_AT_ONCE = 1 << 15  # exact fits in one go: 17 joints in double precision and their temporaries, about 100 MB
_SAME_BODY = 5e-3  # metres between the keypoints of one pose; pools hold poses in half precision
_FILL_POOL = 4  # exact fits per wanted candidate that find how high a threshold must be to hold N candidates


@dataclass(frozen=True)
class Candidates(Bodies):
    """N candidates for each of B samples, in order of choice: the lowest fit loss first. Poses are axis-angle.

    A sample that is not ``valid`` (see ``usable_keypoints``; or no candidate stands in front of the camera) holds an
    upright body facing the camera that fills the crop, fit_loss ``max_fit_loss``, index -1 and num_compatible 0.

    Attributes:
        pose, betas, transl, fit_loss, valid: See ``Bodies``; the betas are zero, the mean shape, and
            ``SMPLBody()(pose, transl=transl)`` projects onto the keypoints.
        index: (B, N) position in the pool, pose * O + orientation.
        num_compatible: (B,) how many candidates of the pool have a fit loss below ``max_fit_loss``. With fewer than N,
            the next lowest losses fill the places.
    """

    index: Tensor | None = None
    num_compatible: Tensor | None = None

    PER_IMAGE: ClassVar[tuple[str, ...]] = ("valid", "num_compatible")


@MODELS.register_module()
class CandidateSelector(nn.Module):
    """Fit every body of a pool to 2D keypoints and keep N compatible and mutually distant ones.

    Exact: the result is that of evaluating the closed form and the perspective reprojection loss of every candidate,
    in double precision, while a bound (``scoring.py``) spares all but the plausible ones.

    Args:
        pool: None for the pool of the package, the path of a pool file, or a ``CandidatePool``.
        num_candidates: N.
        max_fit_loss: Candidates below this loss are compatible; squared pixels on the crop (paper: 2000). The loss is
            a sum that confidences weigh, so more candidates are compatible where these are low.
        focal_length: Pixels.
        image_size: Side of the square crop in pixels; the principal point is its middle.
        convention: Order of the keypoints that will come, ``keypoints2d_convention`` of the selector; others than the
            pool's are computed from the body.
        distance: ``geodesic`` (root of the summed squared rotation angles between joints) or ``axis_angle`` (L2 of the
            pose vectors, the paper's "pose parameter distance").
        body_model: SMPL file or folder whose mean shape replaces the pool's own keypoints; None keeps them, or in
            another ``convention`` takes those of the free stand-in.
        pool_split: ``train`` leaves out the poses of the default split's test recordings (see ``split_pool``), so that
            they can be tested on; ``all`` keeps all.

    Raises:
        ValueError: An argument is out of range, the pool holds fewer than N candidates, or keypoints in another
            convention are wanted of a pool of another body without ``body_model``.
    """

    body_pose: Tensor
    global_orient: Tensor
    keypoints3d: Tensor
    rotations: Tensor
    root_offset: Tensor

    def __init__(
        self,
        pool: CandidatePool | str | os.PathLike[str] | None = None,
        num_candidates: int = 5,
        max_fit_loss: float = 2000.0,
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
        convention: str = "coco",
        distance: str = "geodesic",
        body_model: str | os.PathLike[str] | None = None,
        pool_split: str = "all",
    ) -> None:
        super().__init__()
        for name, value in (("focal_length", focal_length), ("image_size", image_size), ("max_fit_loss", max_fit_loss)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a positive finite number")
        pool = _prepare_pool(pool, convention, body_model, pool_split)
        self.max_fit_loss = float(max_fit_loss)
        self.focal_length = float(focal_length)
        self.image_size = image_size
        self.keypoints2d_convention = convention
        self.body_name = str(pool.metadata.get("body", "unknown"))
        self.body_fingerprint = pool.body_fingerprint
        for name in ("body_pose", "global_orient", "keypoints3d", "root_offset"):
            self.register_buffer(name, torch.tensor(getattr(pool, name)), persistent=False)  # a cached pool is shared
        self.register_buffer("rotations", rotvec_to_rotmat(self.global_orient.double()), persistent=False)
        self.scorer = PoolScorer(self.keypoints3d, self.rotations)
        self.quick_fit = QuickFit(self.keypoints3d, self.rotations)
        self.distance = PoseDistance(self.body_pose, self.global_orient, distance)
        self.keep(num_candidates)

    @torch.no_grad()
    def forward(self, keypoints2d: Tensor) -> Candidates:
        """Select candidates.

        Args:
            keypoints2d: (B, K, 3) x, y in crop pixels and confidence, in the order of ``convention``. Confidence 0 is
                absent; confidences weigh the fit.

        Raises:
            TypeError: Not a tensor.
            ValueError: Not of that shape.
        """
        if not isinstance(keypoints2d, Tensor):
            raise TypeError(f"keypoints2d is a {type(keypoints2d).__name__}, expected a tensor (B, K, 3)")
        require_full_precision(self)
        num_keypoints = self.keypoints3d.shape[1]
        if keypoints2d.ndim != 3 or keypoints2d.shape[1:] != (num_keypoints, 3):
            raise ValueError(
                f"keypoints2d has shape {tuple(keypoints2d.shape)}, expected (B, {num_keypoints}, 3) for convention "
                f"{self.keypoints2d_convention!r}"
            )
        keypoints2d = keypoints2d.detach().to(self.keypoints3d.device, torch.float64)
        # Automatic mixed precision, and TF32, would round the bounds beyond their margin. The inference mode is a tenth
        # faster than without gradients alone; what is joined outside of it may take part in a training.
        with torch.inference_mode(), full_precision(keypoints2d):
            chunks, bounds = [], None
            for chunk in keypoints2d.split(self._images_at_once()):
                target = self._target(chunk)
                bounds = self.scorer(target.slopes.float(), target.weight.float(), target.mean.float(), out=bounds)
                chunks.append(self._select(bounds, target))
        return _join_images(chunks)

    def keep(self, num_candidates: int) -> None:
        """Select that many candidates from now on; raises ValueError if the pool does not hold as many."""
        available = self.scorer.num_candidates
        if not 1 <= num_candidates <= available:
            raise ValueError(f"num_candidates is {num_candidates}, expected 1 to {available}, the size of the pool")
        self.num_candidates = num_candidates

    @property
    def camera(self) -> CropCamera:
        """The camera of the crops whose keypoints come."""
        return CropCamera(self.focal_length, self.image_size)

    @torch.no_grad()
    def check_body(self, body: SMPLBody, owner: str) -> None:
        """Check that the pool was built with a body model: its fingerprint, and where a pose has its keypoints.

        A pool of an older version has no fingerprint. It is taken with a warning, unless it says that it was built with
        the free stand-in, as the package's was.

        Args:
            body: What candidates will be posed by.
            owner: Whose body it is, for the message.

        Raises:
            ValueError: It was built with another, or a pose has its keypoints elsewhere; the message names both bodies.
        """
        pose = torch.cat([self.body_pose.new_zeros(1, 3), self.body_pose[0]])[None].to(body.v_template)
        own = self.keypoints3d[0].to(body.v_template)
        pelvis = body.pose_keypoints(torch.zeros_like(pose), convention="smpl")[0, 0]
        apart = (body.pose_keypoints(pose, convention=self.keypoints2d_convention)[0] - pelvis - own).norm(dim=-1).max()
        if not apart <= _SAME_BODY:
            raise ValueError(
                f"the selector's pool has the keypoints of the body {self.body_name}, the {owner}'s body is "
                f"{body.arrays.name}: a keypoint is {1000 * float(apart):.0f} mm elsewhere. Give the selector "
                "body_model=FILE, a pool that was built with that body, or both the same body"
            )
        if self.body_fingerprint is not None:
            self.body_fingerprint.check(
                body.fingerprint,
                f"the selector's pool was built with {self.body_fingerprint}, the {owner}'s body is {body.fingerprint}",
                "Give the selector body_model=FILE or a pool that was built with that body",
            )
        else:
            warnings.warn(
                f"the selector's pool has no fingerprint of the body that it was built with, {self.body_name}; its "
                f"keypoints suit the {owner}'s, {body.fingerprint}. Built again, it would have one",
                stacklevel=2,
            )

    def _images_at_once(self) -> int:
        """How many images share the memory for bounds; few on a CPU, so that they stay in its cache."""
        at_once = _BOUNDS_AT_ONCE_CPU if self.keypoints3d.device.type == "cpu" else _BOUNDS_AT_ONCE_GPU
        return max(1, at_once // self.scorer.num_candidates)

    def _target(self, keypoints2d: Tensor) -> FitTarget:
        """Keypoints (B, K, 3) ready to be fitted."""
        centre = self.image_size / 2.0
        return make_target(keypoints2d, self.focal_length, (centre, centre))

    def _select(self, bounds: Bounds, target: FitTarget) -> Candidates:
        """``forward`` for as many images as fit into memory at once."""
        shortlist = self._shortlist(bounds, target)
        num_compatible = count_compatible(shortlist, len(target.usable))
        index = choose_diverse(shortlist, num_compatible, self.distance, self.num_candidates)
        return self._assemble(index, target, num_compatible)

    def _shortlist(self, bounds: Bounds, target: FitTarget) -> Shortlist:
        """All candidates that may be compatible or among the N lowest losses."""
        needed = self._highest_needed_loss(bounds.lower, target)
        limit = needed.clamp(min=self.max_fit_loss)
        rounding = ROUNDING * target.spread
        limit = torch.where(target.usable, (limit + rounding) / (1.0 - BOUND_SLACK), -1.0)
        limit = (limit / self.focal_length**2).to(bounds.lower)
        poses = bound_poses(bounds, self.scorer.depth_range, limit, rounding, self.focal_length)
        best = may_be_best(poses, len(limit))
        compatible = poses.upper < self.max_fit_loss
        within = poses.lower <= (limit * self.focal_length**2)[poses.sample]
        column, orientation = (within & (best | ~compatible)).mT.nonzero(as_tuple=True)
        listed = PoolEntries(poses.sample[column], poses.pose[column], orientation)
        loss = self.quick_fit(listed, target)
        # Fits in single precision decide where they can: not on the lowest losses, nor near the camera.
        doubt = QUICK_ERROR * self.max_fit_loss + poses.rounding[column]
        exactly = (loss - self.max_fit_loss).abs() > doubt
        exactly = ~exactly | best[orientation, column] | poses.upper[orientation, column].isinf()
        exactly |= ~(needed < self.max_fit_loss)[listed.sample]
        rows = exactly.nonzero(as_tuple=True)[0]
        exact = listed.take(rows)
        fit_loss = self._fit(exact, target)[1]
        fits = fit_loss < self.max_fit_loss
        compatible[orientation, column] = (loss < self.max_fit_loss).index_copy(0, rows, fits)
        return Shortlist(poses.sample, poses.pose, compatible, exact, fit_loss, fits)

    def _highest_needed_loss(self, lower: Tensor, target: FitTarget) -> Tensor:
        """(B,) a loss that at least N candidates do not exceed: the N-th lowest among some with low bounds."""
        num_orientations, num_samples, num_poses = lower.shape
        wanted = _FILL_POOL * self.num_candidates
        pose = lower.amin(dim=0).topk(min(wanted, num_poses), largest=False).indices  # (B, k)
        bounds = lower.gather(2, pose.expand(num_orientations, -1, -1)).transpose(0, 1).flatten(1)  # (B, O * k)
        best = bounds.topk(min(wanted, bounds.shape[1]), largest=False).indices
        orientation, pose = best // pose.shape[1], pose.gather(1, best % pose.shape[1])
        sample = torch.arange(num_samples, device=lower.device)[:, None].expand_as(pose)
        _, fit_loss = self._fit(PoolEntries(sample.flatten(), pose.flatten(), orientation.flatten()), target)
        return fit_loss.view(pose.shape).kthvalue(self.num_candidates, dim=1).values

    def _fit(self, candidates: PoolEntries, target: FitTarget) -> tuple[Tensor, Tensor]:
        """Exact transl (M, 3), from the pelvis, and fit_loss (M,) of M candidates, a bounded number at once."""
        transl, fit_loss = [], []
        for sample, pose, orientation in zip(*(part.split(_PAIRS_AT_ONCE) for part in candidates), strict=True):
            joints = self.keypoints3d[pose].double() @ self.rotations[orientation].mT
            fitted, loss = fit_to_target(joints[:, None], target[sample])
            transl.append(fitted[:, 0])
            fit_loss.append(loss[:, 0])
        return torch.cat(transl), torch.cat(fit_loss)

    def _assemble(self, index: Tensor, target: FitTarget, num_compatible: Tensor) -> Candidates:
        """Look the chosen positions in the pool (B, N) up; samples without any get the documented stand-in."""
        valid = index[:, 0] >= 0
        number = index.clamp(min=0)  # without any choice, any candidate will do to be replaced
        pose, orientation = number // len(self.global_orient), number % len(self.global_orient)
        sample = torch.arange(len(index), device=index.device).repeat_interleave(self.num_candidates)
        transl, fit_loss = self._fit(PoolEntries(sample, pose.flatten(), orientation.flatten()), target)
        full_pose = torch.cat([self.global_orient[orientation][:, :, None], self.body_pose[pose]], dim=2)
        upright = torch.zeros_like(full_pose[:1, :1])
        upright[..., 0, 0] = torch.pi  # SMPL's y points up, the camera's down
        before_camera = transl.new_tensor([0.0, 0.0, 2.0 * self.focal_length / self.image_size])  # 2 m fill the crop
        known = valid[:, None]
        transl = torch.where(known[..., None], transl.view(*index.shape, 3), before_camera) - self.root_offset
        return Candidates.with_mean_shape(
            torch.where(known[..., None, None], full_pose, upright),
            transl.float(),
            fit_loss=torch.where(known, fit_loss.view(index.shape), self.max_fit_loss).float(),
            index=index,
            num_compatible=num_compatible,
            valid=valid,
        )


def _join_images(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of all images of several batches."""
    names = [entry.name for entry in fields(Candidates) if entry.init and entry.name != "pncc"]
    return Candidates(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def _prepare_pool(
    pool: CandidatePool | str | os.PathLike[str] | None,
    convention: str,
    body_model: str | os.PathLike[str] | None,
    pool_split: str,
) -> CandidatePool:
    """Load the pool or its part, and compute its keypoints anew where another convention or body is wanted."""
    keypoint_names(convention)
    pool = open_pool(pool, pool_split)
    if convention == pool.convention and body_model is None:
        return pool
    body = SMPLBody(body_model)
    if body_model is None and pool.body_fingerprint is not None:
        pool.body_fingerprint.check(
            body.fingerprint,
            f"the pool was built with {pool.body_fingerprint} in {pool.convention!r}; its keypoints in {convention!r} "
            f"would be those of {body.fingerprint}",
            "Give body_model=FILE, the pool's body",
        )
    return make_pool(pool.body_pose, pool.global_orient, body=body, convention=convention)
