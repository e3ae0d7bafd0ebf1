"""Motion as Biovision BVH, which most animation programs import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.body.arrays import SMPL_PARENTS
from mion_plugin.files import atomic_path
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.inference.motion.recording import Y_UP, BodyMotion, RestShape

UNITS = 100.0  # per metre: BVH names no unit, and most of its files are in centimetres
_TIP = 0.5  # length of the last bone of a limb, of that of the bone before
_ROTATION = "Zrotation Xrotation Yrotation"


def write_bvh(path: Path, motion: BodyMotion, shape: RestShape) -> None:
    """Write ``.bvh``: centimetres, y up, x right and z towards the camera, the origin at the camera.

    The joints have SMPL's names, at rest where the body at rest has them (a T-pose). Rotations are R = Rz Rx Ry, in
    degrees. The root's position channels are the pelvis, absolute, for its offset is zero; other joints have none. A
    limb's last bone, of which SMPL knows no end, goes on by half the one before; the head's straight up, for readers
    take its tip for the crown.
    """
    pose, transl = motion.in_world(Y_UP, shape.joints[0])
    angles = Rotation.from_matrix(pose.reshape(-1, 3, 3)).as_euler("ZXY", degrees=True).reshape(len(motion), -1, 3)
    order, lines = _hierarchy(shape.joints * UNITS)
    values = np.concatenate([(transl + shape.joints[0]) * UNITS, angles[:, order].reshape(len(motion), -1)], axis=1)
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {1 / motion.frame_rate:.8f}"]
    lines += [" ".join(f"{value:.5f}" for value in row) for row in values.tolist()]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def _hierarchy(joints: np.ndarray) -> tuple[list[int], list[str]]:
    """The joints in the order of the file, which is that of the channels, and its upper part."""
    order: list[int] = []
    lines = ["HIERARCHY"]

    def describe(joint: int, depth: int) -> None:
        order.append(joint)
        indent, parent = "\t" * depth, SMPL_PARENTS[joint]
        root = parent < 0
        offset = np.zeros(3) if root else joints[joint] - joints[parent]
        channels = f"6 Xposition Yposition Zposition {_ROTATION}" if root else f"3 {_ROTATION}"
        lines.extend([f"{indent}{'ROOT' if root else 'JOINT'} {keypoint_names('smpl')[joint]}", f"{indent}{{"])
        lines.extend([f"{indent}\tOFFSET {_numbers(offset)}", f"{indent}\tCHANNELS {channels}"])
        children = [child for child, above in enumerate(SMPL_PARENTS) if above == joint]
        for child in children:
            describe(child, depth + 1)
        if not children:
            end = np.array([0.0, np.linalg.norm(offset), 0.0]) if keypoint_names("smpl")[joint] == "head" else offset
            lines.extend([f"{indent}\tEnd Site", f"{indent}\t{{"])
            lines.extend([f"{indent}\t\tOFFSET {_numbers(end * _TIP)}", f"{indent}\t}}"])
        lines.append(f"{indent}}}")

    describe(0, 0)
    return order, lines


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.5f}" for value in values.tolist())
