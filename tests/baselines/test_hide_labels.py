"""Hidden labels of synthetic samples."""

import numpy as np
import pytest
import torch

from mion_plugin.registry import DATASETS

LABELS = ("keypoints3d", "smpl_body_pose", "smpl_global_orient", "smpl_betas", "smpl_transl")


def samples(share, num_samples=40):
    pipeline = [
        dict(type="mion.HideLabels", share=share),
        dict(type="mion.Normalize"),
        dict(type="mion.PackBodyInputs"),
    ]
    config = dict(type="mion.SURREALSynthesisDataset", num_samples=num_samples, image_size=16, pipeline=pipeline)
    dataset = DATASETS.build(config)
    dataset.set_epoch(0)
    return [dataset[row]["data_samples"].gt_body for row in range(num_samples)]


def test_a_share_of_the_samples_keeps_2d_keypoints_alone():
    bodies = samples(0.5)
    hidden = [body for body in bodies if not int(body.has_smpl)]
    assert 10 <= len(hidden) <= 30
    for body in bodies:
        assert int(body.has_keypoints2d) == 1
        assert (body.keypoints2d[:, 2] > 0).any()
        gone = not int(body.has_smpl)
        assert int(body.has_keypoints3d) == int(body.has_transl) == (not gone)
        assert all(bool((body.get(key) == 0).all()) == gone for key in LABELS)


def test_the_same_samples_every_time():
    first, second = samples(0.5, 8), samples(0.5, 8)
    assert [int(body.has_smpl) for body in first] == [int(body.has_smpl) for body in second]
    assert all(torch.equal(a.keypoints2d, b.keypoints2d) for a, b in zip(first, second, strict=True))


def test_none_and_all():
    assert np.all([int(body.has_smpl) for body in samples(0.0, 4)])
    assert not np.any([int(body.has_smpl) for body in samples(1.0, 4)])


def test_a_share_out_of_range():
    with pytest.raises(ValueError, match=r"share 1\.5"):
        samples(1.5)
