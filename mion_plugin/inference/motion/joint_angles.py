"""Motion as a table of joint angles in degrees, by the joint coordinate systems of the ISB where they fit.

Wu et al. 2002 (hip, ankle, spine; the knee after Grood and Suntay 1983) and 2005 (shoulder, elbow, wrist). Segment axes
are the ISB's: X ahead, Y up along the segment, Z to the right. They are SMPL's axes renamed, not found from bony
landmarks, of which SMPL has none: so zero is SMPL's rest pose, a T-pose, for every joint but the arms'. An arm's zero
is the arm hanging, thumb ahead, from which the shortest turn leads to the T-pose.

Left limbs are mirrored, so that a sign means the same on both sides. Sequences are Z-X-Y (flexion about the axis of the
proximal segment, then about the floating axis, then about the long axis of the distal one), the shoulder's Y-X-Y. The
first joint of a name below is relative to the segment nearer the pelvis; the trunk is the thorax (``spine_3``) relative
to the pelvis, the head relative to the thorax, the shoulder the humerus relative to the thorax, clavicle included.

| column | positive |
|---|---|
| ``pelvis_tilt``, ``_list``, ``_rotation`` | forward, to the right, to the left of upright and facing the camera |
| ``trunk_`` and ``head_flexion``, ``_bending``, ``_rotation`` | forward, to the right, to the left |
| ``hip_flexion``, ``_adduction``, ``_rotation`` | thigh forward, to the middle, inwards |
| ``knee_flexion``, ``_adduction``, ``_rotation`` | heel to the seat, shank to the middle (varus), inwards |
| ``ankle_dorsiflexion``, ``_inversion``, ``_rotation`` | toes up, sole to the middle, inwards |
| ``shoulder_plane``, ``_elevation``, ``_rotation`` | 0 to the side and 90 ahead, 0 hanging, inwards |
| ``elbow_flexion``, ``_carrying``, ``_pronation`` | forearm to the upper arm, to the middle, palm down |
| ``wrist_flexion``, ``_deviation``, ``_pronation`` | to the palm, to the little finger, palm down |

Where an arm hangs straight, plane and rotation of the shoulder are not told apart; their sum is.
"""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.files import atomic_path
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.inference.motion.recording import Y_UP, BodyMotion, RestShape

_INDEX = {name: index for index, name in enumerate(keypoint_names("smpl"))}
# SMPL's axes (x left, y up, z ahead) to the ISB's (X ahead, Y up, Z right)
_ISB = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
_MIRROR = np.diag([1.0, 1.0, -1.0])
_TRUNK = ("spine_1", "spine_2", "spine_3")
_PALM_AHEAD = Rotation.from_euler("Y", -90, degrees=True).as_matrix()  # from thumb ahead
Angles = dict[str, np.ndarray]


def write_angles(path: Path, motion: BodyMotion, shape: RestShape) -> None:
    """Write ``.csv``: for each pose ``time`` in seconds of the video, ``seen`` (0: interpolated) and the angles."""
    angles = joint_angles(motion, shape)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "seen", *angles])
    columns = np.stack(list(angles.values()), axis=1)
    for time, seen, row in zip(motion.times + motion.start, motion.seen, columns.tolist(), strict=True):
        writer.writerow([f"{time:.6f}", int(seen), *(f"{value:.3f}" for value in row)])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="ascii")


def joint_angles(motion: BodyMotion, shape: RestShape) -> Angles:
    """Column -> (T,) degrees from -180 to 180; see the module."""
    pose, _ = motion.in_world(Y_UP, shape.joints[0])
    local = {name: _ISB @ pose[:, index] @ _ISB.T for name, index in _INDEX.items()}
    joints = {name: _ISB @ shape.joints[index] for name, index in _INDEX.items()}
    found = _spine(local)
    for side in ("left", "right"):
        mirror = _MIRROR if side == "left" else np.eye(3)
        of_side = {name.removeprefix(f"{side}_"): mirror @ turn @ mirror for name, turn in local.items()}
        upper_arm = mirror @ (joints[f"{side}_elbow"] - joints[f"{side}_shoulder"])
        for angles in (_leg(of_side), _arm(of_side, upper_arm)):
            found |= {f"{side}_{name}": values for name, values in angles.items()}
    return found


def _spine(local: Angles) -> Angles:
    trunk = local[_TRUNK[0]] @ local[_TRUNK[1]] @ local[_TRUNK[2]]
    return {
        **_three(local["pelvis"], ("pelvis_tilt", "pelvis_list", "pelvis_rotation"), (-1, 1, 1)),
        **_three(trunk, ("trunk_flexion", "trunk_bending", "trunk_rotation"), (-1, 1, 1)),
        **_three(local["neck"] @ local["head"], ("head_flexion", "head_bending", "head_rotation"), (-1, 1, 1)),
    }


def _leg(local: Angles) -> Angles:
    return {
        **_three(local["hip"], ("hip_flexion", "hip_adduction", "hip_rotation"), (1, 1, 1)),
        **_three(local["knee"], ("knee_flexion", "knee_adduction", "knee_rotation"), (-1, 1, 1)),
        **_three(local["ankle"], ("ankle_dorsiflexion", "ankle_inversion", "ankle_rotation"), (1, 1, 1)),
    }


def _arm(local: Angles, upper_arm: np.ndarray) -> Angles:
    """Of a right arm, or a mirrored left one; ``upper_arm`` (3,) points to the elbow at rest."""
    to_rest = _shortest_turn(np.array([0.0, -1.0, 0.0]), upper_arm / np.linalg.norm(upper_arm))
    shoulder = local["collar"] @ local["shoulder"] @ to_rest
    elbow = to_rest.T @ local["elbow"] @ to_rest
    wrist = _PALM_AHEAD @ to_rest.T @ local["wrist"] @ to_rest @ _PALM_AHEAD.T
    plane, elevation, rotation = _euler(shoulder, "YXY").T
    return {
        # the ISB turns by a negative angle about X
        "shoulder_plane": _wrapped(plane + 180),
        "shoulder_elevation": elevation,
        "shoulder_rotation": _wrapped(rotation + 180),
        **_three(elbow, ("elbow_flexion", "elbow_carrying", "elbow_pronation"), (1, 1, 1)),
        **_three(wrist, ("wrist_flexion", "wrist_deviation", "wrist_pronation"), (1, 1, 1)),
    }


def _shortest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) that takes a direction to another, which is not opposite."""
    axis = np.cross(start, end)
    angle = np.arctan2(np.linalg.norm(axis), start @ end)
    return Rotation.from_rotvec(axis / max(np.linalg.norm(axis), 1e-12) * angle).as_matrix()


def _three(rotations: np.ndarray, names: tuple[str, str, str], signs: tuple[int, int, int]) -> Angles:
    """The angles about Z, X and Y."""
    return dict(zip(names, (_euler(rotations, "ZXY") * signs).T, strict=True))


def _euler(rotations: np.ndarray, sequence: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gimbal lock", UserWarning)  # the module tells where
        return Rotation.from_matrix(rotations).as_euler(sequence, degrees=True)


def _wrapped(degrees: np.ndarray) -> np.ndarray:
    """Within -180 to 180."""
    return (degrees + 180) % 360 - 180
