"""Motion files, read back by other libraries and by our own pool builder."""

import dataclasses
import json
import struct

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support.motions import make_motion

from mion_plugin.asset_building.pool.smpl_skeleton import smpl_rest_joints
from mion_plugin.asset_building.pool.sources import read_sources
from mion_plugin.body import SMPLBody
from mion_plugin.candidates.pool import load_default_pool
from mion_plugin.constants import MOTION_FORMATS
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.inference.motion import save_motion

NAMES = keypoint_names("smpl")


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


@pytest.fixture(scope="module")
def motion():
    return make_motion()


@pytest.fixture(scope="module")
def files(body, motion, tmp_path_factory):
    folder = tmp_path_factory.mktemp("motion")
    written = save_motion(motion, folder / "a.b_person0_motion", MOTION_FORMATS, body)
    assert sorted(folder.iterdir()) == sorted(written)
    return {file.suffix.removeprefix("."): file for file in written}


def posed(body, motion, axes):
    """Vertices and joints as the body model has them, by axes (3, 3) of another frame."""
    output = body(
        *(torch.from_numpy(one) for one in (motion.pose, np.tile(motion.betas, (len(motion), 1)), motion.transl))
    )
    return tuple(points.numpy() @ np.array(axes, float).T for points in (output.vertices, output.joints))


@pytest.fixture(scope="module")
def double():
    return SMPLBody().double()


class TestAMASS:
    def test_the_pool_builder_reads_the_same_poses(self, body, files, motion):
        collection = read_sources([files["npz"]], smpl_rest_joints(body.arrays), fps=30.0, progress=False)
        (sequence,) = collection.sequences
        assert sequence.fps == motion.frame_rate
        found = Rotation.from_rotvec(sequence.poses[:, :22].reshape(-1, 3)).as_matrix().reshape(-1, 22, 3, 3)
        np.testing.assert_allclose(found[:, 1:], motion.pose[:, 1:22], atol=1e-6)

    def test_the_body_model_puts_the_joints_where_they_were_with_z_up(self, double, files, motion):
        with np.load(files["npz"], allow_pickle=False) as arrays:
            assert arrays["poses"].shape == (len(motion), 165)  # SMPL-X's, as the add-on of Blender reads
            assert not arrays["poses"][:, 66:].any()
            np.testing.assert_array_equal(arrays["poses"][:, :66], arrays["smpl_poses"][:, :66])
            assert (str(arrays["gender"]), arrays["betas"].shape) == ("neutral", (10,))
            assert (float(arrays["mocap_frame_rate"]), float(arrays["start"])) == (30.0, 0.5)
            pose, betas = arrays["smpl_poses"].reshape(-1, 24, 3), np.tile(arrays["betas"], (len(motion), 1))
            joints = double(*(torch.from_numpy(one) for one in (pose, betas, arrays["trans"]))).joints.numpy()
        _, expected = posed(double, motion, [[1, 0, 0], [0, 0, 1], [0, -1, 0]])
        np.testing.assert_allclose(joints, expected, atol=1e-6)
        assert (joints[:, NAMES.index("head"), 2] > joints[:, NAMES.index("left_ankle"), 2]).all()


class TestBVH:
    def test_bvhio_finds_the_joints_within_a_millimetre(self, double, files, motion):
        bvhio = pytest.importorskip("bvhio")
        _, expected = posed(double, motion, np.diag([1, -1, -1]))
        root = bvhio.readAsHierarchy(str(files["bvh"]))
        for frame in range(len(motion)):
            root.loadPose(frame)
            found = {joint.Name: joint.PositionWorld for joint, *_ in root.layout()}
            for name, position in zip(NAMES, expected[frame], strict=True):
                assert np.linalg.norm(np.array(found[name]) / 100 - position) < 1e-4, name

    def test_the_pool_builder_reads_the_same_poses(self, body, motion, tmp_path):
        pytest.importorskip("bvhio")
        mean = dataclasses.replace(motion, betas=np.zeros(10))  # the pool's body
        (file,) = save_motion(mean, tmp_path / "a", ["bvh"], body)
        (sequence,) = read_sources([file], smpl_rest_joints(body.arrays), fps=30.0, progress=False).sequences
        found = Rotation.from_rotvec(sequence.poses[:, 1:22].reshape(-1, 3))
        apart = found.inv() * Rotation.from_matrix(motion.pose[:, 1:22].reshape(-1, 3, 3))
        np.testing.assert_allclose(apart.magnitude(), 0, atol=1e-3)

    def test_its_rate_and_rest_pose(self, files, motion):
        text = files["bvh"].read_text()
        assert f"Frames: {len(motion)}\nFrame Time: 0.03333333\n" in text
        assert "ROOT pelvis\n{\n\tOFFSET 0.00000 0.00000 0.00000\n" in text


def read_glb(path):
    """The document, and its accessors as arrays; written from the specification, not by a library."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    document, data = json.loads(content[20 : 20 + length]), content[28 + length :]
    arrays = []
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
        kind = {5126: "<f4", 5125: "<u4", 5121: "u1"}[accessor["componentType"]]
        flat = np.frombuffer(data, kind, accessor["count"] * width, view["byteOffset"])
        arrays.append(flat.reshape(-1, width))
    return document, arrays


def skin_at(document, arrays, frame):
    """The skinned vertices at a key frame, joint by joint, as glTF defines them."""
    nodes, (skin,) = document["nodes"], document["skins"]
    local = [np.eye(4) for _ in nodes]
    for number, node in enumerate(nodes):
        local[number][:3, 3] = node.get("translation", (0, 0, 0))
    (animation,) = document["animations"]
    for channel in animation["channels"]:
        value = arrays[animation["samplers"][channel["sampler"]]["output"]][frame].astype(float)
        place = local[channel["target"]["node"]]
        if channel["target"]["path"] == "rotation":
            place[:3, :3] = Rotation.from_quat(value).as_matrix()
        else:
            place[:3, 3] = value
    world = {}

    def walk(number, above):
        world[number] = above @ local[number]
        for child in nodes[number].get("children", ()):
            walk(child, world[number])

    for number in document["scenes"][0]["nodes"]:
        walk(number, np.eye(4))
    inverse_bind = arrays[skin["inverseBindMatrices"]].reshape(-1, 4, 4).swapaxes(1, 2)
    matrices = np.stack([world[joint] @ inverse_bind[index] for index, joint in enumerate(skin["joints"])])
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    rest, joints, weights = (arrays[attributes[name]] for name in ("POSITION", "JOINTS_0", "WEIGHTS_0"))
    homogeneous = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
    return np.einsum("vi,vijk,vk->vj", weights, matrices[joints], homogeneous)[:, :3]


class TestGLTF:
    def test_skinned_vertices_are_the_bodys_without_its_correctives(self, double, files, motion):
        linear = SMPLBody().double()
        linear.posedirs.zero_()
        document, arrays = read_glb(files["glb"])
        expected, _ = posed(linear, motion, np.diag([1, -1, -1]))
        with_correctives, _ = posed(double, motion, np.diag([1, -1, -1]))
        for frame in range(len(motion)):
            found = skin_at(document, arrays, frame)
            np.testing.assert_allclose(found, expected[frame], atol=2e-5)
            assert np.linalg.norm(found - with_correctives[frame], axis=1).max() > 0.001  # metres: not the same

    def test_what_the_correctives_add(self, double):
        """As docs/faq.md says, on poses of the pool."""
        linear = SMPLBody().double()
        linear.posedirs.zero_()
        pose = torch.zeros(100, 24, 3, dtype=torch.float64)
        pose[:, 1:] = torch.from_numpy(load_default_pool().body_pose[::100]).double()
        apart = (linear(pose).vertices - double(pose).vertices).norm(dim=-1)
        assert 0.001 < apart.mean() < 0.002
        assert 0.02 < apart.max() < 0.05

    def test_pygltflib_steps_through_a_named_rig(self, files, motion):
        pygltflib = pytest.importorskip("pygltflib")
        document = pygltflib.GLTF2().load(str(files["glb"]))
        (skin,), (animation,) = document.skins, document.animations
        assert [document.nodes[joint].name for joint in skin.joints] == list(NAMES)
        targets = [(channel.target.node, channel.target.path) for channel in animation.channels]
        assert sorted(targets) == sorted([(0, "translation"), *((joint, "rotation") for joint in range(24))])
        times = document.accessors[animation.samplers[0].input]
        assert times.min == [0]
        assert times.max == pytest.approx([(len(motion) - 1) / motion.frame_rate])

    def test_trimesh_finds_the_body_at_rest_and_the_bones(self, files, body, motion):
        trimesh = pytest.importorskip("trimesh")
        scene = trimesh.load(files["glb"], process=False)
        assert set(NAMES) < set(scene.graph.nodes)
        (mesh,) = scene.geometry.values()
        rest = body(torch.zeros(24, 3), torch.from_numpy(motion.betas).float())
        np.testing.assert_allclose(mesh.vertices, rest.vertices, atol=1e-6)
        np.testing.assert_array_equal(mesh.faces, body.faces)
        joint, _ = scene.graph.get("left_wrist")
        # the root's rest place is its animated one's at no time: relative to the pelvis
        pelvis, _ = scene.graph.get("pelvis")
        expected = rest.joints[NAMES.index("left_wrist")] - rest.joints[0]
        np.testing.assert_allclose(joint[:3, 3] - pelvis[:3, 3], expected, atol=1e-6)

    def test_neighbouring_quaternions_are_on_one_side(self, files):
        document, arrays = read_glb(files["glb"])
        for sampler in document["animations"][0]["samplers"][1:]:
            quaternions = arrays[sampler["output"]]
            assert ((quaternions[1:] * quaternions[:-1]).sum(axis=1) > 0).all()


def test_another_format(body, motion, tmp_path):
    with pytest.raises(ValueError, match="motion format 'fbx', expected one of npz, bvh, glb, csv"):
        save_motion(motion, tmp_path / "a", ["npz", "fbx"], body)
    assert not list(tmp_path.iterdir())
