"""Every term against plain loops, and the masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import roma
import torch
from mmengine.structures import BaseDataElement
from scipy.spatial.transform import Rotation
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.refinement.losses import MeshLoss, root_joints, theta_difference
from mion_plugin.registry import MODELS
from mion_plugin.samples import collect_targets

CAMERA = CropCamera()
TERMS = ("loss_smpl_pose", "loss_smpl_betas", "loss_keypoints3d", "loss_keypoints2d")
ALL_VALID = torch.ones(3, dtype=torch.bool)


@pytest.fixture
def samples(make_samples) -> list[BaseDataElement]:
    return make_samples(batch=3)


@pytest.fixture
def output() -> Bodies:
    """Two paths for each of three samples, with gradients."""
    generator = torch.Generator().manual_seed(5)
    pose = 0.3 * torch.randn(3, 2, 24, 3, generator=generator)
    pose[..., 0, 0] += 3
    values = {
        "pose": roma.rotvec_to_rotmat(pose),
        "betas": torch.randn(3, 2, 10, generator=generator),
        "transl": torch.tensor([0.1, 0.2, 50.0]).repeat(3, 2, 1),
    }
    return Bodies(**{name: value.requires_grad_() for name, value in values.items()})


def of_images(bodies: Bodies, rows) -> Bodies:
    """The bodies of some images alone."""
    return Bodies(bodies.pose[rows], bodies.betas[rows], bodies.transl[rows])


def compute(output, samples, body, valid=ALL_VALID, **options) -> dict[str, Tensor]:
    return MeshLoss(**options)(output, collect_targets(samples, torch.device("cpu")), valid, body, CAMERA)


def length(numbers) -> float:
    return math.sqrt(sum(float(number) ** 2 for number in numbers))


def mean_square(numbers) -> float:
    numbers = [float(number) ** 2 for number in numbers]
    return sum(numbers) / len(numbers)


def reference(output, samples, body, error) -> dict[str, float]:
    """Unweighted terms by plain loops over samples, paths and joints."""
    terms: dict[str, list[float]] = {name: [] for name in TERMS}
    for row, sample in enumerate(samples):
        gt = sample.gt_body
        wanted_pose = roma.rotvec_to_rotmat(torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose]))
        for path in range(2):
            pose, betas, transl = (getattr(output, name)[row, path].detach() for name in ("pose", "betas", "transl"))
            if gt.has_smpl:
                joints = [error((pose[joint] - wanted_pose[joint]).flatten()) for joint in range(24)]
                terms["loss_smpl_pose"].append(sum(joints) / 24)
                terms["loss_smpl_betas"].append(error(betas - gt.smpl_betas))
            if gt.has_keypoints3d and gt.keypoints3d[0, 3] > 0:
                points = body.pose_keypoints(pose, betas, convention="h36m")
                errors = [
                    gt.keypoints3d[k, 3].item()
                    * error((points[k] - points[0]) - (gt.keypoints3d[k, :3] - gt.keypoints3d[0, :3]))
                    for k in range(17)
                    if gt.keypoints3d[k, 3] > 0
                ]
                terms["loss_keypoints3d"].append(sum(errors) / len(errors))
            if gt.has_keypoints2d and (gt.keypoints2d[:, 2] > 0).any():
                points = body.pose_keypoints(pose, betas, transl, convention="coco")
                errors = []
                for k in range(17):
                    x, y, confidence = gt.keypoints2d[k].tolist()
                    if confidence > 0:
                        u = 5000 * points[k, 0].item() / points[k, 2].item()
                        v = 5000 * points[k, 1].item() / points[k, 2].item()
                        errors.append(confidence * error([(u - (x - 112)) / 112, (v - (y - 112)) / 112]))
                terms["loss_keypoints2d"].append(sum(errors) / len(errors))
    return {name: sum(values) / len(values) if values else 0.0 for name, values in terms.items()}


@pytest.mark.parametrize(("name", "error"), [("l2", length), ("mse", mean_square)])
class TestAgainstLoops:
    def test_all_labels(self, output, samples, body, name: str, error) -> None:
        losses = compute(output, samples, body, smpl_weight=1.0, keypoints_weight=1.0, error=name)
        expected = reference(output, samples, body, error)
        for term in TERMS:
            assert losses[term].item() == pytest.approx(expected[term], rel=1e-3), term

    def test_partial_labels_and_confidences(self, output, samples, body, name: str, error) -> None:
        generator = torch.Generator().manual_seed(6)
        for sample in samples:
            for key in ("keypoints2d", "keypoints3d"):
                confidence = torch.rand(17, generator=generator)
                confidence[torch.randperm(16, generator=generator)[:6] + 1] = 0
                sample.gt_body.get(key)[:, -1] = confidence
        samples[0].gt_body.has_smpl = torch.tensor(0)
        samples[1].gt_body.has_keypoints3d = torch.tensor(0)
        samples[2].gt_body.has_keypoints2d = torch.tensor(0)
        samples[2].gt_body.keypoints3d[0, 3] = 0  # no pelvis to align at
        losses = compute(output, samples, body, keypoints_weight=1.0, error=name)
        expected = reference(output, samples, body, error)
        for term in TERMS:
            assert losses[term].item() == pytest.approx(expected[term], rel=1e-3), term


def test_the_papers_weights(output, samples, body) -> None:
    plain = compute(output, samples, body, keypoints_weight=1.0)
    weighted = MODELS.build({"type": "mion.MeshLoss"})(
        output, collect_targets(samples, torch.device("cpu")), ALL_VALID, body, CAMERA
    )
    for term, weight in zip(TERMS, (1, 1, 5, 5), strict=True):
        torch.testing.assert_close(weighted[term], weight * plain[term])
    fewer_betas = compute(output, samples, body, betas_weight=0.1)
    torch.testing.assert_close(fewer_betas["loss_smpl_betas"], 0.1 * plain["loss_smpl_betas"])


def test_mpjpe_is_the_mean_distance_in_millimetres(output, samples, body) -> None:
    losses = compute(output, samples, body, keypoints_weight=1.0)
    assert losses["mpjpe"].item() == pytest.approx(1000 * losses["loss_keypoints3d"].item(), rel=1e-5)
    assert not losses["mpjpe"].requires_grad
    assert set(losses) == {*TERMS, "mpjpe"}


LABELS = {"has_smpl": TERMS[:2], "has_keypoints3d": TERMS[2:3], "has_keypoints2d": TERMS[3:]}


class TestMasks:
    @pytest.mark.parametrize("absent", [(), *[(name,) for name in LABELS], tuple(LABELS)])
    @pytest.mark.parametrize("error", ["l2", "mse"])
    def test_absent_labels_give_zeros_with_gradient(self, output, samples, body, absent, error) -> None:
        for sample in samples:
            for name in absent:
                sample.gt_body.set_data({name: torch.tensor(0)})
        losses = compute(output, samples, body, error=error)
        zero = {term for name in absent for term in LABELS[name]}
        for term in TERMS:
            assert (losses[term].item() == 0) == (term in zero)
            assert losses[term].requires_grad
        assert ("mpjpe" in losses) == ("has_keypoints3d" not in absent)
        sum(losses[term] for term in TERMS).backward()
        for value in (output.pose, output.betas, output.transl):
            assert torch.isfinite(value.grad).all()
        assert (len(absent) == 3) == bool((output.pose.grad == 0).all())

    def test_what_is_masked_may_be_anything(self, output, samples, body) -> None:
        samples[0].gt_body.has_smpl = torch.tensor(0)
        samples[1].gt_body.has_keypoints3d = torch.tensor(0)
        for sample in samples:
            sample.gt_body.keypoints2d[3, 2] = 0
            sample.gt_body.keypoints3d[4, 3] = 0
        expected = compute(output, samples, body)
        samples[0].gt_body.smpl_betas[:] = torch.nan
        samples[1].gt_body.keypoints3d[:, :3] = torch.inf
        for sample in samples:
            sample.gt_body.keypoints2d[3] = torch.nan
            sample.gt_body.keypoints3d[4] = torch.nan
        losses = compute(output, samples, body)
        for term in TERMS:
            assert torch.equal(losses[term], expected[term])
        sum(losses[term] for term in TERMS).backward()
        assert all(torch.isfinite(value.grad).all() for value in (output.pose, output.betas, output.transl))

    def test_missing_keys_are_missing_labels(self, output, samples, body) -> None:
        for sample in samples:
            for key in ("keypoints3d", "smpl_betas", "has_keypoints2d"):
                sample.gt_body.pop(key)
        losses = compute(output, samples, body)
        assert [losses[term].item() == 0 for term in TERMS] == [True, True, True, False]

    def test_invalid_samples_do_not_count(self, output, samples, body) -> None:
        valid = torch.tensor([True, False, True])
        losses = compute(output, samples, body, valid=valid)
        expected = compute(of_images(output, valid), [samples[0], samples[2]], body, valid=ALL_VALID[:2])
        for term in (*TERMS, "mpjpe"):
            torch.testing.assert_close(losses[term], expected[term])
        nothing = compute(output, samples, body, valid=~ALL_VALID)
        assert all(nothing[term].item() == 0 for term in TERMS)

    def test_labelled_samples_weigh_the_same_however_many_there_are(self, output, samples, body) -> None:
        for sample in samples[1:]:
            sample.gt_body.has_smpl = torch.tensor(0)
        torch.testing.assert_close(
            compute(output, samples, body)["loss_smpl_pose"],
            compute(of_images(output, slice(1)), samples[:1], body, valid=ALL_VALID[:1])["loss_smpl_pose"],
        )


def test_the_truth_has_no_loss(samples, body) -> None:
    targets = collect_targets(samples, torch.device("cpu"))
    output = Bodies(
        targets.rotations[:, None].clone().requires_grad_(),
        targets.betas[:, None].clone().requires_grad_(),
        torch.stack([sample.candidates.transl[:1] for sample in samples]),  # make_samples puts them in the right place
    )
    losses = compute(output, samples, body)
    assert all(losses[term].item() == pytest.approx(0, abs=1e-4) for term in TERMS)
    sum(losses[term] for term in TERMS).backward()
    assert torch.isfinite(output.pose.grad).all()  # the slope of a length at zero
    assert torch.isfinite(output.betas.grad).all()


def test_3d_loss_ignores_where_the_body_is(output, samples, body) -> None:
    expected = compute(output, samples, body)["loss_keypoints3d"]
    for sample in samples:
        sample.gt_body.keypoints3d[:, :3] += torch.tensor([1.0, -2.0, 3.0])
    torch.testing.assert_close(compute(output, samples, body)["loss_keypoints3d"], expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("convention", "names"),
    [("h36m", (0,)), ("coco", (11, 12)), ("smpl", (0,)), ("lsp", (2, 3)), ("mpi_inf_3dhp_test", (14,))],
)
def test_root_of_a_convention(convention: str, names: tuple[int, ...]) -> None:
    assert sorted(root_joints(convention)) == sorted(names)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="error is 'l1', expected one of l2, mse"):
        MeshLoss(error="l1")
    with pytest.raises(ValueError, match=r"weights 1\.0, -5\.0, 1\.0: expected"):
        MeshLoss(keypoints_weight=-5.0)


def rotations(*vectors) -> Tensor:
    """(1, 1, J, 3, 3) of axis-angle vectors, in double precision."""
    return torch.from_numpy(Rotation.from_rotvec(np.array(vectors)).as_matrix())[None, None]


def nearest_difference(predicted, wanted) -> np.ndarray:
    """Of all vectors of the predicted rotation, within two full turns, the nearest one less the wanted vector."""
    length = np.linalg.norm(predicted)
    axis = predicted / length if length else np.zeros(3)
    forms = [predicted + 2 * np.pi * turns * axis for turns in (-2, -1, 0, 1, 2)]
    return min((form - wanted for form in forms), key=np.linalg.norm)


class TestPrintedForm:
    """Eq. 7 as printed, the length of [theta, beta], by scipy's rotations."""

    @pytest.mark.parametrize(("error", "of"), [("l2", length), ("mse", mean_square)])
    def test_against_loops(self, output, samples, body, error, of) -> None:
        samples[1].gt_body.has_smpl = torch.tensor(0)
        losses = compute(output, samples, body, smpl="printed", error=error, smpl_weight=2.0)
        expected = []
        for row, path in ((0, 0), (0, 1), (2, 0), (2, 1)):
            gt = samples[row].gt_body
            pose = Rotation.from_matrix(output.pose[row, path].detach().numpy()).as_rotvec()
            truth = torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose]).numpy()
            theta = [nearest_difference(one, other) for one, other in zip(pose, truth, strict=True)]
            betas = (output.betas[row, path].detach() - gt.smpl_betas).numpy()
            expected.append(of([*np.concatenate(theta), *betas]))
        assert losses["loss_smpl"].item() == pytest.approx(2 * sum(expected) / 4, rel=1e-4)
        assert set(losses) == {"loss_smpl", *TERMS[2:], "mpjpe"}

    def test_betas_weight_scales_the_betas(self, output, samples, body) -> None:
        theta, whole = (
            compute(output, samples, body, smpl="printed", betas_weight=weight)["loss_smpl"] for weight in (0.0, 1.0)
        )
        assert 0 < theta < whole

    def test_a_turn_by_pi_is_no_jump(self) -> None:
        """Just below and just above pi the shortest vectors point in opposite directions."""
        wanted = np.array([3.1, 0.0, 0.0])
        for angle in (3.13, np.pi, 3.15, 3.5):
            (difference,) = theta_difference(rotations([angle, 0, 0]), rotations(wanted)[0], torch.tensor([True]))[0]
            np.testing.assert_allclose(difference[0], [angle - 3.1, 0, 0], atol=1e-9)

    @pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, np.pi - 1e-6, np.pi])
    def test_gradients_are_finite(self, angle) -> None:
        predicted = rotations([angle, 0, 0]).float().requires_grad_()
        difference = theta_difference(predicted, rotations([0.5, 2.0, 1.0])[0].float(), torch.tensor([True]))
        difference.square().sum().backward()
        assert torch.isfinite(predicted.grad).all()

    def test_what_has_no_label_may_be_anything(self, output, samples, body) -> None:
        samples[0].gt_body.has_smpl = torch.tensor(0)
        expected = compute(output, samples, body, smpl="printed")["loss_smpl"]
        samples[0].gt_body.smpl_body_pose[:] = torch.nan
        samples[0].gt_body.smpl_betas[:] = torch.inf
        loss = compute(output, samples, body, smpl="printed")["loss_smpl"]
        assert torch.equal(loss, expected)
        loss.backward()
        assert torch.isfinite(output.pose.grad).all()
        assert (output.pose.grad[0] == 0).all()

    def test_the_truth_has_no_loss(self, samples, body) -> None:
        targets = collect_targets(samples, torch.device("cpu"))
        transl = torch.stack([sample.candidates.transl[:1] for sample in samples])
        exact = Bodies(targets.rotations[:, None].clone().requires_grad_(), targets.betas[:, None], transl)
        loss = compute(exact, samples, body, smpl="printed")["loss_smpl"]
        assert loss.item() == pytest.approx(0, abs=1e-5)
        loss.backward()
        assert torch.isfinite(exact.pose.grad).all()

    def test_another_form(self) -> None:
        with pytest.raises(ValueError, match="smpl is 'joint', expected one of per_joint, printed"):
            MeshLoss(smpl="joint")


class TestCollecting:
    def test_mixed_conventions(self, samples) -> None:
        samples[1].set_metainfo({"keypoints2d_convention": "lsp"})
        with pytest.raises(ValueError, match="keypoints2d in coco, lsp; give all data sets one keypoints2d_convention"):
            collect_targets(samples, torch.device("cpu"))

    def test_wrong_shape_names_sample_and_key(self, samples) -> None:
        samples[2].gt_body.keypoints3d = torch.zeros(14, 4)
        with pytest.raises(ValueError, match=r"2\.jpg: keypoints3d has shape \(14, 4\), expected \(17, 4\)"):
            collect_targets(samples, torch.device("cpu"))

    def test_another_convention(self, output, samples, body) -> None:
        """The same joints in another order give the same loss."""
        expected = compute(output, samples, body)["loss_keypoints2d"]
        for sample in samples:
            sample.set_metainfo({"keypoints2d_convention": "smpl_54"})
            sample.gt_body.keypoints2d = convert_keypoints(sample.gt_body.keypoints2d, "coco", "smpl_54")[0]
        torch.testing.assert_close(compute(output, samples, body)["loss_keypoints2d"], expected)
