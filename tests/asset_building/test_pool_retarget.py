import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.mocap_files import (
    body_skeleton,
    forward_kinematics,
    local_matrices,
    random_motion,
    smpl_offsets,
    smpl_rest_joints_of,
    with_frames,
    write_amc,
    write_asf,
    write_bvh,
)

from mion_plugin.asset_building.pool.asf_amc import read_asf_amc
from mion_plugin.asset_building.pool.bvh import read_bvh
from mion_plugin.asset_building.pool.derived_rest_pose import derive_rest_pose
from mion_plugin.asset_building.pool.motion import Motion
from mion_plugin.asset_building.pool.rest_pose import find_rest_pose
from mion_plugin.asset_building.pool.retarget import retarget
from mion_plugin.asset_building.pool.skeletons import map_body, split_side
from mion_plugin.asset_building.pool.smpl_skeleton import INDEX, SMPL_JOINTS
from mion_plugin.body.arrays import SMPL_PARENTS

SKELETON = body_skeleton()
SMPL_REST = smpl_rest_joints_of(SKELETON)
LIMBS = [
    (f"{side}_{upper}", f"{side}_{lower}")
    for side in ("left", "right")
    for upper, lower in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]


def make_motion(local, offsets=SKELETON.offsets, skeleton=SKELETON, rest=None):
    rotations, _ = forward_kinematics(skeleton.parents, offsets, local)
    rest = np.broadcast_to(np.eye(3), rotations[:1].shape) if rest is None else rest
    return Motion("test", tuple(skeleton.names), skeleton.parents, offsets, rotations, rest, fps=10)


def body_of(motion):
    return map_body(motion.joint_names, motion.parents)


def retargeted(motion):
    rest = find_rest_pose(motion, body_of(motion))
    assert rest is not None
    return retarget(motion, rest, SMPL_REST).poses


def smpl_positions(poses, rest=SMPL_REST):
    return forward_kinematics(SMPL_PARENTS, smpl_offsets(rest), local_matrices(poses.astype(float)))[1]


def expected_poses(rotvec):
    poses = np.zeros((len(rotvec), 24, 3))
    for joint, name in enumerate(SKELETON.smpl_names):
        poses[:, INDEX[name]] = rotvec[:, joint]
    return poses


def assert_same_rotations(poses, expected, degrees):
    difference = Rotation.from_rotvec(poses.reshape(-1, 3)).inv() * Rotation.from_rotvec(expected.reshape(-1, 3))
    angle = np.degrees(difference.magnitude()).reshape(-1, poses.shape[1])
    worst = angle.max(0).argmax()
    assert angle.max() < degrees, f"{SMPL_JOINTS[worst]} is off by {angle.max():.1f} degrees"


def assert_limbs_agree(poses, motion, rest):
    ours = smpl_positions(poses)
    source = motion.positions() @ rest.world.T
    place = {name: source[:, joint] for joint, name in enumerate(SKELETON.smpl_names)}
    for upper, lower in LIMBS:
        bone = ours[:, INDEX[lower]] - ours[:, INDEX[upper]]
        expected = place[lower] - place[upper]
        cosine = (bone * expected).sum(-1) / np.linalg.norm(bone, axis=-1) / np.linalg.norm(expected, axis=-1)
        np.testing.assert_allclose(cosine, 1, atol=1e-8, err_msg=f"{upper} to {lower}")


def random_frames(count, seed=1):
    return Rotation.random(count, random_state=seed).as_matrix()


def test_known_rotations_come_back_from_a_bvh_file(tmp_path):
    rotvec = random_motion(20)
    write_bvh(tmp_path / "a.bvh", SKELETON.names, SKELETON.parents, SKELETON.offsets * 100, local_matrices(rotvec))
    motion = read_bvh(tmp_path / "a.bvh")
    poses = retargeted(motion)
    assert_same_rotations(poses, expected_poses(rotvec), degrees=0.01)
    assert poses.dtype == np.float32
    _, positions = forward_kinematics(SKELETON.parents, SKELETON.offsets, local_matrices(rotvec))
    order = [INDEX[name] for name in SKELETON.smpl_names]
    np.testing.assert_allclose(smpl_positions(poses)[:, order], positions, atol=1e-5)


def test_joint_frames_do_not_matter_when_the_rest_pose_stands():
    rotvec = random_motion(10)
    frames = random_frames(len(SKELETON.names))
    local, offsets = with_frames(local_matrices(rotvec), SKELETON.offsets, SKELETON.parents, frames)
    poses = retargeted(make_motion(local, offsets, rest=frames[None]))
    assert_same_rotations(poses, expected_poses(rotvec), degrees=0.01)


@pytest.mark.parametrize("degrees", [20, 40, 90])
def test_a_figure_that_stands_turned_in_its_file_has_the_same_poses(degrees):
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    rotvec = random_motion(10)
    poses = retargeted(make_motion(turn @ local_matrices(rotvec) @ turn.T, SKELETON.offsets @ turn.T))
    assert_same_rotations(poses[:, 1:], expected_poses(rotvec)[:, 1:], degrees=0.01)


def test_z_up_files_give_the_same_poses():
    rotvec = random_motion(10)
    to_z_up = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    offsets = SKELETON.offsets @ to_z_up.T
    local = to_z_up @ local_matrices(rotvec) @ to_z_up.T
    assert_same_rotations(retargeted(make_motion(local, offsets)), expected_poses(rotvec), degrees=0.01)


@pytest.mark.parametrize("axis", ["y", "x", "z"])
def test_turning_the_whole_recording_changes_the_global_orientation_alone(axis):
    local = local_matrices(random_motion(10))
    turned = local.copy()
    turn = Rotation.from_euler(axis, 75, degrees=True)
    turned[:, 0] = turn.as_matrix() @ local[:, 0]
    before, after = retargeted(make_motion(local)), retargeted(make_motion(turned))
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-5)
    expected = (turn * Rotation.from_rotvec(before[:, 0])).as_matrix()
    np.testing.assert_allclose(Rotation.from_rotvec(after[:, 0]).as_matrix(), expected, atol=1e-5)


def test_a_pose_rest_gives_exact_limbs():
    """Arms 45 degrees down in the file's rest pose."""
    lowered = {"Left": Rotation.from_euler("z", -45, degrees=True), "Right": Rotation.from_euler("z", 45, degrees=True)}
    positions = SKELETON.positions.copy()
    for side, turn in lowered.items():
        shoulder = SKELETON.names.index(f"{side}Arm")
        for name in (f"{side}ForeArm", f"{side}Hand"):
            joint = SKELETON.names.index(name)
            positions[joint] = positions[shoulder] + turn.apply(positions[joint] - positions[shoulder])
    offsets = positions - positions[SKELETON.parents]
    offsets[0] = 0
    zero = np.zeros((1, len(SKELETON.names), 3))
    poses = retargeted(make_motion(local_matrices(zero), offsets))
    expected = np.zeros((1, 24, 3))
    expected[0, INDEX["left_shoulder"]] = lowered["Left"].as_rotvec()
    expected[0, INDEX["right_shoulder"]] = lowered["Right"].as_rotvec()
    assert_same_rotations(poses, expected, degrees=0.01)
    motion = make_motion(local_matrices(random_motion(10)), offsets)
    assert_limbs_agree(retargeted(motion), motion, find_rest_pose(motion, body_of(motion)))


class TestDerivedRestPose:
    """Bones along local +y, so the pose of zero angles is one line."""

    def motion(self, rotvec):
        frames = random_frames(len(SKELETON.names), seed=3)
        for joint in range(len(SKELETON.names)):
            children = np.flatnonzero(SKELETON.parents == joint)
            if len(children):
                bone = SKELETON.offsets[children[0]]
                across = np.cross(bone, frames[joint][:, 0])
                axes = np.stack([np.cross(bone, across), bone, across], axis=1)
                frames[joint] = axes / np.linalg.norm(axes, axis=0)
        local, offsets = with_frames(local_matrices(rotvec), SKELETON.offsets, SKELETON.parents, frames)
        return make_motion(local, offsets)

    def test_zero_angles_are_no_stance(self):
        motion = self.motion(random_motion(3))
        assert find_rest_pose(motion, body_of(motion)) is None

    def test_limbs_agree_and_rotations_come_close(self):
        rotvec = random_motion(400)
        motion = self.motion(rotvec)
        rest = derive_rest_pose([motion], SMPL_REST)
        poses = retarget(motion, rest, SMPL_REST).poses
        assert_limbs_agree(poses, motion, rest)
        # random turns average out only nearly, and the foot's toe direction is taken as straight ahead
        assert_same_rotations(poses[:, 1:22], expected_poses(rotvec)[:, 1:22], degrees=12)

    def test_knees_bend_back_and_elbows_ahead(self):
        motion = self.motion(random_motion(100))
        poses = retarget(motion, derive_rest_pose([motion], SMPL_REST), SMPL_REST).poses
        assert (poses[:, [INDEX["left_knee"], INDEX["right_knee"]], 0] > 0.15).all()
        assert (poses[:, INDEX["left_elbow"], 1] < -0.15).all()
        assert (poses[:, INDEX["right_elbow"], 1] > 0.15).all()

    def test_straight_limbs_keep_their_directions(self):
        motion = self.motion(np.zeros((2, len(SKELETON.names), 3)))
        rest = derive_rest_pose([motion], SMPL_REST)
        poses = retarget(motion, rest, SMPL_REST).poses
        assert np.isfinite(poses).all()
        assert_limbs_agree(poses, motion, rest)


class TestRestPose:
    @pytest.mark.parametrize(
        "turn", [("LeftUpLeg", "x", -60), ("LeftLeg", "x", 50), ("RightArm", "z", -60), ("LeftForeArm", "y", -80)]
    )
    def test_what_does_not_stand_straight_is_no_stance(self, turn):
        name, axis, degrees = turn
        rotvec = np.zeros((1, len(SKELETON.names), 3))
        rotvec[0, SKELETON.names.index(name)] = Rotation.from_euler(axis, degrees, degrees=True).as_rotvec()
        motion = make_motion(local_matrices(rotvec))
        motion = make_motion(local_matrices(rotvec), rest=motion.rotations)
        assert find_rest_pose(motion, body_of(motion)) is None

    def test_a_body_facing_backwards_is_no_stance(self):
        """Left and right exchanged: the toes would point back."""
        skeleton = body_skeleton()
        swapped = [n.replace("Left", "@").replace("Right", "Left").replace("@", "Right") for n in skeleton.names]
        skeleton.names = swapped
        motion = make_motion(local_matrices(random_motion(2)), skeleton=skeleton)
        assert find_rest_pose(motion, body_of(motion)) is None

    def test_the_second_candidate_is_taken_when_the_first_does_not_stand(self):
        frames = random_frames(len(SKELETON.names))
        rotvec = random_motion(5)
        local, offsets = with_frames(local_matrices(rotvec), SKELETON.offsets, SKELETON.parents, frames)
        rest = np.stack([np.broadcast_to(np.eye(3), frames.shape), frames])
        poses = retargeted(make_motion(local, offsets, rest=rest))
        assert_same_rotations(poses, expected_poses(rotvec), degrees=0.01)


def test_cmu_skeleton_stands_like_smpl_in_its_t_pose(tmp_path):
    write_asf(tmp_path / "07.asf")
    write_amc(tmp_path / "07_01.amc", num_frames=1, scale=0)
    lines = (tmp_path / "07_01.amc").read_text().splitlines()
    turned = {"lfemur": "lfemur 0 0 -20", "rfemur": "rfemur 0 0 20"}  # what brings the zero pose to the T-pose
    (tmp_path / "07_01.amc").write_text("\n".join(turned.get(line.split()[0], line) for line in lines))
    poses = retargeted(read_asf_amc(tmp_path / "07_01.amc"))
    # SMPL_REST's shins and thighs are up to 5 degrees off the vertical
    assert np.degrees(np.linalg.norm(poses[0], axis=-1)).max() < 7


def test_forearm_roll_is_shared_by_elbow_and_wrist(tmp_path):
    write_asf(tmp_path / "07.asf")
    write_amc(tmp_path / "07_01.amc", num_frames=1, scale=0)
    text = (tmp_path / "07_01.amc").read_text()
    lines = [line if not line.startswith("lwrist") else "lwrist 60" for line in text.splitlines()]
    (tmp_path / "07_01.amc").write_text("\n".join(lines))
    poses = np.degrees(retargeted(read_asf_amc(tmp_path / "07_01.amc"))[0])
    np.testing.assert_allclose(np.abs(poses[INDEX["left_elbow"]]), [30, 0, 0], atol=0.5)
    np.testing.assert_allclose(poses[INDEX["left_wrist"]], poses[INDEX["left_elbow"]], atol=0.5)


def test_skeleton_without_neck_collars_and_most_of_the_spine():
    """As IsaacGym's humanoid: the one trunk joint's turn is spread over the spine."""
    names = [
        name for name in SKELETON.names if name not in ("Spine", "Spine1", "Neck", "LeftShoulder", "RightShoulder")
    ]
    old = [SKELETON.names.index(name) for name in names]

    def new_parent(joint):
        joint = SKELETON.parents[joint]
        while joint >= 0 and joint not in old:
            joint = SKELETON.parents[joint]
        return old.index(joint) if joint >= 0 else -1

    skeleton = body_skeleton()
    skeleton.names, skeleton.positions = names, SKELETON.positions[old]
    skeleton.parents = np.array([new_parent(joint) for joint in old])
    rotvec = np.zeros((1, len(names), 3))
    rotvec[0, names.index("Spine2")] = [0.6, 0, 0]
    poses = retargeted(make_motion(local_matrices(rotvec), skeleton.offsets, skeleton))
    expected = np.zeros((1, 24, 3))
    expected[0, [INDEX["spine_1"], INDEX["spine_2"], INDEX["spine_3"]]] = [0.2, 0, 0]
    assert_same_rotations(poses, expected, degrees=0.01)


@pytest.mark.parametrize("missing", ["LeftLeg", "Head", "RightHand"])
def test_a_skeleton_without_a_needed_joint_is_refused(missing):
    names = [name.replace(missing, "Thing") for name in SKELETON.names]
    with pytest.raises(ValueError, match=r"skeleton not recognised: no (left knee|head|right wrist)"):
        map_body(names, SKELETON.parents)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LeftUpLeg", ("left", "upleg")),
        ("mixamorig:RightForeArm", ("right", "forearm")),
        ("CC_Base_L_Thigh", ("left", "thigh")),
        ("upperleg01.R", ("right", "upperleg01")),
        ("Neo_LeftToeBase", ("left", "toebase")),
        ("lfemur", ("left", "femur")),
        ("rtoes", ("right", "toes")),
        ("UpLeg_L", ("left", "upleg")),
        ("left_upper_arm", ("left", "upperarm")),
        ("lowerneck", ("", "lowerneck")),
        ("root", ("", "root")),
    ],
)
def test_sides_and_names(name, expected):
    assert split_side(name) == expected
