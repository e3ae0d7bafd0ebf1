"""Joint angles: their signs by single turns, their sizes by geometry, both sides by a mirror."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support.motions import make_motion

from mion_plugin.body import SMPLBody
from mion_plugin.body.mirroring import mirror_poses
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.inference.motion import save_motion
from mion_plugin.inference.motion.joint_angles import joint_angles
from mion_plugin.inference.motion.recording import RestShape

INDEX = {name: index for index, name in enumerate(keypoint_names("smpl"))}
FACING = np.diag([1.0, -1.0, -1.0])  # upright and towards the camera


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


@pytest.fixture(scope="module")
def shape(body):
    return RestShape.of(body, np.zeros(10))


def angles_of(rotvec, shape):
    """Of axis-angle poses (T, 24, 3), SMPL's axes, relative to upright and facing the camera."""
    pose = Rotation.from_rotvec(np.reshape(rotvec, (-1, 3))).as_matrix().reshape(-1, 24, 3, 3)
    pose[:, 0] = FACING @ pose[:, 0]
    motion = dataclasses.replace(make_motion(len(pose)), pose=pose)
    return joint_angles(motion, shape)


def turned(joint, axis, degrees):
    pose = np.zeros((1, 24, 3))
    pose[0, INDEX[joint]] = np.radians(degrees) * np.array(axis, float)
    return pose


# SMPL's axes: x to the body's left, y up, z ahead. A turn about x by a positive angle takes up to ahead.
@pytest.mark.parametrize(
    ("joint", "axis", "column", "expected"),
    [
        ("pelvis", (1, 0, 0), "pelvis_tilt", 20),  # bows
        ("pelvis", (0, 0, 1), "pelvis_list", 20),  # leans to its right
        ("pelvis", (0, 1, 0), "pelvis_rotation", 20),  # turns to its left
        ("spine_2", (1, 0, 0), "trunk_flexion", 20),
        ("head", (0, 0, 1), "head_bending", 20),
        ("left_hip", (1, 0, 0), "left_hip_flexion", -20),  # thigh backward
        ("right_hip", (1, 0, 0), "right_hip_flexion", -20),
        ("right_hip", (0, 0, 1), "right_hip_adduction", 20),  # foot to the body's left
        ("left_hip", (0, 0, 1), "left_hip_adduction", -20),
        ("right_hip", (0, 1, 0), "right_hip_rotation", 20),  # toes to the body's left
        ("left_hip", (0, 1, 0), "left_hip_rotation", -20),
        ("left_knee", (1, 0, 0), "left_knee_flexion", 20),  # heel to the seat
        ("right_ankle", (1, 0, 0), "right_ankle_dorsiflexion", -20),  # toes down
        ("left_ankle", (0, 0, 1), "left_ankle_inversion", -20),  # the left edge up
        ("left_elbow", (0, 1, 0), "left_elbow_flexion", -20),  # the T-pose's left hand backward
        ("right_elbow", (0, 1, 0), "right_elbow_flexion", 20),
        ("right_elbow", (1, 0, 0), "right_elbow_pronation", 20),  # the thumb down
        ("right_wrist", (0, 0, 1), "right_wrist_flexion", 20),  # fingers down, to the palm
        ("left_wrist", (0, 0, 1), "left_wrist_flexion", -20),
        ("right_wrist", (0, 1, 0), "right_wrist_deviation", -20),  # fingers ahead, to the thumb
    ],
)
def test_one_turn_moves_its_column_in_the_stated_direction(shape, joint, axis, column, expected):
    rest, moved = angles_of(np.zeros((1, 24, 3)), shape), angles_of(turned(joint, axis, 20), shape)
    # an arm's axes at rest are its bone's, some degrees off the body's
    tolerance = 1.5 if any(part in joint for part in ("elbow", "wrist")) else 1e-6
    assert moved[column][0] - rest[column][0] == pytest.approx(expected, abs=tolerance)
    others = [abs(moved[name][0] - rest[name][0]) for name in moved if name != column]
    assert max(others) < (6 if tolerance > 1 else 1e-6)


def test_the_elevation_is_the_angle_between_the_bone_and_the_trunk(body, shape):
    rng = np.random.default_rng(0)
    rotvec = rng.normal(scale=0.4, size=(40, 24, 3))
    angles = angles_of(rotvec, shape)
    joints = body(torch.from_numpy(rotvec).float()).joints.numpy()
    turns = Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    thorax = turns[:, 0] @ turns[:, INDEX["spine_1"]] @ turns[:, INDEX["spine_2"]] @ turns[:, INDEX["spine_3"]]
    for side, outward in (("left", 1), ("right", -1)):
        bone = joints[:, INDEX[f"{side}_elbow"]] - joints[:, INDEX[f"{side}_shoulder"]]
        bone = np.einsum("tji,tj->ti", thorax, bone / np.linalg.norm(bone, axis=1, keepdims=True))
        np.testing.assert_allclose(angles[f"{side}_shoulder_elevation"], np.degrees(np.arccos(-bone[:, 1])), atol=0.1)
        plane = np.degrees(np.arctan2(bone[:, 2], outward * bone[:, 0]))
        np.testing.assert_allclose(angles[f"{side}_shoulder_plane"], plane, atol=0.2)


def test_a_mirrored_pose_has_the_other_sides_angles(shape):
    rotvec = np.random.default_rng(1).normal(scale=0.4, size=(10, 24, 3))
    symmetric = dataclasses.replace(shape, joints=_symmetric(shape.joints))
    angles, mirrored = angles_of(rotvec, symmetric), angles_of(mirror_poses(rotvec), symmetric)
    for name, values in angles.items():
        side, _, rest = name.partition("_")
        if side in ("left", "right"):
            other = f"{'right' if side == 'left' else 'left'}_{rest}"
            np.testing.assert_allclose(mirrored[other], values, atol=1e-6, err_msg=name)
        else:
            sign = 1 if name.endswith(("flexion", "tilt")) else -1
            np.testing.assert_allclose(mirrored[name], sign * values, atol=1e-6, err_msg=name)


def _symmetric(joints):
    swapped = joints[[INDEX[_other(name)] for name in INDEX]] * [-1, 1, 1]
    return (joints + swapped) / 2


def _other(name):
    side, _, rest = name.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)


def test_angles_give_back_the_rotations(shape):
    """Z-X-Y: about the proximal Z, then X, then the distal Y, of the ISB's axes."""
    rotvec = np.random.default_rng(2).normal(scale=0.5, size=(10, 24, 3))
    angles = angles_of(rotvec, shape)
    names = ("right_hip_flexion", "right_hip_adduction", "right_hip_rotation")
    z, x, y = (np.radians(angles[name]) for name in names)
    isb = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    for t in range(10):
        turn = _about(2, z[t]) @ _about(0, x[t]) @ _about(1, y[t])
        expected = Rotation.from_rotvec(rotvec[t, INDEX["right_hip"]]).as_matrix()
        np.testing.assert_allclose(isb.T @ turn @ isb, expected, atol=1e-9)


def _about(axis, angle):
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i], matrix[i, j] = np.sin(angle), -np.sin(angle)
    return matrix


def test_the_table(body, tmp_path):
    motion = make_motion()
    motion.seen[2] = False
    (file,) = save_motion(motion, tmp_path / "a", ["csv"], body)
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["time"]) for row in rows] == pytest.approx(0.5 + np.arange(6) / 30, abs=1e-6)
    assert [row["seen"] for row in rows] == ["1", "1", "0", "1", "1", "1"]
    angles = joint_angles(motion, RestShape.of(body, motion.betas))
    assert list(rows[0]) == ["time", "seen", *angles]
    for name, values in angles.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, atol=6e-4)
