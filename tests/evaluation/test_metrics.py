"""MeshMetric by hand and through mmengine's evaluator."""

import numpy as np
import pytest
import roma
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement

from mion_plugin.body import SMPLBody
from mion_plugin.evaluation import MeshMetric, mpjpe, pve, root_aligned
from mion_plugin.evaluation.errors import evaluation_joints
from mion_plugin.evaluation.metrics import ERRORS
from mion_plugin.registry import METRICS

NUM_SAMPLES, NUM_PATHS = 3, 4


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


def random_poses(seed: int, *shape: int, spread: float = 0.3) -> torch.Tensor:
    return spread * torch.randn(*shape, 24, 3, generator=torch.Generator().manual_seed(seed))


def make_sample(index: int, gender: str = "neutral", **gt) -> BaseDataElement:
    """A sample with SMPL truth, N paths near it and as many candidates farther away."""
    pose, betas = random_poses(index), torch.randn(10, generator=torch.Generator().manual_seed(index))
    sample = BaseDataElement(
        metainfo={"sample_idx": index, "gender": gender, "keypoints3d_convention": "h36m", "image_path": f"{index}.jpg"}
    )
    sample.gt_body = BaseDataElement(
        **{
            "smpl_global_orient": pose[0],
            "smpl_body_pose": pose[1:],
            "smpl_betas": betas,
            "keypoints3d": torch.zeros(17, 4),
            "has_smpl": torch.tensor(1),
            "has_keypoints3d": torch.tensor(0),
            **gt,
        }
    )
    near = pose + random_poses(100 + index, NUM_PATHS, spread=0.1)
    far = pose + random_poses(200 + index, NUM_PATHS, spread=0.3)
    scores = torch.rand(NUM_PATHS, generator=torch.Generator().manual_seed(index))
    sample.pred_bodies = BaseDataElement(pose=near, betas=betas.expand(NUM_PATHS, 10) + 0.1, scores=scores)
    sample.candidates = BaseDataElement(pose=far)
    return sample


def evaluate(samples: list[BaseDataElement], **options) -> dict:
    evaluator = Evaluator([MeshMetric(**options)])
    evaluator.process(data_samples=samples)
    return evaluator.evaluate(len(samples))


@pytest.fixture(scope="module")
def samples() -> list[BaseDataElement]:
    return [make_sample(index) for index in range(NUM_SAMPLES)]


@pytest.fixture(scope="module")
def report(samples) -> dict:
    return evaluate(samples)


class TestNumbers:
    def test_alternatives_are_measured_as_paths_are(self, samples, report):
        with_others = [sample.new() for sample in samples]
        for sample in with_others:
            sample.alternatives = sample.pred_bodies.clone()
        measured = evaluate(with_others)
        paths = {name: value for name, value in report.items() if name.startswith("body/") and name.count("/") == 2}
        assert len(paths) > 50
        for name, value in paths.items():
            assert measured[name.replace("body/", "body/alternatives/")] == pytest.approx(value, rel=1e-6), name
        assert {name: measured[name] for name in report} == pytest.approx(report)

    def test_every_error_for_paths_and_candidates(self, report):
        for error in ERRORS:
            for prefix in ("body/", "body/candidates/"):
                for statistic in ("chosen", "oracle", "mean", "random", "path_4", "oracle_of_2", "chosen_of_3"):
                    assert np.isfinite(report[f"{prefix}{error}/{statistic}"])
        # candidates lie farther from the truth than the paths
        assert report["body/candidates/PVE/mean"] > report["body/PVE/mean"] > 1

    def test_against_the_error_functions(self, report, samples, body):
        chosen, surface = [], []
        for sample in samples:
            path = int(sample.pred_bodies.scores.argmin())
            gt = sample.gt_body
            true = body(torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose]), gt.smpl_betas)
            pred = body(sample.pred_bodies.pose[path], sample.pred_bodies.betas[path])
            pred_joints, true_joints = (body.keypoints(output, "h36m") for output in (pred, true))
            chosen.append(mpjpe(evaluation_joints(pred_joints), evaluation_joints(true_joints)))
            pred_surface = root_aligned(pred.vertices, pred_joints[0])
            surface.append(pve(pred_surface, root_aligned(true.vertices, true_joints[0])))
        assert report["body/MPJPE/chosen"] == pytest.approx(torch.stack(chosen).mean().item(), abs=1e-3)
        assert report["body/PVE-PELVIS/chosen"] == pytest.approx(torch.stack(surface).mean().item(), abs=1e-3)
        assert report["body/SHAPE-L2/mean"] == pytest.approx(0.1 * 10**0.5, abs=1e-6)

    def test_joints_alone_need_no_mesh_and_are_the_same(self, report, samples):
        fast = evaluate(samples, errors=("MPJPE", "PA-MPJPE"))
        for name in fast:
            assert fast[name] == pytest.approx(report[name], abs=0.02)  # float32 along another way

    def test_order_of_samples_is_free(self, report, samples):
        assert evaluate(samples[::-1]) == pytest.approx(report)

    def test_neutral_truth_makes_pve_and_vertex_l2_equal(self, report):
        assert report["body/PVE/mean"] == pytest.approx(report["body/VERTEX-L2/mean"], abs=1e-6)

    def test_rotation_matrices_and_own_points_give_the_same(self, report, samples, body):
        converted = []
        for sample in samples:
            element = sample.new()
            paths, candidates = sample.pred_bodies, sample.candidates
            output = body(paths.pose, paths.betas)
            element.pred_bodies = BaseDataElement(
                pose=roma.rotvec_to_rotmat(paths.pose),
                betas=paths.betas,
                scores=paths.scores,
                vertices=output.vertices,
                keypoints3d=body.keypoints(output, "h36m"),
            )
            element.candidates = BaseDataElement(vertices=body(candidates.pose).vertices, pose=candidates.pose)
            converted.append(element)
        assert evaluate(converted) == pytest.approx(report, abs=1e-2)


class TestChoices:
    def test_without_scores_the_first_path_is_the_answer(self):
        sample = make_sample(0)
        del sample.pred_bodies.scores
        report = evaluate([sample], errors=("MPJPE",))
        assert report["body/MPJPE/chosen"] == report["body/MPJPE/path_1"]

    def test_selected_index(self):
        sample = make_sample(0)
        del sample.pred_bodies.scores
        sample.pred_bodies.selected = torch.tensor(2)
        report = evaluate([sample], errors=("MPJPE",))
        assert report["body/MPJPE/chosen"] == report["body/MPJPE/path_3"]

    def test_as_the_refinement_packs_it(self):
        # a person whose keypoints determined no candidate: fit losses infinite, still counted
        samples = [make_sample(0), make_sample(1)]
        for sample, valid in zip(samples, (True, False), strict=True):
            loss = torch.tensor([2.0, 1.0, 3.0, 4.0])
            sample.pred_bodies.fit_loss = loss if valid else torch.full((4,), torch.inf)
            sample.pred_bodies.valid = torch.tensor(valid)
        report = evaluate(samples, errors=("MPJPE",))
        assert report["body/num_samples"] == 2
        assert report["body/num_invalid"] == 1
        each = [evaluate([sample], errors=("MPJPE",)) for sample in samples]
        expected = (each[0]["body/MPJPE/path_2"] + each[1]["body/MPJPE/path_1"]) / 2
        assert report["body/MPJPE/reprojection"] == pytest.approx(expected)
        assert "body/candidates/MPJPE/reprojection" not in report  # they carry no fit loss

    def test_several_choosers(self):
        sample = make_sample(1)
        sample.pred_bodies.keypoints2d_loss = torch.tensor([3.0, 1.0, 0.5, 2.0])
        choosers = {"chosen": "scores", "reprojection": "keypoints2d_loss"}
        report = evaluate([sample], errors=("MPJPE",), statistics=("chosen", "each"), choosers=choosers)
        assert report["body/MPJPE/reprojection"] == report["body/MPJPE/path_3"]
        best = int(sample.pred_bodies.scores.argmin()) + 1
        assert report["body/MPJPE/chosen"] == report[f"body/MPJPE/path_{best}"]

    def test_what_the_choice_went_by_counts_before_scores_and_index(self):
        sample = make_sample(1)
        by = {"selection_scores": [3.0, 1.0, 0.5, 2.0], "scores": [3.0, 0.1, 0.5, 2.0], "selected": 3}
        for name, value in by.items():
            sample.pred_bodies.set_data({name: torch.tensor(value)})
        for name, path in (("selection_scores", 3), ("scores", 2), ("selected", 4), (None, 1)):
            report = evaluate([sample], errors=("MPJPE",))
            assert report["body/MPJPE/chosen"] == report[f"body/MPJPE/path_{path}"], name
            sample.pred_bodies.pop(name, None)

    def test_the_first_path_is_a_chooser(self):
        report = evaluate([make_sample(1)], errors=("MPJPE",), choosers={"chosen": "scores", "first": "first"})
        assert report["body/MPJPE/first"] == report["body/MPJPE/path_1"] != report["body/MPJPE/chosen"]
        assert report["body/candidates/MPJPE/first"] == report["body/candidates/MPJPE/path_1"]

    def test_random_path_depends_on_seed_and_sample_alone(self):
        samples = [make_sample(index) for index in range(6)]
        options = {"errors": ("MPJPE",), "statistics": ("random",)}
        assert evaluate(samples, **options, seed=3) == evaluate(samples, **options, seed=3)
        assert evaluate(samples, **options, seed=3) != evaluate(samples, **options, seed=4)

    def test_one_path_without_candidates(self):
        sample = make_sample(2)
        sample.pred_bodies = BaseDataElement(pose=sample.pred_bodies.pose[:1], betas=sample.pred_bodies.betas[:1])
        del sample.candidates
        report = evaluate([sample], errors=("PA-MPJPE",))
        errors = {value for name, value in report.items() if "PA-MPJPE" in name}
        assert errors == {report["body/PA-MPJPE/path_1"]}
        assert not any("candidates" in name for name in report)


class TestMixedTruth:
    def test_samples_without_truth_are_left_out(self):
        with_smpl = make_sample(3)
        without = make_sample(4, has_smpl=torch.tensor(0))
        both, alone = evaluate([with_smpl, without]), evaluate([with_smpl])
        assert (both.pop("body/num_samples"), alone.pop("body/num_samples")) == (2, 1)
        assert both == pytest.approx(alone)

    def test_annotated_joints_and_their_mask(self):
        joints = torch.randn(17, 3, generator=torch.Generator().manual_seed(5))
        annotated = torch.cat([joints, torch.ones(17, 1)], dim=1)
        annotated[5] = 0  # left or right knee, absent
        sample = make_sample(5, keypoints3d=annotated, has_keypoints3d=torch.tensor(1))
        sample.pred_bodies = BaseDataElement(keypoints3d=joints[None] + 1.0)  # a pure translation
        del sample.candidates
        report = evaluate([sample], errors=("MPJPE", "PA-MPJPE"), ground_truth="keypoints3d")
        assert report["body/MPJPE/chosen"] == pytest.approx(0, abs=1e-3)
        moved = joints.clone()
        moved[5] += 10  # the absent joint's place does not count
        sample.pred_bodies = BaseDataElement(keypoints3d=moved[None])
        report = evaluate([sample], errors=("MPJPE", "PA-MPJPE"), ground_truth="keypoints3d")
        assert report["body/PA-MPJPE/chosen"] == pytest.approx(0, abs=1e-3)

    def test_no_truth_at_all(self):
        with pytest.raises(ValueError, match=r"no sample has the ground truth for MPJPE .*keypoints3d"):
            evaluate([make_sample(6)], ground_truth="keypoints3d")


class TestBadInput:
    def test_nan_names_the_image(self):
        sample = make_sample(7)
        sample.pred_bodies.pose[0, 3, 1] = float("nan")
        with pytest.raises(ValueError, match=r"7\.jpg: pred_bodies\.pose holds NaN"):
            evaluate([sample])

    def test_no_predictions(self):
        sample = make_sample(8)
        del sample.pred_bodies
        with pytest.raises(ValueError, match=r"8\.jpg: the data sample holds no pred_bodies"):
            evaluate([sample])

    def test_unequal_numbers_of_paths(self):
        fewer = make_sample(9)
        fewer.pred_bodies = BaseDataElement(
            **{key: value[:2] for key, value in make_sample(9).pred_bodies.to_dict().items()}
        )
        with pytest.raises(ValueError, match=r"numbers of paths betas: 2, betas: 4, .*expected the same for all"):
            evaluate([make_sample(10), fewer])
        evaluator = Evaluator([MeshMetric()])
        evaluator.process(data_samples=[make_sample(10)])  # batches of their own
        evaluator.process(data_samples=[fewer])
        with pytest.raises(ValueError, match="2, 4 paths, expected one number for all"):
            evaluator.evaluate(2)

    @pytest.mark.parametrize(
        ("option", "value", "expected"),
        [
            ("errors", ("MPJE",), "MPJPE"),
            ("statistics", ("median",), "by_count"),
            ("ground_truth", "mesh", "keypoints3d"),
        ],
    )
    def test_config_typos(self, option, value, expected):
        with pytest.raises(ValueError, match=f"{option} .*expected some of .*{expected}"):
            METRICS.build({"type": "mion.MeshMetric", option: value})

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("scores", torch.zeros(2), r"scores has shape \(2,\), expected \(4,\) scores or one index"),
            ("scores", torch.tensor([0, float("nan"), 0, 0]), "scores holds NaN"),
            ("selected", torch.tensor(4), "selected is 4.0, expected the index of one of 4 paths"),
        ],
    )
    def test_choices(self, field, value, message):
        sample = make_sample(11)
        del sample.pred_bodies.scores
        sample.pred_bodies.set_field(value, field)
        with pytest.raises(ValueError, match=rf"11\.jpg: pred_bodies: {message}"):
            evaluate([sample])

    def test_paths_without_geometry(self):
        sample = make_sample(12)
        sample.pred_bodies = BaseDataElement(scores=torch.zeros(4))
        with pytest.raises(ValueError, match=r"12\.jpg: pred_bodies hold scores, expected some of pose, betas"):
            evaluate([sample])
