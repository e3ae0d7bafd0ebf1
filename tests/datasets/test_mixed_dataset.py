"""MixedDataset: proportions, coverage, reproducibility, bad options."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from support.clip_pool import make_clip_pool

from mion_plugin.candidates.pool import save_pool
from mion_plugin.datasets import HumanDataset, MixedDataset
from mion_plugin.registry import DATASETS

PIPELINE = [
    {"type": "mion.LoadImageFromFile"},
    {"type": "mion.RandomHorizontalFlip"},
    {"type": "mion.MeshAffine", "img_res": 16},
    {"type": "mion.RandomChannelNoise"},
    {"type": "mion.PackBodyInputs"},
]
# names of SPIN's six sets with made-up lengths
LENGTHS = {"h36m": 40, "lsp": 4, "mpii": 12, "lspet": 8, "coco": 16, "mpi_inf_3dhp": 10}


def write_sets(folder, write_set_into) -> dict[str, dict]:
    configs = {}
    for seed, (name, length) in enumerate(LENGTHS.items()):
        root, ann_file = write_set_into(folder, name=f"{name}.npz", num_people=length, seed=seed)
        configs[name] = {
            "type": "mion.HumanDataset",
            "ann_file": ann_file,
            "data_root": str(root),
            "pipeline": PIPELINE,
        }
    return configs


@pytest.fixture(scope="module")
def sets(write_set_into, tmp_path_factory) -> dict[str, dict]:
    return write_sets(tmp_path_factory.mktemp("sets"), write_set_into)


@pytest.fixture
def spin_config(sets) -> dict:
    wild = [sets[name] for name in ("lsp", "mpii", "lspet", "coco")]
    return {
        "type": "mion.MixedDataset",
        "datasets": [sets["h36m"], wild, sets["mpi_inf_3dhp"]],
        "ratios": [0.3, 0.6, 0.1],
    }


class TestProportions:
    def test_of_spin(self, spin_config):
        mixed = DATASETS.build(spin_config)
        # SPIN's partition: .3, .6 * len / sum(len of the four), .1
        in_the_wild = [0.6 * LENGTHS[name] / 40 for name in ("lsp", "mpii", "lspet", "coco")]
        np.testing.assert_allclose(mixed.probabilities, [0.3, *in_the_wild, 0.1])
        assert len(mixed) == 40  # of the longest

    def test_of_the_draws(self, spin_config):
        mixed = DATASETS.build({**spin_config, "num_samples": 4000})
        rng = np.random.default_rng(0)
        drawn = np.bincount([mixed.draw(position, rng)[0] for position in range(4000)], minlength=6) / 4000
        np.testing.assert_allclose(drawn, mixed.probabilities, atol=0.025)

    def test_ratios_need_not_sum_to_one(self, spin_config):
        mixed = DATASETS.build({**spin_config, "ratios": [3, 6, 1]})
        np.testing.assert_allclose(mixed.probabilities[[0, -1]], [0.3, 0.1])

    def test_every_sample_equally_often(self, sets):
        mixed = MixedDataset([sets["lsp"], sets["mpii"]], [0.5, 0.5], num_samples=17)
        counts = np.zeros((2, 12))
        for epoch in range(400):
            mixed.set_epoch(epoch)
            rng = np.random.default_rng(epoch)
            for position in range(17):
                counts[mixed.draw(position, rng)] += 1
        assert counts[0, 4:].sum() == 0
        for row, length in zip(counts, (4, 12), strict=True):
            np.testing.assert_allclose(row[:length] / row.sum() * length, 1, atol=0.15)

    def test_no_repeats_before_a_set_is_through(self, sets):
        mixed = MixedDataset([sets["h36m"], sets["mpii"]], [0.5, 0.5])
        rng = np.random.default_rng(0)
        drawn = [mixed.draw(position, rng) for position in range(len(mixed))]
        h36m = [index for chosen, index in drawn if chosen == 0]
        assert len(h36m) == len(set(h36m)) > 10


class TestSamples:
    def test_packed_from_the_drawn_set(self, spin_config):
        mixed = DATASETS.build(spin_config)
        mixed.set_epoch(0)
        names = {mixed[position]["data_samples"].dataset_name for position in range(len(mixed))}
        assert {"h36m", "coco"} <= names <= set(LENGTHS)

    def collect(self, config, num_workers, epochs):
        loader = Runner.build_dataloader(
            {
                "dataset": config,
                "batch_size": 4,
                "num_workers": num_workers,
                "persistent_workers": num_workers > 0,
                "sampler": {"type": "mion.EpochSampler", "shuffle": True, "seed": 0},
                "collate_fn": pseudo_collate,
            },
            seed=0,
        )
        batches = []
        for epoch in epochs:
            loader.sampler.set_epoch(epoch)
            batches += [torch.stack(batch["inputs"]) for batch in loader]
        return torch.cat(batches)

    def test_reproducible_over_workers_and_resume(self, spin_config):
        both = self.collect(spin_config, 0, (0, 1))
        assert len(both) == 80
        assert torch.equal(self.collect(spin_config, 2, (0, 1)), both)
        assert torch.equal(self.collect(spin_config, 0, (1,)), both[40:])
        assert not torch.equal(both[:40], both[40:])
        assert not torch.equal(self.collect({**spin_config, "seed": 1}, 0, (0,)), both[:40])

    def test_a_sample_drawn_twice_in_an_epoch_is_augmented_anew(self, sets):
        mixed = MixedDataset([sets["lsp"]], [1.0], num_samples=8)
        mixed.set_epoch(0)
        assert mixed[1]["data_samples"].sample_idx == mixed[5]["data_samples"].sample_idx
        assert not torch.equal(mixed[1]["inputs"], mixed[5]["inputs"])

    def test_lost_image_is_replaced_from_the_same_set(self, write_set_into, tmp_path):
        sets = write_sets(tmp_path, write_set_into)
        (tmp_path / "images" / "001.png").write_text("broken")
        mixed = MixedDataset([sets["mpi_inf_3dhp"], sets["lsp"]], [0.5, 0.5], num_samples=40)
        mixed.set_epoch(0)
        samples = [mixed[position]["data_samples"] for position in range(40)]
        assert {sample.dataset_name for sample in samples} == {"lsp", "mpi_inf_3dhp"}
        assert all("001" not in sample.image_path for sample in samples)


class TestOtherSets:
    """Synthetic people beside photographs, as any set that offers fetch and set_epoch."""

    @pytest.fixture
    def synthetic(self, tmp_path) -> dict:
        save_pool(make_clip_pool(), tmp_path / "pool.npz")
        return {
            "type": "mion.SURREALSynthesisDataset",
            "num_samples": 3,
            "pool": str(tmp_path / "pool.npz"),
            "split": "all",
            "image_size": 32,
            "pipeline": PIPELINE[1:],  # its samples hold their image
        }

    def test_synthetic_and_annotated_people_share_batches(self, sets, synthetic):
        mixed = DATASETS.build(
            {"type": "mion.MixedDataset", "datasets": [sets["lsp"], synthetic], "ratios": [1, 3], "num_samples": 24}
        )
        np.testing.assert_allclose(mixed.probabilities, [0.25, 0.75])
        mixed.set_epoch(0)
        batch = pseudo_collate([mixed[position] for position in range(24)])
        assert torch.stack(batch["inputs"]).shape == (24, 3, 16, 16)
        names = [sample.dataset_name for sample in batch["data_samples"]]
        assert set(names) == {"lsp", "synthesis_all"}
        assert names.count("synthesis_all") > 12
        shapes = {
            name: sample.gt_body.keypoints2d.shape for name, sample in zip(names, batch["data_samples"], strict=True)
        }
        assert shapes["lsp"] == shapes["synthesis_all"]

    @pytest.mark.parametrize("fresh_samples", [False, True])
    def test_fresh_samples_follow_the_epoch_of_the_mixture(self, sets, synthetic, fresh_samples):
        synthetic |= {"fresh_samples": fresh_samples}
        mixed = MixedDataset([[synthetic], sets["lsp"]], [1.0, 1e-9], num_samples=3)

        def poses(epoch):
            mixed.set_epoch(epoch)
            return {tuple(mixed.datasets[0].get_data_info(index)["smpl_body_pose"].ravel()) for index in range(3)}

        first, second = poses(0), poses(1)
        assert first == poses(0)
        assert first.isdisjoint(second) if fresh_samples else first == second

    def test_the_epoch_reaches_running_workers(self, sets, synthetic):
        config = {
            "type": "mion.MixedDataset",
            "datasets": [synthetic | {"fresh_samples": True}, sets["lsp"]],
            "ratios": [0.5, 0.5],
            "num_samples": 8,
        }
        collect = TestSamples().collect
        assert torch.equal(collect(config, 1, (0, 1)), collect(config, 0, (0, 1)))


class TestBadOptions:
    @pytest.mark.parametrize(
        ("ratios", "message"),
        [
            ([0.5], "3 datasets and 1 ratios"),
            ([0.5, 0.5, 0.0], "expected positive numbers"),
            ([0.5, 0.5, float("nan")], "expected positive numbers"),
        ],
    )
    def test_ratios(self, spin_config, ratios, message):
        with pytest.raises(ValueError, match=message):
            DATASETS.build({**spin_config, "ratios": ratios})

    def test_other_datasets(self):
        with pytest.raises(TypeError, match=r"mixes sets that offer fetch\(idx, rng\).*; got int"):
            MixedDataset([[3]], [1.0])

    def test_a_set_without_people(self, sets):
        dataset = DATASETS.build({**sets["lsp"], "indices": 0, "serialize_data": False})
        with pytest.raises(ValueError, match="dataset lsp is empty"):
            MixedDataset([dataset], [1.0])

    def test_position_outside_the_epoch(self, sets):
        mixed = MixedDataset([sets["lsp"]], [1.0])
        with pytest.raises(IndexError, match="position 4, expected 0 to 3"):
            mixed[4]

    def test_takes_built_datasets(self, sets):
        dataset = HumanDataset(**{key: value for key, value in sets["lsp"].items() if key != "type"})
        assert MixedDataset([dataset], [1.0]).datasets == [dataset]
