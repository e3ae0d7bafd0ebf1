"""Pictures of test results, of methods with stage 1 and without."""

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mion_plugin.body import SMPLBody
from mion_plugin.visualization import ResultPicturesHook, result_pictures_hook

SIZE = 64


def paths(count, offset=0.0):
    pose = torch.zeros(count, 24, 3, 3)
    pose[:] = torch.eye(3)
    pose[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # upright
    transl = torch.tensor([offset, 0.2, 45.0]).expand(count, 3)
    return BaseDataElement(pose=pose, betas=torch.zeros(count, 10), transl=transl)


@pytest.fixture
def sample():
    sample = BaseDataElement(gt_body=BaseDataElement(keypoints2d=torch.full((17, 3), 20.0), has_smpl=torch.tensor(0)))
    sample.pred_bodies = paths(1)
    return sample


def test_a_method_without_candidates_has_one_body_less(sample, tmp_path):
    hook = ResultPicturesHook(tmp_path)
    alone = hook.draw(torch.zeros(3, SIZE, SIZE), sample)
    sample.candidates = paths(1, offset=0.3)
    both = hook.draw(torch.zeros(3, SIZE, SIZE), sample)
    assert both.shape[0] == alone.shape[0]
    assert both.shape[1] > alone.shape[1]
    assert len(np.unique(alone.reshape(-1, 3), axis=0)) > 100  # a shaded body, not an empty picture


@pytest.mark.parametrize("gender", ["neutral", "male"])
def test_the_true_body_is_of_the_samples_gender(sample, tmp_path, monkeypatch, gender):
    """Its shape is told in that gender's betas, and the metrics pose it so."""
    drawn = {}
    monkeypatch.setattr(
        result_pictures_hook,
        "draw_body_columns",
        lambda picture, keypoints2d, bodies, *args, **more: drawn.update(bodies),
    )
    betas, transl = torch.linspace(-1, 1, 10), torch.tensor([0.1, 0.2, 45.0])
    truth = {"smpl_body_pose": torch.full((23, 3), 0.1), "smpl_global_orient": torch.tensor([3.0, 0.0, 0.0])}
    sample.gt_body.set_data(truth | {"smpl_betas": betas, "smpl_transl": transl, "has_transl": 1, "has_smpl": 1})
    sample.set_metainfo({"gender": gender})
    ResultPicturesHook(tmp_path).draw(torch.zeros(3, SIZE, SIZE), sample)
    pose = torch.cat([truth["smpl_global_orient"][None], truth["smpl_body_pose"]])
    expected = SMPLBody(gender=gender)(pose, betas, transl).vertices
    torch.testing.assert_close(drawn["ground truth"], expected)
