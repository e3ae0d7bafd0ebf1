"""Pictures of one candidate with the bodies of others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.clip_pool import make_clip_pool
from support.tiny_mion import make_body_pool

from mion_plugin.candidates import CandidateSelector
from mion_plugin.candidates.pool import save_pool
from mion_plugin.consistency import CandidatePairDataset, ConsistencyModel
from mion_plugin.datasets import EpochSampler, MixedDataset
from mion_plugin.registry import DATASETS
from mion_plugin.synthesis import SURREALSynthesisDataset

SIZE, FOCAL_LENGTH = 64, 5000.0 * 64 / 224
PIPELINE = [dict(type="mion.Normalize"), dict(type="mion.PackBodyInputs")]


@pytest.fixture(scope="module")
def pool_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "pool.npz"
    save_pool(make_clip_pool(), path)
    return path


@pytest.fixture(scope="module")
def selector(body) -> CandidateSelector:
    return CandidateSelector(make_body_pool(body), num_candidates=4, focal_length=FOCAL_LENGTH, image_size=SIZE)


@pytest.fixture(scope="module")
def make_source(pool_file, body):
    def make(num_samples: int = 6, **options) -> SURREALSynthesisDataset:
        settings = dict(poses=dict(pool=pool_file, test_clips=["sit"]), image_size=SIZE, body=body, detected_noise=1.0)
        return SURREALSynthesisDataset(num_samples, **(settings | options))

    return make


@pytest.fixture(scope="module")
def make_pairs(make_source, selector, body):
    def make(source=None, **options) -> CandidatePairDataset:
        settings = dict(selector=selector, num_others=3, image_size=SIZE, body=body, pipeline=PIPELINE)
        return CandidatePairDataset(source or make_source(), **(settings | options))

    return make


def assert_same(one, other) -> None:
    assert torch.equal(one["inputs"], other["inputs"])
    for field in ("gt_body", "candidates"):
        first, second = one["data_samples"].get(field), other["data_samples"].get(field)
        assert set(first.keys()) == set(second.keys())
        for key, value in first.items():
            assert torch.equal(value, second.get(key)), key


class TestPairs:
    def test_the_picture_and_the_others_are_the_samples_candidates(self, make_pairs, make_source, selector) -> None:
        source, pairs = make_source(), make_pairs()
        drawn = set()
        for index in range(6):
            keypoints = torch.from_numpy(source[index]["keypoints2d_input"])
            selection = selector(keypoints[None])
            sample = pairs[index]["data_samples"]
            true = torch.cat([sample.gt_body.smpl_global_orient[None], sample.gt_body.smpl_body_pose])
            rows = [
                int((selection.pose[0] == pose).flatten(1).all(dim=1).nonzero()[0, 0])
                for pose in (true, *sample.candidates.pose)
            ]
            assert sorted(rows) == [0, 1, 2, 3]  # all of them, each once
            drawn.add(rows[0])
            assert torch.equal(sample.candidates.transl, selection.transl[0, rows[1:]])
            assert torch.equal(sample.candidates.fit_loss, selection.fit_loss[0, rows[1:]])
            assert torch.equal(sample.gt_body.smpl_transl, selection.transl[0, rows[0]])
            assert torch.equal(sample.gt_body.keypoints2d_input, keypoints)
            assert (sample.gt_body.smpl_betas == 0).all()
            assert sample.sample_idx == index
        assert len(drawn) > 1

    def test_the_picture_shows_the_true_body(self, make_pairs, body) -> None:
        """Before a background of one colour, the body's pixels are those that its PNCC covers."""
        from mion_plugin.rendering.pncc import PNCCRenderer

        class Plain:
            def draw(self, rng, size):
                return np.full((size, size, 3), 77, np.uint8)

        pairs = make_pairs(pipeline=[dict(type="mion.PackBodyInputs")])
        pairs.synthesizer.background = Plain()
        for index in range(3):
            packed = pairs[index]
            gt = packed["data_samples"].gt_body
            pose = torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose])
            vertices = body(pose, gt.smpl_betas, gt.smpl_transl).vertices
            pncc = PNCCRenderer(size=SIZE)(vertices[None], FOCAL_LENGTH, (SIZE / 2, SIZE / 2), SIZE)[0]
            body_pixels, shown = (pncc > 0).any(dim=0), (packed["inputs"] != 77).any(dim=0)
            assert (shown & body_pixels).sum() > 0.95 * body_pixels.sum()
            points = torch.cat([gt.keypoints2d[:, :2], torch.ones(17, 1)], dim=1)
            joints = body.pose_keypoints(pose, gt.smpl_betas, gt.smpl_transl, "coco") @ gt.cam_intrinsics.T
            torch.testing.assert_close(points[:, :2], joints[:, :2] / joints[:, 2:], atol=0.02, rtol=0)

    def test_shapes_on_request(self, make_pairs) -> None:
        betas = [make_pairs(betas_std=1.0)[index]["data_samples"].gt_body.smpl_betas for index in range(6)]
        assert 0.6 < torch.stack(betas).std() < 1.4


class TestDeterminism:
    def test_workers_and_batches_do_not_matter(self, make_pairs) -> None:
        pairs = make_pairs()
        expected = [pairs[index] for index in range(6)]
        for workers, batch_size in ((0, 4), (2, 2)):
            loader = torch.utils.data.DataLoader(
                pairs, batch_size=batch_size, num_workers=workers, collate_fn=lambda batch: batch
            )
            for sample, again in zip(expected, (sample for batch in loader for sample in batch), strict=True):
                assert_same(sample, again)

    def test_epoch_and_seed_matter(self, make_pairs, make_source) -> None:
        pairs, other = make_pairs(make_source(fresh_samples=True)), make_pairs(seed=1)
        first = pairs[2]
        assert not torch.equal(first["inputs"], other[2]["inputs"])
        sampler = EpochSampler(pairs)
        sampler.set_epoch(1)
        second = pairs[2]
        kept = first["data_samples"].gt_body.keypoints2d_input
        assert not torch.equal(second["data_samples"].gt_body.keypoints2d_input, kept)  # the wrapped set knows, too
        sampler.set_epoch(0)
        assert_same(pairs[2], first)
        assert_same(pairs[-4], first)


class TestUse:
    def test_trains_the_network(self, make_pairs, make_cen) -> None:
        pairs = make_pairs()
        renderer = {"type": "mion.PNCCRenderer", "size": SIZE}
        cen = make_cen(renderer=renderer, image_size=SIZE, focal_length=FOCAL_LENGTH)
        model = ConsistencyModel(cen, selector=None, num_bodies=3)
        batch = [pairs[index] for index in range(3)]
        losses = model([sample["inputs"] for sample in batch], [sample["data_samples"] for sample in batch], "loss")
        assert losses["mean_distance"] > 0.01
        losses["loss_distance"].backward()

    def test_is_built_by_name_and_mixes(self, make_pairs, pool_file) -> None:
        source = dict(
            type="mion.SURREALSynthesisDataset", num_samples=3, poses=dict(pool=str(pool_file), test_clips=["sit"])
        )
        pairs = DATASETS.build(
            dict(
                type="mion.CandidatePairDataset",
                dataset={**source, "image_size": SIZE},
                selector=dict(type="mion.CandidateSelector", pool=str(pool_file), num_candidates=2),
                image_size=SIZE,
                pipeline=PIPELINE,
            )
        )
        assert len(pairs) == 3
        assert pairs[0]["data_samples"].candidates.pose.shape == (1, 24, 3)
        assert pairs.metainfo["keypoints2d_convention"] == "coco"
        mixed = MixedDataset([pairs, make_pairs()], ratios=[0.5, 0.5], num_samples=4)
        assert mixed[0]["inputs"].shape == (3, SIZE, SIZE)

    def test_people_without_keypoints_are_flagged(self, make_pairs, make_source) -> None:
        source = make_source()
        fetch = source.fetch

        def blind(idx, rng):
            sample = fetch(idx, rng)
            sample["keypoints2d_input"] = np.zeros((17, 3), np.float32)
            return sample

        source.fetch = blind
        assert not make_pairs(source)[0]["data_samples"].candidates.valid

    def test_bad_arguments(self, make_pairs, make_source, selector) -> None:
        with pytest.raises(ValueError, match="num_others is 4, expected 1 to 3"):
            make_pairs(num_others=4)
        with pytest.raises(ValueError, match="betas_std is -1"):
            make_pairs(betas_std=-1)
        with pytest.raises(ValueError, match="the selector's camera has focal_length"):
            make_pairs(image_size=32)
        with pytest.raises(ValueError, match="sample 0 is a crop of 32 px, but image_size is 64"):
            make_pairs(make_source(image_size=32))[0]
        with pytest.raises(ValueError, match="sample 0 has no keypoints2d; its pipeline must not pack"):
            make_pairs(make_source(pipeline=PIPELINE))[0]
        with pytest.raises(IndexError, match="sample 6, expected 0 to 5"):
            make_pairs()[6]
