import numpy as np
import pytest
import roma
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.geometry.conventions import CONVENTIONS
from mion_plugin.registry import MODELS

SMPL_CONVENTIONS = ["coco", "h36m", "smpl_24", "smpl_54", "lsp"]


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


@pytest.fixture
def posed():
    rng = torch.Generator().manual_seed(0)
    pose = torch.randn(4, 24, 3, generator=rng) * 0.4
    return pose, torch.randn(4, 10, generator=rng), torch.randn(4, 3, generator=rng)


def test_shapes_and_registration(posed):
    body = MODELS.build(dict(type="mion.SMPLBody"))
    output = body(*posed)
    assert output.vertices.shape == (4, 6890, 3)
    assert output.joints.shape == (4, 24, 3)
    assert body.faces.shape == (13776, 3)
    assert body.state_dict() == {}


def test_first_use_adds_no_buffers(posed):
    """mmengine's EMAHook pairs the buffers of a model with those of a copy that was made before."""
    body = SMPLBody()
    before = [name for name, _ in body.named_buffers()]
    body.keypoints(body(*posed), "h36m")
    body.pose_keypoints(*posed, convention="h36m")
    assert [name for name, _ in body.named_buffers()] == before


def test_pose_keypoints_follow_the_body_to_another_precision(posed):
    body = SMPLBody()
    single = body.pose_keypoints(*posed)
    double = body.double().pose_keypoints(*(value.double() for value in posed))
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single)


@pytest.mark.parametrize("way", ["mesh", "pose"])
def test_a_first_use_in_inference_mode_spoils_no_training(posed, way):
    body = SMPLBody()

    def keypoints(pose):
        return body.keypoints(body(pose), "h36m") if way == "mesh" else body.pose_keypoints(pose, convention="h36m")

    with torch.inference_mode():
        keypoints(posed[0])
    pose = posed[0].clone().requires_grad_()
    keypoints(pose).sum().backward()
    assert pose.grad.abs().sum() > 0


def test_vertices_of_half_precision_round_no_later_keypoints(body, posed):
    vertices, fresh = body(*posed).vertices, SMPLBody()
    fresh.vertex_keypoints(vertices.bfloat16(), "h36m")
    assert torch.equal(fresh.vertex_keypoints(vertices, "h36m"), body.vertex_keypoints(vertices, "h36m"))


def test_matrices_equal_axis_angle(body, posed):
    pose, betas, transl = posed
    from_matrices = body(roma.rotvec_to_rotmat(pose), betas, transl)
    torch.testing.assert_close(from_matrices.vertices, body(pose, betas, transl).vertices)


def test_batch_equals_rows_and_leading_dimensions(body, posed):
    output = body(*posed)
    for b in range(4):
        row = body(*(value[b] for value in posed))
        torch.testing.assert_close(row.vertices, output.vertices[b])
    folded = body(*(value.unflatten(0, (2, 2)) for value in posed))
    torch.testing.assert_close(folded.joints.flatten(0, 1), output.joints)


def test_empty_batch(body):
    output = body(torch.zeros(0, 24, 3))
    assert output.vertices.shape == (0, 6890, 3)
    assert body.pose_keypoints(torch.zeros(0, 24, 3)).shape == (0, 17, 3)


def test_defaults_are_mean_shape_at_the_origin(body, posed):
    pose, _, _ = posed
    explicit = body(pose, torch.zeros(4, 10), torch.zeros(4, 3))
    torch.testing.assert_close(body(pose).vertices, explicit.vertices)


def test_global_orientation_turns_about_the_pelvis(body, posed):
    pose, betas, _ = posed
    turn = roma.rotvec_to_rotmat(torch.tensor([0.3, -1.0, 0.5]))
    turned = pose.clone()
    turned[:, 0] = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(pose[:, 0]))
    before, after = body(pose, betas), body(turned, betas)
    pelvis = before.joints[:, :1]
    torch.testing.assert_close((before.vertices - pelvis) @ turn.mT + pelvis, after.vertices, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("convention", [*SMPL_CONVENTIONS, "mpii", "smpl_49", "openpose_25", "h36m_mmpose", "smpl"])
def test_keypoints_from_the_pose_equal_those_from_the_mesh(body, posed, convention):
    output = body(*posed)
    expected = body.keypoints(output, convention)
    assert expected.shape == (4, len(CONVENTIONS[convention]), 3)
    joints, fast = body.pose_joints_and_keypoints(*posed, convention=convention)
    torch.testing.assert_close(fast, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(joints, output.joints, rtol=1e-4, atol=1e-5)
    assert torch.equal(body.pose_keypoints(*posed, convention=convention), fast)


def test_keypoints_carry_gradients(body):
    body = SMPLBody().double()
    pose = (torch.randn(1, 24, 3, generator=torch.Generator().manual_seed(1)) * 0.3).double().requires_grad_()
    betas = torch.zeros(1, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, b: body.pose_keypoints(p, b, convention="lsp"), (pose, betas))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 72),), r"pose has shape \(2, 72\), expected \(..., 24, 3\) axis-angle"),
        ((torch.zeros(2, 23, 3),), r"pose has shape \(2, 23, 3\)"),
        ((torch.zeros(2, 24, 3), torch.zeros(1, 10)), r"betas has shape \(1, 10\), expected \(2, 10\)"),
        ((torch.zeros(2, 24, 3), None, torch.zeros(3)), r"transl has shape \(3,\), expected \(2, 3\)"),
    ],
)
def test_wrong_shapes_are_named(body, arguments, message):
    with pytest.raises(ValueError, match=message):
        body(*arguments)


def test_conventions_that_smpl_lacks_are_named(body):
    with pytest.raises(ValueError, match="keypoint 'spine_4_3dhp', which SMPL does not define"):
        body.pose_keypoints(torch.zeros(1, 24, 3), convention="mpi_inf_3dhp")


@pytest.mark.parametrize("convention", SMPL_CONVENTIONS)
def test_equals_mmhuman3d(body, posed, convention, tmp_path):
    """mmhuman3d's own SMPL, loading our exported files, gives the same vertices and keypoints."""
    models = pytest.importorskip("mmhuman3d.models.body_models.smpl", reason="mmhuman3d is not installed")
    from mion_plugin.body.export import export_regressors, export_smpl_pickle

    export_regressors(body.arrays, tmp_path)
    export_smpl_pickle(body.arrays, tmp_path / "SMPL_NEUTRAL.pkl")
    regressed = convention == "h36m"
    theirs = models.SMPL(
        str(tmp_path),
        keypoint_src="h36m" if regressed else "smpl_54",
        keypoint_dst=convention,
        joints_regressor=str(tmp_path / "J_regressor_h36m.npy") if regressed else None,
        extra_joints_regressor=None if regressed else str(tmp_path / "J_regressor_extra.npy"),
    )
    pose, betas, transl = posed
    expected = theirs(
        betas=betas, global_orient=pose[:, :1].flatten(1), body_pose=pose[:, 1:].flatten(1), transl=transl
    )
    output = body(*posed)
    np.testing.assert_allclose(output.vertices, expected["vertices"].detach(), atol=1e-4)
    assert expected["joint_mask"].all()
    np.testing.assert_allclose(body.keypoints(output, convention), expected["joints"].detach(), atol=1e-4)


@pytest.mark.parametrize("posed", ["vertices", "keypoints"])
def test_matrices_that_lie_column_by_column(posed):
    """As ``torch.linalg.qr`` gives them."""
    generator = torch.Generator().manual_seed(0)
    rotations, _ = torch.linalg.qr(torch.randn(2, 24, 3, 3, generator=generator))
    assert not rotations.is_contiguous()
    body = SMPLBody()
    pose = body.pose_keypoints if posed == "keypoints" else lambda each: body(each).vertices
    torch.testing.assert_close(pose(rotations), pose(rotations.contiguous()), rtol=0, atol=0)
