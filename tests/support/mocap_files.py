"""Small motion capture files, written from known rotations."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.body.arrays import SMPL_PARENTS

# A body in T-pose as Mixamo names it: joint, parent, SMPL's joint of that place, position in metres (x to the left,
# y up, z ahead)
_JOINTS = [
    ("Hips", None, "pelvis", (0, 0, 0)),
    ("Spine", "Hips", "spine_1", (0, 0.12, 0)),
    ("Spine1", "Spine", "spine_2", (0, 0.24, 0)),
    ("Spine2", "Spine1", "spine_3", (0, 0.32, 0)),
    ("Neck", "Spine2", "neck", (0, 0.52, 0.02)),
    ("Head", "Neck", "head", (0, 0.61, 0.05)),
    ("LeftUpLeg", "Hips", "left_hip", (0.09, -0.06, 0)),
    ("LeftLeg", "LeftUpLeg", "left_knee", (0.1, -0.44, 0.02)),
    ("LeftFoot", "LeftLeg", "left_ankle", (0.1, -0.86, 0)),
    ("LeftToeBase", "LeftFoot", "left_foot", (0.12, -0.92, 0.14)),
    ("LeftShoulder", "Spine2", "left_collar", (0.06, 0.45, 0.03)),
    ("LeftArm", "LeftShoulder", "left_shoulder", (0.18, 0.45, 0)),
    ("LeftForeArm", "LeftArm", "left_elbow", (0.44, 0.45, 0)),
    ("LeftHand", "LeftForeArm", "left_wrist", (0.68, 0.45, 0)),
]


@dataclass
class Skeleton:
    """Joints of a body in T-pose: names, parents (J,), positions (J, 3), and SMPL's joint of each."""

    names: list
    parents: np.ndarray
    positions: np.ndarray
    smpl_names: list

    @property
    def offsets(self):
        offsets = self.positions - self.positions[self.parents]
        offsets[0] = 0
        return offsets


def body_skeleton():
    joints = list(_JOINTS)
    for name, parent, smpl, (x, y, z) in _JOINTS:
        if name.startswith("Left"):
            mirrored = [text.replace("Left", "Right").replace("left", "right") for text in (name, parent, smpl)]
            joints.append((*mirrored, (-x, y, z)))
    names = [name for name, *_ in joints]
    parents = [-1 if parent is None else names.index(parent) for _, parent, *_ in joints]
    return Skeleton(names, np.array(parents), np.array([p for *_, p in joints], float), [s for *_, s, _ in joints])


def smpl_rest_joints_of(skeleton):
    """SMPL rest joints (24, 3) at the skeleton's places; hands 10 cm beyond the wrists."""
    from mion_plugin.asset_building.pool.smpl_skeleton import INDEX

    joints = np.zeros((24, 3))
    for name, position in zip(skeleton.smpl_names, skeleton.positions, strict=True):
        joints[INDEX[name]] = position
    for side, outward in (("left", 1), ("right", -1)):
        joints[INDEX[f"{side}_hand"]] = joints[INDEX[f"{side}_wrist"]] + [0.1 * outward, 0, 0]
    return joints


def smpl_offsets(rest_joints):
    """Position (24, 3) of each SMPL joint relative to its parent, in rest pose; root zero."""
    offsets = rest_joints - rest_joints[list(SMPL_PARENTS)]
    offsets[0] = 0
    return offsets


def random_motion(num_frames, seed=0):
    """Local rotation vectors (T, J, 3) of ``body_skeleton``: moderate turns, elbows and knees bending their own way."""
    rng = np.random.default_rng(seed)
    skeleton = body_skeleton()
    rotvec = rng.normal(0, 0.25, (num_frames, len(skeleton.names), 3))
    bend = rng.uniform(0.2, 1.6, (num_frames, 4))
    for column, (name, axis) in enumerate(
        [
            ("LeftLeg", (1, 0, 0)),
            ("RightLeg", (1, 0, 0)),
            ("LeftForeArm", (0, -0.866, 0.5)),
            ("RightForeArm", (0, 0.866, -0.5)),
        ]
    ):
        rotvec[:, skeleton.names.index(name)] = bend[:, [column]] * np.array(axis)
    return rotvec


def local_matrices(rotvec):
    return Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_matrix().reshape(*rotvec.shape, 3)


def forward_kinematics(parents, offsets, local):
    """Frame by frame, joint by joint: world rotations (T, J, 3, 3) and positions (T, J, 3)."""
    rotations, positions = np.zeros_like(local), np.zeros(local.shape[:-1])
    for frame in range(len(local)):
        for joint, parent in enumerate(parents):
            if parent < 0:
                rotations[frame, joint] = local[frame, joint]
            else:
                rotations[frame, joint] = rotations[frame, parent] @ local[frame, joint]
                positions[frame, joint] = positions[frame, parent] + rotations[frame, parent] @ offsets[joint]
    return rotations, positions


def with_frames(local, offsets, parents, frames):
    """The same motion on a skeleton whose joint frames are turned by ``frames`` (J, 3, 3) against the T-pose's."""
    turned, turned_offsets = np.empty_like(local), np.empty_like(offsets)
    for joint, parent in enumerate(parents):
        above = np.eye(3) if parent < 0 else frames[parent]
        turned[:, joint] = above.T @ local[:, joint] @ frames[joint]
        turned_offsets[joint] = above.T @ offsets[joint]
    return turned, turned_offsets


def write_bvh(path, names, parents, offsets, local, order="ZXY", fps=10.0):
    """Write local rotations (T, J, 3, 3); every joint has rotation channels in ``order``, the root positions too."""
    lines, sequence = ["HIERARCHY"], []

    def write_joint(joint, depth):
        indent = "  " * depth
        sequence.append(joint)
        lines.append(f"{indent}{'ROOT' if parents[joint] < 0 else 'JOINT'} {names[joint]}")
        lines.append(indent + "{")
        lines.append(f"{indent}  OFFSET " + " ".join(f"{value:.8f}" for value in offsets[joint]))
        channels = [f"{axis}rotation" for axis in order]
        if parents[joint] < 0:
            channels = ["Xposition", "Yposition", "Zposition", *channels]
        lines.append(f"{indent}  CHANNELS {len(channels)} {' '.join(channels)}")
        children = [child for child, parent in enumerate(parents) if parent == joint]
        for child in children:
            write_joint(child, depth + 1)
        if not children:
            lines.extend(f"{indent}  {line}" for line in ("End Site", "{", "  OFFSET 0.0 0.05 0.0", "}"))
        lines.append(indent + "}")

    write_joint(0, 0)
    lines += ["MOTION", f"Frames: {len(local)}", f"Frame Time: {1 / fps:.8f}"]
    for frame in local:
        values = [1.0, 2.0, 3.0]
        for joint in sequence:
            values.extend(Rotation.from_matrix(frame[joint]).as_euler(order, degrees=True))
        lines.append(" ".join(f"{value:.8f}" for value in values))
    path.write_text("\n".join(lines) + "\n")


def write_body_bvh(path, num_frames=12, seed=0, fps=10.0):
    """A motion of ``body_skeleton`` as BVH; returns its local rotation vectors."""
    skeleton, rotvec = body_skeleton(), random_motion(num_frames, seed)
    write_bvh(path, skeleton.names, skeleton.parents, skeleton.offsets, local_matrices(rotvec), fps=fps)
    return rotvec


# bone, parent, direction, length, axis (degrees), degrees of freedom: a body in the manner of CMU's skeletons
_ASF_BONES = [
    ("lhipjoint", "root", (0.6, -0.75, 0.3), 2.4, (0, 0, 0), ""),
    ("lfemur", "lhipjoint", (0.34202, -0.939693, 0), 7.2, (0, 0, 20), "rx ry rz"),
    ("ltibia", "lfemur", (0.34202, -0.939693, 0), 7.5, (0, 0, 20), "rx"),
    ("lfoot", "ltibia", (0.0666, -0.1829, 0.9809), 2.4, (-90, 0, 20), "rx rz"),
    ("ltoes", "lfoot", (0, 0, 1), 1.2, (-90, 0, 20), "rx"),
    ("lowerback", "root", (0, 1, 0), 2, (0, 0, 0), "rx ry rz"),
    ("upperback", "lowerback", (0, 1, 0), 2, (0, 0, 0), "rx ry rz"),
    ("thorax", "upperback", (0, 1, 0), 2, (0, 0, 0), "rx ry rz"),
    ("lowerneck", "thorax", (0, 1, 0), 1.7, (0, 0, 0), "rx ry rz"),
    ("head", "lowerneck", (0, 1, 0), 1.7, (0, 0, 0), "rx ry rz"),
    ("lclavicle", "thorax", (0.9, 0.4, -0.1), 3.4, (0, 0, 0), "ry rz"),
    ("lhumerus", "lclavicle", (1, 0, 0), 5.2, (180, -30, -90), "rx ry rz"),
    ("lradius", "lhumerus", (1, 0, 0), 3.4, (180, -30, -90), "rx"),
    ("lwrist", "lradius", (1, 0, 0), 1.7, (0, 90, 90), "ry"),
    ("lhand", "lwrist", (1, 0, 0), 0.7, (0, 90, 90), "rx rz"),
]


def asf_bones():
    """The bones with the right side, whose directions and axes are mirrored."""
    bones = list(_ASF_BONES)
    for name, parent, (x, *direction), length, (ax, ay, az), dof in _ASF_BONES:
        if name.startswith("l") and not name.startswith("lower"):
            above = "r" + parent[1:] if parent.startswith("l") else parent
            bones.append(("r" + name[1:], above, (-x, *direction), length, (ax, -ay, -az), dof))
    return bones


def write_asf(path):
    lines = [":version 1.10", ":name test", ":units", "  mass 1.0", "  length 0.45", "  angle deg", ":root"]
    lines += ["  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0", "  orientation 0 0 0", ":bonedata"]
    for number, (name, _, direction, length, axis, dof) in enumerate(asf_bones(), start=1):
        lines += ["  begin", f"    id {number}", f"    name {name}"]
        lines += [f"    direction {' '.join(map(str, direction))}", f"    length {length}"]
        lines += [f"    axis {' '.join(map(str, axis))} XYZ"]
        if dof:
            lines += [f"    dof {dof}", "    limits " + "\n".join(["(-180.0 180.0)"] * len(dof.split()))]
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    for parent in dict.fromkeys(parent for _, parent, *_ in asf_bones()):
        lines += [f"    {parent} " + " ".join(name for name, above, *_ in asf_bones() if above == parent)]
    path.write_text("\n".join([*lines, "  end"]) + "\n")


def write_amc(path, num_frames=4, seed=0, step=1, scale=25.0):
    """Random angles of normal spread ``scale`` degrees."""
    rng = np.random.default_rng(seed)
    lines = ["#!OML:ASF test.asf", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(num_frames):
        lines += [str(1 + frame * step), "root " + " ".join(map(str, rng.normal(0, scale, 6)))]
        for name, *_, dof in asf_bones():
            if dof:
                lines += [f"{name} " + " ".join(map(str, rng.normal(0, scale, len(dof.split()))))]
    path.write_text("\n".join(lines) + "\n")


def write_amass(path, num_frames=20, width=156, fps=120.0, seed=0):
    """An AMASS file with hands; returns its poses."""
    poses = np.random.default_rng(seed).normal(0, 0.2, (num_frames, width))
    np.savez(path, poses=poses, trans=np.zeros((num_frames, 3)), mocap_framerate=fps, betas=np.zeros(16))
    return poses
