import collections
import os
import pickle
import re
import sys

import bvhio
import numpy as np
import pyacclaim
import pytest
from scipy.spatial.transform import Rotation
from support.mocap_files import (
    body_skeleton,
    forward_kinematics,
    local_matrices,
    random_motion,
    smpl_offsets,
    smpl_rest_joints_of,
    write_amass,
    write_amc,
    write_asf,
    write_body_bvh,
    write_bvh,
)

from mion_plugin.asset_building.pool.asf_amc import read_asf_amc
from mion_plugin.asset_building.pool.bvh import read_bvh
from mion_plugin.asset_building.pool.poselib_npy import read_poselib_npy
from mion_plugin.asset_building.pool.skeleton_npz import read_skeleton_npz
from mion_plugin.asset_building.pool.smpl_arrays import read_smpl_array, smpl_poses
from mion_plugin.asset_building.pool.sources import _read
from mion_plugin.body.arrays import SMPL_PARENTS


class TestBvh:
    @pytest.mark.parametrize("order", ["ZXY", "XYZ", "ZYX"])
    def test_positions_are_those_of_bvhio(self, tmp_path, order):
        skeleton, path = body_skeleton(), tmp_path / "a.bvh"
        local = local_matrices(random_motion(3))
        write_bvh(path, skeleton.names, skeleton.parents, skeleton.offsets, local, order=order, fps=25)
        motion = read_bvh(path)
        positions = motion.positions()
        hierarchy = bvhio.readAsHierarchy(str(path))
        for frame in range(3):
            for joint, *_ in hierarchy.loadPose(frame).layout():
                expected = joint.PositionWorld - hierarchy.PositionWorld
                ours = positions[frame, motion.joint_names.index(joint.Name)]
                np.testing.assert_allclose(ours, [*expected], atol=1e-5)
        assert motion.fps == pytest.approx(25)

    def test_tips_become_joints_and_root_offset_does_not_matter(self, tmp_path):
        write_body_bvh(tmp_path / "a.bvh")
        motion = read_bvh(tmp_path / "a.bvh", name="clip")
        assert motion.name == "clip"
        tip = motion.joint_names.index("Head_end")
        assert motion.joint_names[motion.parents[tip]] == "Head"
        np.testing.assert_allclose(motion.offsets[tip], [0, 0.05, 0], atol=1e-7)
        assert (motion.positions()[:, 0] == 0).all()

    def test_position_channels_below_the_root_are_ignored(self, tmp_path):
        text = (
            "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Xrotation Yrotation Zrotation\n"
            "JOINT b\n{\nOFFSET 0 1 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation\n"
            "End Site\n{\nOFFSET 0 2 0\n}\n}\n}\n"
            "MOTION\nFrames: 1\nFrame Time: 0.1\n0 0 90 7 8 9 90 0 0\n"
        )
        (tmp_path / "a.bvh").write_text(text)
        positions = read_bvh(tmp_path / "a.bvh").positions()[0]
        np.testing.assert_allclose(positions, [[0, 0, 0], [-1, 0, 0], [-1, -2, 0]], atol=1e-12)

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda text: "", "no HIERARCHY"),
            (lambda text: text[:300], "no HIERARCHY followed by MOTION"),
            (lambda text: text[: text.index("MOTION") + 6], "no HIERARCHY followed by MOTION"),
            (lambda text: text[: text.index("Frame Time")], "no HIERARCHY followed by MOTION"),
            (lambda text: text[:-400], "truncated file"),
            (lambda text: text.replace("Frames: 12", "Frames: 0"), "truncated file"),
            (lambda text: text.replace("1.00000000 2.0", "one 2.0", 1), "damaged BVH motion"),
            (lambda text: text.replace("OFFSET", "OFSET", 1), "damaged BVH hierarchy"),
            (lambda text: text.replace("}", "", 1), "damaged BVH hierarchy"),
            (lambda text: text.replace("Frame Time: 0.1", "Frame Time: -0.1"), "frame time"),
            (lambda text: text.replace("1.00000000 2.0", "1.0 2.0", 1).replace("\n1.0 ", "\nnan ", 1), None),
        ],
    )
    def test_damaged_files_are_refused(self, tmp_path, damage, message):
        path = tmp_path / "a.bvh"
        write_body_bvh(path)
        path.write_text(damage(path.read_text()))
        if message is None:  # the root's position may be anything
            assert len(read_bvh(path)) == 12
        else:
            with pytest.raises(ValueError, match=message):
                read_bvh(path)

    def test_not_a_number_is_refused(self, tmp_path):
        path = tmp_path / "a.bvh"
        write_body_bvh(path)
        path.write_text(re.sub(r"\S+\s*$", "nan\n", path.read_text()))
        with pytest.raises(ValueError, match="rotations holds NaN"):
            read_bvh(path)


class TestAsfAmc:
    @pytest.fixture
    def files(self, tmp_path):
        write_asf(tmp_path / "07.asf")
        write_amc(tmp_path / "07_01.amc", num_frames=4, step=12)
        return tmp_path

    def test_positions_are_those_of_pyacclaim(self, files, capsys):
        motion = read_asf_amc(files / "07_01.amc")
        assert capsys.readouterr().out == ""
        skeleton = pyacclaim.loadASF(str(files / "07.asf"), verbose=False)
        bones = skeleton["bones"]
        positions = motion.positions()
        frames = pyacclaim.loadAMC(skeleton, str(files / "07_01.amc"))
        assert len(frames) == len(motion) - 1  # pyacclaim loses the last
        for frame, pose in enumerate(frames):
            bones["root"].set_pose(pose)
            for bone in bones.values():  # pyacclaim tells where a bone ends
                children = [child.name for child in bone.children] or [f"{bone.name}_end"]
                end = bone.global_coordinate - bones["root"].global_coordinate
                for child in children:
                    ours = positions[frame, motion.joint_names.index(child)]
                    np.testing.assert_allclose(ours, end, atol=1e-9)

    def test_all_frames_and_their_rate(self, files):
        motion = read_asf_amc(files / "07_01.amc")
        assert len(motion) == 4
        assert motion.fps == 10

    def test_blank_lines_do_not_matter(self, files):
        expected = read_asf_amc(files / "07_01.amc").rotations
        for path in files.iterdir():
            path.write_text(path.read_text().replace("\n", "\n\n"))
        np.testing.assert_array_equal(read_asf_amc(files / "07_01.amc").rotations, expected)

    def test_rest_pose_has_straight_legs(self, files):
        from mion_plugin.asset_building.pool.motion import joint_positions

        motion = read_asf_amc(files / "07_01.amc")
        rest = joint_positions(motion.parents, motion.offsets, motion.rest_rotations[0])
        hip, ankle = (rest[motion.joint_names.index(name)] for name in ("rfemur", "rfoot"))
        np.testing.assert_allclose((ankle - hip) / np.linalg.norm(ankle - hip), [0, -1, 0], atol=1e-6)

    def test_skeleton_is_found_by_stem_or_alone(self, files):
        (files / "07.asf").rename(files / "skeleton.asf")
        assert len(read_asf_amc(files / "07_01.amc")) == 4
        write_asf(files / "other.asf")
        with pytest.raises(ValueError, match=r"neither 07_01\.asf nor a single \.asf"):
            read_asf_amc(files / "07_01.amc")

    @pytest.mark.parametrize(
        ("suffix", "damage", "message"),
        [
            (".amc", lambda text: "\n".join(text.splitlines()[:-3]), "truncated file"),
            (".amc", lambda text: text.replace("ltibia ", "ltibia 1 "), "ltibia has 2 values a frame, its skeleton 1"),
            (".amc", lambda text: text.replace("root ", "root x", 1), "damaged AMC line 'root x"),
            (".amc", lambda text: text.replace("lfemur", "lfemurr"), "bone lfemur moves but has no line"),
            (".amc", lambda text: ":DEGREES\n", "no frames"),
            (
                ".asf",
                lambda text: text.replace("TX TY TZ RX", "TX TY TZ"),
                "root channels are .tx ty tz ry rz., expected",
            ),
            (".asf", lambda text: text.replace(":hierarchy", ":hier"), "damaged skeleton 07.asf"),
            (".asf", lambda text: text[:900], "damaged skeleton 07.asf"),
        ],
    )
    def test_damaged_files_are_refused(self, files, suffix, damage, message):
        path = files / ("07_01.amc" if suffix == ".amc" else "07.asf")
        path.write_text(damage(path.read_text()))
        with pytest.raises(ValueError, match=message):
            read_asf_amc(files / "07_01.amc")


class TestAmass:
    @pytest.mark.parametrize("width", [156, 165])
    def test_keeps_22_joints_and_leaves_hands_zero(self, tmp_path, width):
        poses = write_amass(tmp_path / "a.npz", width=width, fps=60)
        sequence = read_smpl_array(tmp_path / "a.npz")
        np.testing.assert_allclose(sequence.poses[:, :22].reshape(-1, 66), poses[:, :66], rtol=1e-6)
        assert (sequence.poses[:, 22:] == 0).all()
        assert sequence.fps == 60

    def test_every_release_is_read_by_its_keys(self, tmp_path):
        """What the archives hold, and what others made of them; each with its own name for the frame rate."""
        rng = np.random.default_rng(0)
        body, hands = rng.normal(0, 0.2, (20, 66)), rng.normal(0, 0.2, (20, 90))
        jaw_and_eyes, trans = rng.normal(0, 0.1, (20, 9)), rng.normal(size=(20, 3))
        smpl = np.concatenate([body, rng.normal(0, 0.2, (20, 6))], axis=1)
        parts = {"root_orient": body[:, :3], "pose_body": body[:, 3:], "pose_hand": hands, "trans": trans}
        files = {
            "smpl_h": {"poses": np.concatenate([body, hands], 1), "trans": trans, "mocap_framerate": 120.0},
            "smpl_x": {
                "poses": np.concatenate([body, jaw_and_eyes, hands], 1),
                **parts,
                "surface_model_type": "smplx",
                "mocap_frame_rate": 59.94,
            },
            "parts alone": {**parts, "mocap_frame_rate": np.array([100])},
            "smpl": {"poses": smpl, "trans": trans, "fps": 30},
            "smpl without trans": {"poses": smpl, "fps": np.float32(25)},
            "22 joints": {"poses": body, "trans": trans, "frame_rate": 50},
            "no rate": {"poses": smpl, "trans": trans},
            "by SMPL-X's names": {"body_pose": body[:, 3:], "global_orient": body[:, :3], "transl": trans},
        }
        rates = [120.0, 59.94, 100.0, 30.0, 25.0, 50.0, None, None]
        for (name, content), fps in zip(files.items(), rates, strict=True):
            np.savez(tmp_path / f"{name}.npz", **content)
            sequence = _read(tmp_path / f"{name}.npz", name)
            np.testing.assert_allclose(sequence.poses[:, :22].reshape(20, 66), body, rtol=1e-6)
            hands_there = (name.startswith("smpl") and not name.startswith("smpl_")) or name == "no rate"
            np.testing.assert_allclose(sequence.poses[:, 22:].reshape(20, 6), smpl[:, 66:] * hands_there, rtol=1e-6)
            assert sequence.fps == fps, name

    def test_wrong_files_are_refused(self, tmp_path):
        np.savez(tmp_path / "a.npz", poses=np.zeros((4, 100)), trans=np.zeros((4, 3)))
        with pytest.raises(ValueError, match=r"shape \(4, 100\), expected \(T, J \* 3\).* one of 22, 24, 52, 55"):
            read_smpl_array(tmp_path / "a.npz")
        np.savez(tmp_path / "b.npz", betas=np.zeros(10))
        with pytest.raises(ValueError, match=r"no pose array among its keys \(betas\)"):
            read_smpl_array(tmp_path / "b.npz")
        for rate, message in ((0, "frame rate 0"), (np.nan, "frame rate nan"), ([30, 60], "no single number")):
            np.savez(tmp_path / "c.npz", poses=np.zeros((4, 156)), mocap_framerate=rate)
            with pytest.raises(ValueError, match=message):
                read_smpl_array(tmp_path / "c.npz")


class TestSmplArrays:
    @pytest.mark.parametrize("joints", [22, 24, 52, 55])
    @pytest.mark.parametrize("form", ["flat", "joints", "matrices"])
    def test_every_layout(self, joints, form):
        poses = np.random.default_rng(0).normal(0, 0.4, (5, joints, 3))
        array = {"flat": poses.reshape(5, -1), "joints": poses, "matrices": local_matrices(poses)}[form]
        shared = 24 if joints == 24 else 22
        result = smpl_poses(array)
        assert result.shape == (5, 24, 3)
        np.testing.assert_allclose(result[:, :shared], poses[:, :shared], atol=1e-6)
        assert (result[:, shared:] == 0).all()

    @pytest.mark.parametrize("shape", [(72,), (24, 3), (24, 3, 3)])
    def test_one_pose(self, shape):
        array = np.broadcast_to(np.eye(3), shape) if len(shape) == 3 else np.full(shape, 0.1)
        assert smpl_poses(array).shape == (1, 24, 3)

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((5, 70)), r"shape \(5, 70\), expected"),
            (np.zeros((5, 17, 3)), r"shape \(5, 17, 3\), expected"),
            (np.full((5, 72), np.nan), "NaN"),
            (np.full((5, 72), 90.0), "expected axis-angle in radians"),
            (np.full((5, 24, 3, 3), 0.5), "matrices are no rotations"),
            (-np.broadcast_to(np.eye(3), (5, 24, 3, 3)), "matrices are no rotations"),
            (np.zeros((5, 72), complex), "expected numbers"),
        ],
    )
    def test_wrong_arrays_are_refused(self, array, message):
        with pytest.raises(ValueError, match=message):
            smpl_poses(array)

    @pytest.mark.parametrize("joints", [22, 24])
    def test_positions_of_joints_are_no_poses(self, joints):
        rotvec = np.random.default_rng(0).normal(0, 0.3, (5, 24, 3))
        rest = smpl_rest_joints_of(body_skeleton())
        _, positions = forward_kinematics(SMPL_PARENTS, smpl_offsets(rest), local_matrices(rotvec))
        with pytest.raises(ValueError, match="positions of joints, expected their rotations"):
            smpl_poses(positions[:, :joints].astype(np.float32))
        rotvec[:, 1:] = rotvec[0, 1:]
        smpl_poses(rotvec[:, :joints])  # who is turned as a whole

    def test_files(self, tmp_path):
        poses = np.random.default_rng(0).normal(0, 0.2, (4, 72)).astype(np.float32)
        np.save(tmp_path / "a.npy", poses)
        np.savez(tmp_path / "b.npz", body_pose=poses[:, 3:], global_orient=poses[:, :3])
        np.savez(tmp_path / "c.npz", pose=poses)
        for name in ("a.npy", "b.npz", "c.npz"):
            np.testing.assert_array_equal(read_smpl_array(tmp_path / name).poses.reshape(4, 72), poses)
        np.savez(tmp_path / "d.npz", vertices=poses)
        with pytest.raises(ValueError, match=r"no pose array among its keys \(vertices\)"):
            read_smpl_array(tmp_path / "d.npz")
        np.savez(tmp_path / "e.npz", body_pose=poses[:, 3:], global_orient=poses[:2, :3])
        with pytest.raises(ValueError, match="global_orient has shape"):
            read_smpl_array(tmp_path / "e.npz")


class TestSkeletonNpz:
    def arrays(self):
        skeleton, rng = body_skeleton(), np.random.default_rng(0)
        count = len(skeleton.names)
        return {
            "names": np.array(skeleton.names),
            "parents": skeleton.parents,
            "pre_rot_deg": rng.uniform(-90, 90, (count, 3)),
            "rest_rot_deg": np.zeros((count, 3)),
            "rest_pos": skeleton.offsets,
            "rot_deg": rng.uniform(-90, 90, (3, count, 3)),
            "fps": np.array(10),
        }

    def test_forward_kinematics(self, tmp_path):
        arrays = self.arrays()
        np.savez(tmp_path / "a.npz", **arrays)
        motion = read_skeleton_npz(tmp_path / "a.npz")
        before = Rotation.from_euler("xyz", arrays["pre_rot_deg"], degrees=True).as_matrix()  # extrinsic: Rz Ry Rx
        turn = Rotation.from_euler("xyz", arrays["rot_deg"].reshape(-1, 3), degrees=True).as_matrix()
        local = before @ turn.reshape(3, -1, 3, 3)
        _, positions = forward_kinematics(arrays["parents"], arrays["rest_pos"], local)
        np.testing.assert_allclose(motion.positions(), positions, atol=1e-9)

    def test_wrong_files_are_refused(self, tmp_path):
        arrays = self.arrays()
        np.savez(tmp_path / "a.npz", **{**arrays, "post_rot_deg": np.ones((20, 3))})
        with pytest.raises(ValueError, match="post_rot_deg other than zero"):
            read_skeleton_npz(tmp_path / "a.npz")
        del arrays["fps"]
        np.savez(tmp_path / "b.npz", **arrays)
        with pytest.raises(ValueError, match="fps missing"):
            read_skeleton_npz(tmp_path / "b.npz")


class TestPoselib:
    def content(self):
        skeleton = body_skeleton()
        quaternions = Rotation.random(3 * len(skeleton.names), random_state=0).as_quat().reshape(3, -1, 4)

        def wrapped(array):
            return {"arr": array, "context": {"dtype": str(array.dtype)}}

        tree = {
            "node_names": skeleton.names,
            "parent_indices": wrapped(skeleton.parents),
            "local_translation": wrapped(skeleton.offsets),
        }
        return collections.OrderedDict(
            rotation=wrapped(quaternions), skeleton_tree=tree, is_local=True, fps=30, __name__="SkeletonMotion"
        )

    def test_forward_kinematics(self, tmp_path):
        content, skeleton = self.content(), body_skeleton()
        np.save(tmp_path / "a.npy", content, allow_pickle=True)
        motion = read_poselib_npy(tmp_path / "a.npy")
        local = Rotation.from_quat(content["rotation"]["arr"].reshape(-1, 4)).as_matrix().reshape(3, -1, 3, 3)
        _, positions = forward_kinematics(skeleton.parents, skeleton.offsets, local)
        np.testing.assert_allclose(motion.positions(), positions, atol=1e-9)
        assert motion.fps == 30

    def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(self, tmp_path):
        class Attack:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "was_run"),)

        np.save(tmp_path / "a.npy", np.array(Attack(), dtype=object), allow_pickle=True)
        with pytest.raises((ValueError, pickle.UnpicklingError), match="mkdir"):
            read_poselib_npy(tmp_path / "a.npy")
        assert not (tmp_path / "was_run").exists()

    def test_other_contents_are_refused(self, tmp_path):
        for name, value, message in (
            ("__name__", "SkeletonState", "pickled SkeletonState, expected"),
            ("is_local", False, "global rotations, expected local"),
        ):
            np.save(tmp_path / "a.npy", {**self.content(), name: value}, allow_pickle=True)
            with pytest.raises(ValueError, match=message):
                read_poselib_npy(tmp_path / "a.npy")
        np.save(tmp_path / "b.npy", np.zeros(3))
        with pytest.raises(ValueError, match="expected one pickled object"):
            read_poselib_npy(tmp_path / "b.npy")


@pytest.mark.parametrize("library", ["bvhio", "pyacclaim"])
def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch, library):
    write_body_bvh(tmp_path / "a.bvh")
    write_asf(tmp_path / "07.asf")
    write_amc(tmp_path / "07_01.amc")
    monkeypatch.setitem(sys.modules, library, None)
    reader, name = {"bvhio": (read_bvh, "a.bvh"), "pyacclaim": (read_asf_amc, "07_01.amc")}[library]
    with pytest.raises(ImportError, match=rf"needs {library}: pip install \"mion-plugin\[mocap\]\""):
        reader(tmp_path / name)
