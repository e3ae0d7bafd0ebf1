"""Motion capture as other programs write it: the rotations and names that the file states."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.mocap_files import asf_bones, body_skeleton, write_amc, write_asf, write_body_bvh

from mion_plugin.asset_building.pool.asf_amc import read_asf_amc
from mion_plugin.asset_building.pool.bvh import read_bvh
from mion_plugin.asset_building.pool.skeletons import map_body


@pytest.fixture
def files(tmp_path):
    write_asf(tmp_path / "a.asf")
    write_amc(tmp_path / "a.amc", num_frames=2)
    return tmp_path


def change(path, *pairs):
    text = path.read_text()
    for old, new in pairs:
        assert re.search(old, text), old
        text = re.sub(old, new, text)
    path.write_text(text)


def local_rotation(motion, name, frame=0):
    joint = motion.joint_names.index(name)
    parent = motion.parents[joint]
    above = np.eye(3) if parent < 0 else motion.rotations[frame, parent]
    return above.T @ motion.rotations[frame, joint]


def values_of(path, name):
    """The numbers of a bone's first line."""
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name} "))
    return [float(word) for word in line.split()[1:]]


class TestAsfOrders:
    @pytest.mark.parametrize("order", ["xyz", "zyx", "yxz", "zxy"])
    def test_degrees_of_freedom_turn_in_the_order_that_they_are_listed_in(self, files, order):
        change(files / "a.asf", ("dof rx ry rz", "dof " + " ".join(f"r{axis}" for axis in order)))
        motion = read_asf_amc(files / "a.amc")
        for name, *_, axis, dof in asf_bones():
            if dof == "rx ry rz":
                frame = Rotation.from_euler("xyz", axis, degrees=True)
                turn = Rotation.from_euler(order, values_of(files / "a.amc", name), degrees=True)  # about fixed axes
                expected = (frame * turn * frame.inv()).as_matrix()
                np.testing.assert_allclose(local_rotation(motion, name), expected, atol=1e-12)

    @pytest.mark.parametrize("order", ["TX TY TZ RZ RY RX", "RY RX RZ TX TY TZ", "tx rx ty ry tz rz"])
    def test_the_roots_order(self, files, order):
        change(files / "a.asf", ("TX TY TZ RX RY RZ", order))
        values = values_of(files / "a.amc", "root")
        turns = [(word[1].lower(), value) for word, value in zip(order.split(), values, strict=True) if word[0] in "Rr"]
        expected = Rotation.from_euler("".join(axis for axis, _ in turns), [value for _, value in turns], degrees=True)
        motion = read_asf_amc(files / "a.amc")
        np.testing.assert_allclose(local_rotation(motion, "root"), expected.as_matrix(), atol=1e-12)

    @pytest.mark.parametrize("order", ["ZYX", "yzx"])
    def test_the_axis_order(self, files, order):
        change(files / "a.asf", (r"axis (\S+ \S+ \S+) XYZ", rf"axis \1 {order}"))
        motion = read_asf_amc(files / "a.amc")
        name, axis = next((bone[0], bone[4]) for bone in asf_bones() if bone[0] == "lhumerus")
        frame = Rotation.from_euler(order.lower(), axis, degrees=True)
        turn = Rotation.from_euler("xyz", values_of(files / "a.amc", name), degrees=True)
        np.testing.assert_allclose(local_rotation(motion, name), (frame * turn * frame.inv()).as_matrix(), atol=1e-12)

    def test_limits_are_not_needed_and_do_not_tell_what_moves(self, files):
        expected = read_asf_amc(files / "a.amc").rotations
        text = (files / "a.asf").read_text()
        for limits in ("", "limits (0 0) (0 0) (0 0)", "limits (-inf inf)"):
            (files / "a.asf").write_text(re.sub(r"limits (\([^)]*\)\s*)+", f"{limits}\n", text))
            np.testing.assert_array_equal(read_asf_amc(files / "a.amc").rotations, expected)

    def test_comments_masses_and_radians(self, files):
        expected = read_asf_amc(files / "a.amc")
        masses = r"\1    bodymass 2.5 # kg\n    cofmass 1.0\n"
        change(files / "a.asf", (r"(    axis .*\n)", masses), (":root", "# the hips\n:root"))
        lines = (files / "a.amc").read_text().replace(":DEGREES", ":RADIANS").splitlines()
        for number, line in enumerate(lines):
            word, *numbers = line.split()
            if numbers and not word.startswith((":", "#")):
                kept = 3 if word == "root" else 0
                angles = [float(value) * np.pi / 180 for value in numbers[kept:]]
                lines[number] = " ".join([word, *numbers[:kept], *map(str, angles)])
        (files / "a.amc").write_text("\n".join(lines))
        np.testing.assert_allclose(read_asf_amc(files / "a.amc").rotations, expected.rotations, atol=1e-12)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("dof rx ry rz", "dof rx ry tz", "has the degrees of freedom rx ry tz, expected rx, ry and rz alone"),
            ("dof rx\n", "dof rx l\n", "has the degrees of freedom rx l"),
            ("20 XYZ", "20 XYX", "has the axis '0 0 20 XYX', expected 0 0 0 XYZ"),
            ("orientation 0 0 0", "orientation 0 90 0", "root orientation is 0 90 0, only 0 0 0 is supported"),
            ("RX RY RZ", "RX RY RY", "root channels are 'tx ty tz rx ry ry'"),
        ],
    )
    def test_what_is_not_obeyed_is_refused(self, files, old, new, message):
        change(files / "a.asf", (old, new))
        with pytest.raises(ValueError, match=rf"a\.asf: .*{message}"):
            read_asf_amc(files / "a.amc")


class TestBvh:
    @pytest.mark.parametrize(
        "pair",
        [
            ("Frames: ", "Frames:"),
            ("Frames: ", "Frames :\t"),
            ("Frame Time: ", "Frame Time:"),
            (r"(\d)\.(\d)", r"\1,\2"),
            (r"(JOINT \w+)\s*{", r"\1 {"),
            ("HIERARCHY", "\n\nHIERARCHY"),
            ("\n", "\r\n"),
        ],
    )
    def test_spelling(self, tmp_path, pair):
        write_body_bvh(tmp_path / "a.bvh", num_frames=3)
        expected = read_bvh(tmp_path / "a.bvh")
        change(tmp_path / "a.bvh", pair)
        found = read_bvh(tmp_path / "a.bvh")
        np.testing.assert_array_equal(found.rotations, expected.rotations)
        assert found.fps == expected.fps == pytest.approx(10)

    def test_names_with_blanks(self, tmp_path):
        write_body_bvh(tmp_path / "a.bvh", num_frames=3)
        expected = read_bvh(tmp_path / "a.bvh").joint_names
        change(tmp_path / "a.bvh", (r"(ROOT|JOINT) (\w+)", r"\1 Actor 2 \2"))
        assert read_bvh(tmp_path / "a.bvh").joint_names == tuple(f"Actor_2_{name}" for name in expected)

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
    def test_encodings(self, tmp_path, encoding):
        write_body_bvh(tmp_path / "a.bvh", num_frames=3)
        expected = read_bvh(tmp_path / "a.bvh")
        text = (tmp_path / "a.bvh").read_text().replace("Spine1", "Rücken")
        (tmp_path / "a.bvh").write_bytes(text.encode(encoding))
        np.testing.assert_array_equal(read_bvh(tmp_path / "a.bvh").rotations, expected.rotations)

    def test_a_frame_time_that_is_no_number(self, tmp_path):
        write_body_bvh(tmp_path / "a.bvh", num_frames=3)
        change(tmp_path / "a.bvh", (r"Frame Time: \S+", "Frame Time: fast"))
        with pytest.raises(ValueError, match="frame time 'fast', expected a number of seconds"):
            read_bvh(tmp_path / "a.bvh")


@pytest.mark.parametrize(
    "prefix",
    [
        "Character1_",
        "mixamorig:",
        "Actor 2:",
        "rig|b_",
        "Bip001 ",
        "Take_01:Skeleton_",
        "mixamorig9:",
        "Left Foot Ltd_",
    ],
)
def test_joints_with_a_characters_name_before_theirs(prefix):
    skeleton = body_skeleton()
    expected = map_body(skeleton.names, skeleton.parents)
    names = [prefix + name for name in skeleton.names]
    assert map_body(names, skeleton.parents) == expected
    names[0] = "Reference"  # the root may have another name
    assert map_body(names, skeleton.parents) == expected


def test_sides_are_no_prefix():
    skeleton = body_skeleton()
    expected = map_body(skeleton.names, skeleton.parents)
    names = [name.replace("Left", "Left_").replace("Right", "Right_") for name in skeleton.names]
    assert map_body(names, skeleton.parents) == expected
    letters = [name.replace("Left", "L_").replace("Right", "R_") for name in skeleton.names]
    assert map_body(letters, skeleton.parents) == expected


# Hip, knee, ankle, toe, collar, shoulder, elbow, wrist and what hangs on it, with @ for the side; trunk, neck, head.
DIALECTS = {
    "SMPL": ("@_Hip @_Knee @_Ankle @_Foot @_Collar @_Shoulder @_Elbow @_Wrist @_Hand", "Spine1", "Neck", "Head"),
    "Kinect": ("HIP_@ KNEE_@ ANKLE_@ FOOT_@ CLAVICLE_@ SHOULDER_@ ELBOW_@ WRIST_@ HAND_@", "CHEST", "NECK", "HEAD"),
    "CMU for Daz": ("@Thigh @Shin @Foot @Toe @Collar @Shldr @ForeArm @Hand @Thumb1", "chest", "neck", "head"),
    "Daz Genesis": (
        "@ThighBend @Shin @Foot @Toe @Collar @ShldrBend @ForearmBend @Hand @Thumb1",
        "chestLower",
        "neckLower",
        "head",
    ),
    "Rigify": (
        "DEF-thigh.@ DEF-shin.@ DEF-foot.@ DEF-toe.@ DEF-shoulder.@ DEF-upper_arm.@ DEF-forearm.@ DEF-hand.@ palm.@",
        "DEF-spine.001",
        "DEF-spine.004",
        "DEF-spine.006",
    ),
    "VRM": (
        "J_Bip_@_UpperLeg J_Bip_@_LowerLeg J_Bip_@_Foot J_Bip_@_ToeBase J_Bip_@_Shoulder J_Bip_@_UpperArm "
        "J_Bip_@_LowerArm J_Bip_@_Hand J_Bip_@_Index1",
        "J_Bip_C_Spine",
        "J_Bip_C_Neck",
        "J_Bip_C_Head",
    ),
    "Maya": (
        "Hip_@ Knee_@ Ankle_@ Toes_@ Scapula_@ Shoulder_@ Elbow_@ Wrist_@ Cup_@",
        "Spine1_M",
        "Neck_M",
        "Head_M",
    ),
    "Biped": (
        "Bip001_@_Thigh Bip001_@_Calf Bip001_@_Foot Bip001_@_Toe0 Bip001_@_Clavicle Bip001_@_UpperArm "
        "Bip001_@_Forearm Bip001_@_Hand Bip001_@_Finger0",
        "Bip001_Spine",
        "Bip001_Neck",
        "Bip001_Head",
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_joints_by_the_names_of_other_programs(dialect):
    sided, *central = DIALECTS[dialect]
    roles = ("hip", "knee", "ankle", "toe", "collar", "shoulder", "elbow", "wrist", "beyond")
    names, parents = ["Root", *central], [-1, 0, 1, 2]
    for letter in "lr":
        for role, name in zip(roles, sided.replace("@", letter).split(), strict=True):
            parents.append({"hip": 0, "collar": 1}.get(role, len(names) - 1))
            names.append(name)
    body = map_body(names, np.array(parents))
    assert [body.pelvis, *body.trunk, body.neck, body.head] == [0, 1, 2, 3]
    assert [body.left[role] for role in roles[:-1]] == list(range(4, 12))
    assert [body.right[role] for role in roles[:-1]] == list(range(13, 21))
