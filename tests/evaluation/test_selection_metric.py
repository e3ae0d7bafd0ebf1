"""SelectionMetric by hand and through mmengine's evaluator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement

from mion_plugin.body import SMPLBody
from mion_plugin.evaluation import MeshMetric, SelectionMetric, mpjpe, selection_statistics
from mion_plugin.evaluation.errors import evaluation_joints
from mion_plugin.evaluation.selection_metric import chooser_values
from mion_plugin.registry import METRICS

NUM_PATHS = 4


def make_sample(index: int) -> BaseDataElement:
    generator = torch.Generator().manual_seed(index)
    pose = 0.3 * torch.randn(24, 3, generator=generator)
    sample = BaseDataElement(metainfo={"sample_idx": index, "gender": "neutral", "image_path": f"{index}.jpg"})
    sample.gt_body = BaseDataElement(
        smpl_global_orient=pose[0],
        smpl_body_pose=pose[1:],
        smpl_betas=torch.zeros(10),
        has_smpl=torch.tensor(1),
        has_keypoints3d=torch.tensor(0),
    )
    for field in ("pred_bodies", "candidates"):
        noise = torch.randn(NUM_PATHS, 24, 3, generator=generator) * torch.rand(NUM_PATHS, 1, 1, generator=generator)
        element = BaseDataElement(
            pose=pose + 0.3 * noise,
            betas=torch.zeros(NUM_PATHS, 10),
            scores=torch.rand(NUM_PATHS, generator=generator),
            fit_loss=300 * torch.rand(NUM_PATHS, generator=generator),
        )
        sample.set_data({field: element})
    return sample


@pytest.fixture(scope="module")
def samples() -> list[BaseDataElement]:
    return [make_sample(index) for index in range(6)]


def evaluate(samples, *metrics) -> dict:
    evaluator = Evaluator(list(metrics))
    evaluator.process(data_samples=samples)
    return evaluator.evaluate(len(samples))


class TestNumbers:
    def test_are_the_statistics_of_the_true_errors(self, samples):
        report = evaluate(samples, METRICS.build({"type": "mion.SelectionMetric", "num_resamples": 50}))
        body = SMPLBody()
        for field, prefix in (("pred_bodies", ""), ("candidates", "candidates/")):
            errors, scores = [], []
            for sample in samples:
                gt, paths = sample.gt_body, sample.get(field)
                true = body.pose_keypoints(
                    torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose]), convention="h36m"
                )
                joints = body.pose_keypoints(paths.pose, paths.betas, convention="h36m")
                errors.append(mpjpe(evaluation_joints(joints), evaluation_joints(true)[None]).numpy())
                scores.append(paths.scores.numpy())
            expected = selection_statistics(np.stack(errors), np.stack(scores), 0, 50)
            assert len(expected) == 9
            for name, value in expected.items():
                assert report[f"selection/{prefix}MPJPE/cen/{name}"] == pytest.approx(value, abs=1e-2)
            gap = np.stack(errors).mean(axis=1) - np.stack(errors).min(axis=1)
            assert report[f"selection/{prefix}MPJPE/random/regret"] == pytest.approx(gap.mean(), abs=1e-2)

    def test_agree_with_mesh_metric(self, samples):
        choosers = {"chosen": "scores", "reprojection": "fit_loss"}
        mesh = MeshMetric(errors=("MPJPE", "PA-MPJPE"), statistics=("chosen", "oracle", "each"), choosers=choosers)
        report = evaluate(samples, mesh, SelectionMetric(errors=("MPJPE", "PA-MPJPE"), num_resamples=0))
        for error in ("MPJPE", "candidates/PA-MPJPE"):
            for name, of_mesh in (("cen", "chosen"), ("reprojection", "reprojection"), ("first", "path_1")):
                regret = report[f"body/{error}/{of_mesh}"] - report[f"body/{error}/oracle"]
                assert report[f"selection/{error}/{name}/regret"] == pytest.approx(regret)
        assert not any(name.endswith(("_low", "_high")) for name in report)

    def test_scores_that_fit_one_field_alone_leave_the_other_out(self, samples):
        bare = [sample.new() for sample in samples]
        for sample in bare:
            sample.candidates = sample.candidates.new()
            del sample.candidates.scores
        report = evaluate(bare, SelectionMetric(num_resamples=0))
        assert "selection/MPJPE/cen/regret" in report
        assert "selection/candidates/MPJPE/cen/regret" not in report
        assert "selection/candidates/MPJPE/cen+reprojection/regret" not in report
        assert "selection/candidates/MPJPE/reprojection/regret" in report


ELEMENT = {
    "scores": torch.tensor([0.1, 0.3, 0.2]),
    "fit_loss": torch.tensor([9.0, torch.inf, 4.0]),
    "selected": torch.tensor(2),
}


class TestChoosers:
    def test_one_field(self):
        assert chooser_values(ELEMENT, "fit_loss", 3).tolist() == [9, np.inf, 4]
        assert chooser_values(ELEMENT, "first", 3).tolist() == [0, 1, 2]
        assert chooser_values(ELEMENT, "selected", 3) == 2
        assert chooser_values(ELEMENT, "true_distance", 3) is None

    def test_ranks_the_first_field_deciding_between_equals(self):
        values = chooser_values(ELEMENT, ("scores", "fit_loss"), 3)  # ranks 1, 3, 2 and 2, 3, 1
        assert values.argsort().tolist() == [0, 2, 1]
        assert chooser_values(ELEMENT, ["fit_loss", "scores"], 3).argsort().tolist() == [2, 0, 1]
        np.testing.assert_allclose(values, [3, 6, 3], atol=0.01)

    def test_weighted_sum(self):
        values = chooser_values(ELEMENT, {"scores": 2.0, "fit_loss": 0.1}, 3)
        np.testing.assert_allclose(values, [1.1, np.inf, 0.8], rtol=1e-6)
        values = chooser_values(ELEMENT, {"scores": 1.0, "fit_loss": 0.0}, 3)
        np.testing.assert_allclose(values, [0.1, 0.3, 0.2], rtol=1e-6)

    def test_bad_ones(self, samples):
        with pytest.raises(ValueError, match="scores, selected cannot be combined: one of them is an index"):
            chooser_values(ELEMENT, ("scores", "selected"), 3)
        with pytest.raises(ValueError, match=r"chooser 'cen' is \(\), expected a field or several"):
            SelectionMetric(choosers={"cen": ()})
        with pytest.raises(ValueError, match="num_resamples is -1"):
            SelectionMetric(num_resamples=-1)
        broken = make_sample(7)
        broken.pred_bodies.scores[1] = torch.nan
        with pytest.raises(ValueError, match=r"7\.jpg: pred_bodies: scores holds NaN"):
            evaluate([broken], SelectionMetric())
