"""From the frames of a video to each person's motion at an even rate."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp

from mion_plugin.body import SMPLBody
from mion_plugin.body.rest_joints import RestJoints
from mion_plugin.inference.frames import FramePeople
from mion_plugin.inference.meshes import TO_Y_UP

_EVEN = 0.1  # of the time between two frames: time stamps that are no farther off count as even


@dataclass(frozen=True)
class BodyMotion:
    """One person's motion, T poses at an even rate, in the frame of the video's ``image_camera``.

    x right, y down, z into the scene, metres, the origin at the camera, which is taken to stand still. Where the person
    was not seen, the pose is interpolated between those before and after.

    Attributes:
        person: Number of the person.
        frame_rate: Poses per second.
        start: Time of the first pose in the video, seconds.
        pose: (T, 24, 3, 3) rotation matrices, index 0 the global orientation, about the pelvis.
        betas: (10,) the mean of all frames: a rig has one shape.
        transl: (T, 3), such that the pelvis is where the frame's own betas had it.
        seen: (T,) whether the pose is a frame's own.
    """

    person: int
    frame_rate: float
    start: float
    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.pose)

    @property
    def times(self) -> np.ndarray:
        """(T,) seconds from the first pose."""
        return np.arange(len(self)) / self.frame_rate

    def in_world(self, world: np.ndarray, rest_pelvis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pose (T, 24, 3, 3) and transl (T, 3) in a frame with other axes.

        Args:
            world: (3, 3) the camera's axes to that frame's.
            rest_pelvis: (3,) the pelvis joint of the shape at rest, about which the body turns.
        """
        pose = self.pose.copy()
        pose[:, 0] = world @ pose[:, 0]
        return pose, (self.transl + rest_pelvis) @ world.T - rest_pelvis


# Axes of the camera (y down, z ahead) to: y up, z towards the viewer (glTF, BVH); z up, y ahead (AMASS, Blender).
Y_UP = np.diag(TO_Y_UP.astype(np.float64))
Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass
class _Samples:
    """What the frames tell of one person."""

    times: list[float] = field(default_factory=list)
    poses: list[np.ndarray] = field(default_factory=list)
    betas: list[np.ndarray] = field(default_factory=list)
    transl: list[np.ndarray] = field(default_factory=list)


class MotionRecorder:
    """Keeps the chosen bodies of a video's people, about 1 KB per person and frame.

    Args:
        body: The body model.
        frame_rate: Of the motions, frames per second.
    """

    def __init__(self, body: SMPLBody, frame_rate: float) -> None:
        self.body, self.frame_rate = body, frame_rate
        self._people: dict[int, _Samples] = {}

    def add(self, result: FramePeople) -> None:
        """Note the people of a frame later than the last; a frame of the last one's time tells nothing new."""
        time = result.frame.time
        time = result.frame.index / self.frame_rate if time is None else time
        for person in result.people:
            samples, n = self._people.setdefault(person.person, _Samples()), person.selected
            if samples.times and time <= samples.times[-1]:
                continue
            samples.times.append(time)
            samples.poses.append(person.pose[n])
            samples.betas.append(person.betas[n])
            samples.transl.append(person.image_transl[n])

    def motions(self) -> list[BodyMotion]:
        """Everyone's motion, by their numbers."""
        return [self._motion(number, self._people[number]) for number in sorted(self._people)]

    def _motion(self, number: int, samples: _Samples) -> BodyMotion:
        betas = np.stack(samples.betas)
        shape = betas.mean(axis=0)
        rest = RestJoints.of(self.body.arrays)
        transl = np.stack(samples.transl) + rest.pelvis(betas) - rest.pelvis(shape)
        at, seen = _on_grid(np.array(samples.times), self.frame_rate)
        steps = np.arange(len(seen))
        return BodyMotion(
            number,
            self.frame_rate,
            samples.times[0],
            _interpolated_rotations(at, np.stack(samples.poses).astype(np.float64), steps),
            shape.astype(np.float64),
            np.stack([np.interp(steps, at, axis) for axis in transl.T], axis=1),
            seen,
        )


def _on_grid(times: np.ndarray, frame_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Times in steps of an even rate, those that are nearly even made so; and which steps are a sample's own."""
    at = (times - times[0]) * frame_rate
    whole = np.round(at)
    if (np.abs(at - whole) <= _EVEN).all() and (np.diff(whole) > 0).all():
        at = whole
    seen = np.zeros(int(whole[-1]) + 1, bool)
    seen[whole.astype(int)] = True
    return at, seen


def _interpolated_rotations(at: np.ndarray, rotations: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Rotations (T, J, 3, 3) at steps, between those known (K, J, 3, 3); the ends go on as they are."""
    if len(at) == 1:
        return rotations
    inside = steps.clip(at[0], at[-1])
    joints = [Slerp(at, Rotation.from_matrix(joint))(inside).as_matrix() for joint in rotations.swapaxes(0, 1)]
    return np.stack(joints, axis=1)


@dataclass(frozen=True)
class RestShape:
    """A body at rest, SMPL's axes (x to its left, y up, z ahead), metres.

    Attributes:
        joints: (24, 3).
        vertices: (V, 3).
        faces: (F, 3).
        weights: (V, 24) of linear blend skinning.
        gender: Of the body model.
    """

    joints: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    gender: str

    @classmethod
    @torch.no_grad()
    def of(cls, body: SMPLBody, betas: np.ndarray) -> RestShape:
        """Of a shape (10,)."""
        shape = torch.from_numpy(betas).to(body.v_template)
        posed = body(torch.zeros(24, 3).to(shape), shape)
        joints, vertices = (points.cpu().numpy() for points in (posed.joints, posed.vertices))
        return cls(joints, vertices, body.arrays.faces, body.arrays.weights, body.gender)
