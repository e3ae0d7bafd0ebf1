"""Drawing a body: pose, shape, orientation in front of the camera, and its place in the crop."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import roma
import torch

from mion_plugin.candidates.pool import CandidatePool

MAX_BETA = 2.5  # beyond, linear shape spaces make monsters
# SMPL's axes (y up, z forward) to the camera's (y down, z into the scene): a half turn about x.
_FACE_CAMERA = np.array([np.pi, 0.0, 0.0])

# Rows of body_pose (SMPL's joints 1..23, so one less): both legs, since they balance each other; left arm; right arm.
LIMBS = tuple(
    np.array(joints) - 1 for joints in ((1, 2, 4, 5, 7, 8, 10, 11), (13, 16, 18, 20, 22), (14, 17, 19, 21, 23))
)


@dataclass(frozen=True)
class PoseSource:
    """Body poses to draw from.

    Attributes:
        body_pose: (P, 23, 3) float32 axis-angle of SMPL's joints 1..23.
        clip_index: (P,) recording that each pose is from, -1 for unknown; None when none is known.
    """

    body_pose: np.ndarray
    clip_index: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the shapes; raises ValueError naming what was expected."""
        if self.body_pose.ndim != 3 or self.body_pose.shape[1:] != (23, 3) or len(self.body_pose) == 0:
            raise ValueError(f"body_pose has shape {self.body_pose.shape}, expected (P, 23, 3) with P at least 1")
        if not np.isfinite(self.body_pose).all():
            raise ValueError("body_pose holds NaN or infinite values")
        if self.clip_index is not None and self.clip_index.shape != (len(self.body_pose),):
            raise ValueError(f"clip_index has shape {self.clip_index.shape}, expected ({len(self.body_pose)},)")
        object.__setattr__(self, "_members", self._group_by_clip())

    @classmethod
    def from_pool(cls, pool: CandidatePool) -> PoseSource:
        """The body poses of a candidate pool."""
        return cls(pool.body_pose, pool.clip_index)

    def __len__(self) -> int:
        return len(self.body_pose)

    def companions(self, index: int) -> np.ndarray:
        """Indices of the poses from the same clip as pose ``index``, itself included."""
        if self.clip_index is None or self.clip_index[index] < 0:
            return np.array([index])
        return self._members[int(self.clip_index[index])]  # type: ignore[attr-defined]

    def _group_by_clip(self) -> dict[int, np.ndarray]:
        if self.clip_index is None:
            return {}
        return {int(clip): np.flatnonzero(self.clip_index == clip) for clip in np.unique(self.clip_index)}


@dataclass(frozen=True)
class BodySettings:
    """How bodies vary. Angles in degrees, for people to read.

    Training poses are moved away from their sources, because stage 1's pool holds the sources: unmoved, training would
    see candidates that fit exactly, and testing never. The defaults make a training pose as far from its nearest pool
    pose as a test pose is (median 94 to 99 mm over the COCO keypoints, with the package's pool and split).

    Attributes:
        interpolate_prob: Probability of moving a pose towards another one of its clip, by up to half the way.
        pose_noise: Standard deviation of the rotation vector added to each joint, radians.
        betas_std: Standard deviation of the betas, clipped at ±2.5.
        pitch_std: Of the camera's pitch about a level view, degrees.
        roll_std: Of the camera's roll, degrees.
        wide_prob: Probability of a camera held freely, whose pitch and roll have the two deviations that follow.
        wide_pitch_std: Of such a camera's pitch, degrees.
        wide_roll_std: Of its roll, degrees.
        exchange_prob: Probability, for each of both legs, the left arm and the right arm, of being taken from another
            pose of the source.
        lying_prob: Probability of a further turn of 60 to 120 degrees that lays the body down in the image.
        box_scale: Side of the crop over the longer side of the keypoints' box.
        scale_jitter: Largest relative change of that.
        shift_jitter: Largest shift of the box's centre, as a share of the crop.
    """

    interpolate_prob: float = 0.8
    pose_noise: float = 0.1
    betas_std: float = 1.0
    pitch_std: float = 12.0
    roll_std: float = 8.0
    wide_prob: float = 0.0
    wide_pitch_std: float = 22.0
    wide_roll_std: float = 15.0
    exchange_prob: float = 0.0
    lying_prob: float = 0.05
    box_scale: float = 1.2
    scale_jitter: float = 0.15
    shift_jitter: float = 0.08

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the setting."""
        for name in ("interpolate_prob", "lying_prob", "wide_prob", "exchange_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected 0 to 1")
        deviations = ("pose_noise", "betas_std", "pitch_std", "roll_std", "wide_pitch_std", "wide_roll_std")
        for name in (*deviations, "shift_jitter"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} {getattr(self, name)}, expected a number not below 0")
        if not (0 < self.box_scale < np.inf and 0 <= self.scale_jitter < 1):
            raise ValueError(
                f"box_scale {self.box_scale} and scale_jitter {self.scale_jitter}, expected above 0 and 0 to below 1"
            )

    def unperturbed(self) -> BodySettings:
        """The same with every pose exactly as its source has it, for test sets."""
        return BodySettings(**{**self.__dict__, "interpolate_prob": 0.0, "pose_noise": 0.0, "exchange_prob": 0.0})


@dataclass(frozen=True)
class BodyDraw:
    """A body without its place.

    Attributes:
        pose: (24, 3) float32 axis-angle, index 0 the global orientation in the camera frame.
        betas: (10,) float32.
        pose_index: Which pose of the source it is, or started from.
    """

    pose: np.ndarray
    betas: np.ndarray
    pose_index: int = field(default=-1)


def draw_body(source: PoseSource, rng: np.random.Generator, settings: BodySettings) -> BodyDraw:
    """Draw a body: a pose of the source, a shape, an orientation."""
    index = int(rng.integers(len(source)))
    body_pose = source.body_pose[index]
    if rng.random() < settings.interpolate_prob:
        companions = source.companions(index)
        other = source.body_pose[companions[rng.integers(len(companions))]]
        body_pose = _slerp(body_pose, other, 0.5 * rng.random())
    if settings.exchange_prob > 0:  # what is off draws nothing, so that the other draws stay as they are without it
        body_pose = _exchange_limbs(body_pose, source, rng, settings.exchange_prob)
    if settings.pose_noise > 0:
        # SMPL's two hands carry no rotation in motion capture
        noise = rng.normal(0.0, settings.pose_noise, (21, 3)).astype(np.float32)
        body_pose = body_pose + np.concatenate([noise, np.zeros((2, 3), np.float32)])
    pose = np.concatenate([draw_orientation(rng, settings)[None], body_pose]).astype(np.float32)
    betas = np.clip(rng.normal(0.0, settings.betas_std, 10), -MAX_BETA, MAX_BETA).astype(np.float32)
    return BodyDraw(pose, betas, index)


def _exchange_limbs(
    body_pose: np.ndarray, source: PoseSource, rng: np.random.Generator, probability: float
) -> np.ndarray:
    """A body pose (23, 3) with limbs of other poses of the source."""
    body_pose = body_pose.copy()
    for joints, happens in zip(LIMBS, rng.random(len(LIMBS)) < probability, strict=True):
        other = source.body_pose[rng.integers(len(source))]
        if happens:
            body_pose[joints] = other[joints]
    return body_pose


def draw_orientation(rng: np.random.Generator, settings: BodySettings) -> np.ndarray:
    """A global orientation (3,) axis-angle in the camera frame.

    The body turns freely about its own vertical, then pitches and rolls with the camera.
    """
    yaw = rng.uniform(-np.pi, np.pi)
    wide = settings.wide_prob > 0 and rng.random() < settings.wide_prob
    spread = [settings.wide_pitch_std, settings.wide_roll_std] if wide else [settings.pitch_std, settings.roll_std]
    pitch, roll = np.deg2rad(rng.normal(0.0, spread))
    lies, side, turn = rng.random() < settings.lying_prob, rng.choice([-1.0, 1.0]), rng.uniform(60.0, 120.0)
    if lies:
        roll += side * np.deg2rad(turn)
    turns = torch.tensor([[0.0, 0.0, roll], [pitch, 0.0, 0.0], _FACE_CAMERA.tolist(), [0.0, yaw, 0.0]])
    roll_turn, pitch_turn, face, yaw_turn = roma.rotvec_to_rotmat(turns.double())
    return roma.rotmat_to_rotvec(roll_turn @ pitch_turn @ face @ yaw_turn).numpy().astype(np.float32)


def place_in_crop(
    keypoints3d: np.ndarray, focal_length: float, image_size: int, rng: np.random.Generator, settings: BodySettings
) -> np.ndarray:
    """Translation that puts a body in the crop as a person detector's crop would.

    The box around the projected keypoints, times ``box_scale`` and a jitter, fills the crop; its centre is the crop's,
    up to a shift.

    Args:
        keypoints3d: (K, 3) metres, oriented as seen by the camera, any origin.
        focal_length: Pixels.
        image_size: Side of the square crop in pixels; the principal point is its centre.
        rng: Source of the jitter.
        settings: Sizes of the jitter.

    Returns:
        (3,) float32 metres to add to the body.
    """
    jitter = rng.uniform(-1.0, 1.0, 3)
    side = image_size / (settings.box_scale * (1.0 + settings.scale_jitter * jitter[0]))
    target = settings.shift_jitter * image_size * jitter[1:]  # of the box's centre, relative to the principal point
    points = keypoints3d.astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    depth = focal_length * (high - low)[:2].max() / side
    offset = np.array([*(target * depth / focal_length), depth]) - middle
    for _ in range(3):  # perspective is weak at these focal lengths: each round leaves a hundredth of the error
        projected = focal_length * (points + offset)[:, :2] / (points + offset)[:, 2:]
        low2d, high2d = projected.min(axis=0), projected.max(axis=0)
        middle_depth = (points[:, 2] + offset[2]).mean()
        offset[:2] += (target - (low2d + high2d) / 2) * middle_depth / focal_length
        offset[2] += middle_depth * ((high2d - low2d).max() / side - 1.0)
    return offset.astype(np.float32)


def _slerp(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """Rotation vectors (..., 3) between two, the shorter way round."""
    between = roma.rotvec_slerp(
        torch.from_numpy(start).double(), torch.from_numpy(end).double(), torch.tensor([share], dtype=torch.float64)
    )
    return between[0].numpy().astype(np.float32)
