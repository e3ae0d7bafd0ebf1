"""Bodies pulled onto the 2D keypoints."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS
from mion_plugin.body.depths import hip_indices
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.fitting.chain import KeypointChain
from mion_plugin.fitting.priors import StartPrior
from mion_plugin.fitting.problem import FitProblem, Observed, ObservedDepths, Start
from mion_plugin.fitting.solver import minimize, where_rows
from mion_plugin.fitting.spread import corner_moves, depth_axes
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import is_present
from mion_plugin.geometry.precision import full_precision, require_full_precision
from mion_plugin.parts import Part, build_part
from mion_plugin.registry import MODELS

_FARTHEST = 1e3  # half crops; keypoints farther out are moved here, so that their squares stay finite


@dataclass(frozen=True)
class FittedBodies(Bodies):
    """N bodies of each of B images after the fit, poses as matrices.

    Attributes:
        pose, betas, transl, valid: See ``Bodies``.
        cost: (B, N) negative logarithm of the posterior density, up to a constant that all share: how far the body was
            moved and how far it still is from the keypoints. Infinite where the body was left as it was.
    """

    cost: Tensor = None  # type: ignore[assignment]  # always there; what it inherits has defaults


@MODELS.register_module()
class KeypointFit(nn.Module):
    """The most probable bodies given where they start and the 2D keypoints; all bodies of a batch at once.

    What is minimised, by Levenberg-Marquardt with analytic derivatives (``chain.py``, ``solver.py``):

        |z|^2 / 2 + sum_k rho(|p_k(z) - keypoint_k|^2 / sigma_k^2) / 2,  sigma_k = keypoint_noise / confidence_k

    z are the body's 85 parameters in standard deviations of the prior, and rho is Geman-McClure's loss
    c^2 s / (c^2 + s) with c = ``cutoff``, so that a keypoint of another person pulls little. Where SMPLify (Bogo et
    al., 2016) brings priors of pose and shape and works in stages, the start counts as all that is known of pose, shape
    and place: a pull to the mean of the pool's poses beside it gained nothing on validation.

    With ``use_depths`` and depths that are given, sum_k rho((d_k(z) - depth_k)^2 precision_k^2) / 2 comes in, d_k the
    keypoint's depth behind the middle of the hips.

    Fits from several starts end near each other, for keypoints and prior are the same. ``alternatives`` moves the
    bodies of an image apart again, along what the keypoints leave open.

    Nothing here is trained. The defaults were chosen on the people of validation (docs/results.md).

    Args:
        body: The body model.
        prior: A ``StartPrior``, or any module that gives the (85, 85) root of a covariance.
        focal_length: Pixels of the crop.
        image_size: Side of the crop in pixels.
        convention: Order of the keypoints.
        iterations: Steps tried. Eight bring the error down by another 0.2 to 0.4 mm in twice the time.
        keypoint_noise: Standard deviation of a keypoint of confidence 1 in x and in y, as a share of the crop's side.
            The body model's own misfit counts too.
        cutoff: Standard deviations at which a keypoint has lost three quarters of its pull.
        use_depths: Fit to known depths of the keypoints, too. Each counts by itself, which makes too much of depths
            whose errors have a common cause: with MediaPipe's, bodies of a stage 2 that had read them became worse on
            synthetic people.
        spread: Standard deviations by which ``alternatives`` moves bodies.

    Raises:
        ValueError: A number out of range, or a convention that the body lacks, or, with depths, one without hips.
    """

    def __init__(
        self,
        body: Part | None = None,
        prior: Part | None = None,
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
        convention: str = "coco",
        iterations: int = 4,
        keypoint_noise: float = 0.016,
        cutoff: float = 6.0,
        use_depths: bool = False,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        if iterations < 1:
            raise ValueError(f"iterations is {iterations}, expected at least 1")
        for name, value in (("keypoint_noise", keypoint_noise), ("cutoff", cutoff), ("spread", spread)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a positive finite number")
        self.camera = CropCamera(focal_length, image_size)
        self.convention, self.iterations = convention, iterations
        self.keypoint_noise, self.cutoff, self.spread = float(keypoint_noise), float(cutoff), float(spread)
        model: SMPLBody = build_part(body, type="mion.SMPLBody")
        self.body_fingerprint = model.fingerprint
        self.chain = KeypointChain(model.arrays, convention)
        self.prior: StartPrior = build_part(prior, type="mion.StartPrior")
        self._hips = hip_indices(convention) if use_depths else None

    @property
    def keypoints2d_convention(self) -> str:
        """Order of the 2D keypoints that it reads."""
        return self.convention

    def check_body(self, body: SMPLBody, owner: str) -> None:
        """Raise ValueError if ``owner``'s body, whose poses come, is another than the one that is fitted."""
        told = f"the fit's body is {self.body_fingerprint}, the {owner}'s {body.fingerprint}"
        self.body_fingerprint.check(body.fingerprint, told, "Give both the same body model")

    @property
    def reads_depths(self) -> bool:
        """Whether depths of the keypoints make a difference."""
        return self._hips is not None

    @torch.no_grad()
    def forward(self, bodies: Bodies, keypoints2d: Tensor, depths: Tensor | None = None) -> FittedBodies:
        """Fit N bodies of each of B images, whatever method they are of.

        A body is left exactly as it was where no keypoint is present, or where it holds a number that is not finite or
        has a joint behind the camera or nearer than ``NEAREST``; no fit brings one there.

        Args:
            bodies: (B, N), before the camera.
            keypoints2d: (B, K, 3) crop pixels and confidence. Those above 1 count as 1; a keypoint is absent where its
                confidence is not above 0 or a number of it is not finite.
            depths: (B, K, 2) what is known of the keypoints' depths: metres behind the middle of the hips, camera
                frame, and precision, 1 / metres; unknown where that is not above 0 or a number not finite. Ignored
                without ``use_depths``.

        Returns:
            Bodies of the same number, in the module's precision.

        Raises:
            ValueError: A shape is not one of these.
        """
        require_full_precision(self)
        self._check(bodies, keypoints2d, depths)
        with torch.inference_mode(), full_precision(bodies.transl):  # a tenth faster than without gradients alone
            given, problem, fits = self._problem(bodies, keypoints2d, depths)
            root = problem.root
            point, cost = minimize(problem, root.new_zeros(len(fits), len(root)), self.iterations)
            fitted = fits & cost.isfinite()
            moved = self._moved(bodies, given, problem, point, fitted)
            cost = torch.where(fitted, cost, torch.inf).unflatten(0, bodies.transl.shape[:2])
        # copies made out here are ordinary tensors, which may take part in a training
        return FittedBodies(
            **{name: value.clone() for name, value in moved.items()}, valid=bodies.valid, cost=cost.clone()
        )

    @torch.no_grad()
    def alternatives(self, bodies: Bodies, keypoints2d: Tensor, selected: Tensor) -> Bodies:
        """What else the keypoints allow: the selected body of each image, and the others moved apart (``spread.py``).

        Args:
            bodies: (B, N) fitted.
            keypoints2d: (B, K, 3), those that they were fitted to.
            selected: (B,) which of the N stays exactly as it is, as do all that ``forward`` would leave so.

        Returns:
            (B, N).

        Raises:
            ValueError: A shape is not one of these.
        """
        self._check(bodies, keypoints2d, None)
        lead = bodies.transl.shape[:2]
        if selected.shape != lead[:1]:
            raise ValueError(f"selected has shape {tuple(selected.shape)}, expected {tuple(lead[:1])}")
        with full_precision(bodies.transl):
            given, problem, fits = self._problem(bodies, keypoints2d, None)
            along = corner_moves(selected, lead[1], self.spread).to(problem.root).flatten(0, 1)
            point = along.new_zeros(len(fits), len(problem.root))
            point = point + (along[:, None] @ depth_axes(problem, point, along.shape[1]))[:, 0]
            possible = fits & along.any(-1) & problem.cost(point).isfinite()
            return Bodies(**self._moved(bodies, given, problem, point, possible), valid=bodies.valid)

    def _problem(
        self, bodies: Bodies, keypoints2d: Tensor, depths: Tensor | None
    ) -> tuple[tuple[Tensor, ...], FitProblem, Tensor]:
        """Of M = B N bodies: rotations, betas and transl as given, the fits, and which (M,) can be fitted."""
        like = self.chain.sum_below
        given = tuple(value.to(like).flatten(0, 1) for value in (bodies.rotations, bodies.betas, bodies.transl))
        known = None if depths is None else depths.to(like)
        observed = self._observe(keypoints2d.to(like), bodies.transl.shape[1], known)
        start, sound = self._start(*given)
        problem = FitProblem(self.chain, self.camera, start, observed, self.prior(), self.cutoff)
        return given, problem, sound & (observed.precision > 0).any(-1)

    def _moved(
        self, bodies: Bodies, given: tuple[Tensor, ...], problem: FitProblem, point: Tensor, which: Tensor
    ) -> dict[str, Tensor]:
        """Pose, betas and transl of bodies, at ``point`` (M, 85) where ``which`` (M,) says so, elsewhere as given."""
        pairs = zip(problem.body(point), given, strict=True)
        moved = (where_rows(which, new, old).unflatten(0, bodies.transl.shape[:2]) for new, old in pairs)
        return dict(zip(("pose", "betas", "transl"), moved, strict=True))

    def _start(self, rotations: Tensor, betas: Tensor, transl: Tensor) -> tuple[Start, Tensor]:
        """M bodies, and which of them (M,) are sound; ordinary ones stand in for the others."""
        pelvis = self.chain.pelvis(betas) + transl
        finite = [value.flatten(1).isfinite().all(-1) for value in (rotations, betas, transl)]
        sound = torch.stack(finite).all(0)
        upright = torch.eye(3, dtype=transl.dtype, device=transl.device).expand_as(rotations)
        middle = torch.zeros_like(transl)
        middle[:, 2] = self.camera.normalized_focal_length
        values = ((rotations, upright), (betas, torch.zeros_like(betas)), (transl, middle), (pelvis, middle))
        return Start(*(where_rows(sound, own, other) for own, other in values)), sound

    def _observe(self, keypoints2d: Tensor, paths: int, depths: Tensor | None = None) -> Observed:
        """The keypoints (B, K, 3) and their depths (B, K, 2), of each of B x N bodies."""
        confidence = keypoints2d[..., 2]
        present = is_present(keypoints2d)
        points = self.camera.normalize(keypoints2d[..., :2]).clamp(-_FARTHEST, _FARTHEST)
        points = torch.where(present[..., None], points, 0.0)
        precision = torch.where(present, confidence.clamp(max=1.0) / (2.0 * self.keypoint_noise), 0.0)
        known = None if depths is None or self._hips is None else self._observe_depths(depths, paths)
        return Observed(points.repeat_interleave(paths, dim=0), precision.repeat_interleave(paths, dim=0), known)

    def _observe_depths(self, depths: Tensor, paths: int) -> ObservedDepths:
        """The depths (B, K, 2) of each of B x N bodies' keypoints."""
        assert self._hips is not None
        known = depths.isfinite().all(-1, keepdim=True) & (depths[..., 1:] > 0)
        depth, precision = torch.where(known, depths, 0.0).repeat_interleave(paths, dim=0).unbind(-1)
        return ObservedDepths(depth, precision, self._hips)

    def _check(self, bodies: Bodies, keypoints2d: Tensor, depths: Tensor | None) -> None:
        pose, betas, transl = bodies.pose, bodies.betas, bodies.transl
        lead = transl.shape[:2]
        expected = {
            "transl": (transl, [(*lead, 3)]),
            "pose": (pose, [(*lead, NUM_JOINTS, 3, 3), (*lead, NUM_JOINTS, 3)]),
            "betas": (betas, [(*lead, NUM_BETAS)]),
            "keypoints2d": (keypoints2d, [(*lead[:1], self.chain.num_keypoints, 3)]),
        }
        if depths is not None:
            expected["depths"] = (depths, [(*lead[:1], self.chain.num_keypoints, 2)])
        for name, (value, shapes) in expected.items():
            if tuple(value.shape) not in shapes or transl.ndim != 3:
                raise ValueError(
                    f"{name} has shape {tuple(value.shape)}, expected {' or '.join(map(str, shapes))} for transl "
                    f"(B, N, 3) and keypoints2d in {self.convention!r}"
                )
