"""HumanDataset: its samples against mmhuman3d's, lost images, bad annotations, reproducible randomness."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner

from mion_plugin.body import SMPLBody
from mion_plugin.datasets import HumanDataset
from mion_plugin.datasets.transforms import BrokenImageError
from mion_plugin.registry import DATASETS

PIPELINE = [
    {"type": "mion.LoadImageFromFile"},
    {"type": "mion.RandomHorizontalFlip"},
    {"type": "mion.GetRandomScaleRotation"},
    {"type": "mion.MeshAffine", "img_res": 32},
    {"type": "mion.RandomChannelNoise"},
    {"type": "mion.PackBodyInputs"},
]


def build(root, ann_file, **options) -> HumanDataset:
    config = {"type": "mion.HumanDataset", "ann_file": ann_file, "data_root": str(root), **options}
    return DATASETS.build(config)


class TestAgainstMmhuman3d:
    SAME_KEYS = (
        "bbox_xywh",
        "center",
        "scale",
        "keypoints2d",
        "keypoints3d",
        "smpl_body_pose",
        "smpl_global_orient",
        "smpl_betas",
        "smpl_transl",
    )

    @pytest.mark.parametrize("compress", [False, True])
    def test_samples(self, make_human_data, tmp_path, compress):
        from mmhuman3d.data.datasets.human_image_dataset import HumanImageDataset

        data = make_human_data()
        data["has_smpl"] = np.array([1, 1, 1, 1, 1])
        if compress:
            data.compress_keypoints_by_mask()
        (tmp_path / "preprocessed_datasets").mkdir()
        data.dump(str(tmp_path / "preprocessed_datasets" / "lsp.npz"))
        # human_data is the convention that both 2D and 3D joints convert to with mmhuman3d's single argument
        ours = HumanDataset(
            "lsp.npz",
            data_prefix=str(tmp_path),
            dataset_name="lsp",
            keypoints2d_convention="human_data",
            keypoints3d_convention="human_data",
        )
        reference = HumanImageDataset(str(tmp_path), [], "lsp", ann_file="lsp.npz")
        assert len(ours) == len(reference)
        for index in range(len(ours)):
            expected, sample = reference.prepare_raw_data(index), ours.get_data_info(index)
            for key in self.SAME_KEYS:
                assert sample[key].dtype == np.float32
                np.testing.assert_allclose(sample[key], expected[key], rtol=1e-6, atol=1e-7, err_msg=key)
            for key in ("image_path", "dataset_name", "sample_idx", "has_keypoints2d", "has_keypoints3d", "has_smpl"):
                assert sample[key] == expected[key]

    def test_keypoints_only(self, tmp_path, make_human_data):
        from mmhuman3d.data.datasets.human_image_dataset import HumanImageDataset

        data = make_human_data()
        for key in ("smpl", "keypoints3d", "keypoints3d_mask"):
            data.pop(key)
        (tmp_path / "preprocessed_datasets").mkdir()
        data.dump(str(tmp_path / "preprocessed_datasets" / "coco.npz"))
        ours = HumanDataset("coco.npz", data_prefix=str(tmp_path), dataset_name="coco", keypoints3d_convention="coco")
        reference = HumanImageDataset(str(tmp_path), [], "coco", ann_file="coco.npz", convention="coco")
        expected, sample = reference.prepare_raw_data(2), ours.get_data_info(2)
        for key in ("has_smpl", "has_keypoints2d", "has_keypoints3d"):
            assert sample[key] == expected[key]
        for key in self.SAME_KEYS:
            np.testing.assert_allclose(sample[key], expected[key], rtol=1e-6)


class TestSamples:
    def test_default_conventions_and_genders(self, write_set):
        dataset = build(*write_set())
        sample = dataset.get_data_info(1)
        assert sample["keypoints2d"].shape == (17, 3)
        assert sample["keypoints3d"].shape == (17, 4)
        assert (sample["keypoints2d"][4] == 0).all()  # the joint that nobody annotated
        assert [dataset.get_data_info(index)["gender"] for index in range(3)] == ["male", "female", "neutral"]
        assert dataset.metainfo["keypoints2d_convention"] == "coco"

    def test_flags_are_the_rows(self, write_set):
        def change(data):
            data["has_smpl"] = np.array([1, 0, 1, 1, 1])
            data["keypoints3d"][2, :, 3] = 0
            data["smpl"]["betas"][1] = np.nan  # of a person without SMPL

        dataset = build(*write_set(change=change))
        assert [dataset.get_data_info(index)["has_smpl"] for index in range(3)] == [1, 0, 1]
        assert [dataset.get_data_info(index)["has_keypoints3d"] for index in range(3)] == [1, 1, 0]
        assert (dataset.get_data_info(1)["smpl_betas"] == 0).all()

    def test_translation_where_the_file_has_one(self, write_set):
        assert build(*write_set()).get_data_info(0)["has_transl"] == 1
        root, name = write_set(change=lambda data: data["smpl"].pop("transl"))
        sample = build(root, name).get_data_info(0)
        assert sample["has_transl"] == 0
        assert (sample["smpl_transl"] == 0).all()

    def test_detected_keypoints_beside_annotated_ones(self, write_set):
        detected = np.random.default_rng(5).uniform(1, 60, (5, 17, 3))

        def change(data):
            data["keypoints2d_detected"] = detected
            data["keypoints2d_detected_mask"] = np.ones(17)
            data["keypoints2d_detected_convention"] = "coco"

        root, name = write_set(change=change)
        sample = build(root, name, keypoints2d_source="detected").get_data_info(3)
        np.testing.assert_allclose(sample["keypoints2d_input"], detected[3], rtol=1e-6)
        annotated = build(root, name).get_data_info(3)
        np.testing.assert_array_equal(sample["keypoints2d"], annotated["keypoints2d"])
        np.testing.assert_array_equal(annotated["keypoints2d_input"], annotated["keypoints2d"])

    @pytest.mark.parametrize("suffixes", [("_original", "_smpl"), ("_smplx", "_original")])
    def test_keypoints_by_their_source(self, write_set, suffixes):
        """As mmhuman3d's docs/human_data.md tells of its later files."""

        def change(data):
            data.set_key_strict(False)
            for key, suffix in zip(("keypoints2d", "keypoints3d"), suffixes, strict=True):
                for end in ("_mask", ""):
                    data[f"{key}{suffix}{end}"] = data.pop(f"{key}{end}")
            if suffixes[0] == "_original":  # goes before the body's
                data["keypoints2d_smpl"] = data["keypoints2d_original"] + 1
                data["keypoints2d_smpl_mask"] = data["keypoints2d_original_mask"]

        plain = build(*write_set()).get_data_info(1)
        sample = build(*write_set(name="later.npz", change=change, compress=True)).get_data_info(1)
        assert sample["has_keypoints2d"]
        assert sample["has_keypoints3d"]
        for key in ("keypoints2d", "keypoints2d_input", "keypoints3d"):
            np.testing.assert_array_equal(sample[key], plain[key])

    @pytest.mark.parametrize(
        ("key", "form"),
        [
            ("cam_param", lambda matrix: {"K": np.tile(matrix, (5, 1, 1))}),
            ("cam_param", lambda matrix: [{"in_mat": matrix.tolist()} for _ in range(5)]),
            (
                "meta",
                lambda matrix: {"focal_length": [(500.0, 510.0)] * 5, "principal_point": [np.array([60, 40])] * 5},
            ),
        ],
    )
    def test_camera(self, write_set, key, form):
        matrix = np.array([[500.0, 0, 60], [0, 510, 40], [0, 0, 1]])

        def change(data):
            data[key] = form(matrix)

        np.testing.assert_array_equal(build(*write_set(change=change)).get_data_info(0)["cam_intrinsics"], matrix)

    def test_pelvis_of_the_body(self, write_set):
        body = SMPLBody()
        sample = build(*write_set(), body=body).get_data_info(2)
        joints = body(torch.zeros(24, 3), torch.from_numpy(sample["smpl_betas"])).joints
        np.testing.assert_allclose(sample["smpl_pelvis"], joints[0], atol=1e-6)

    def test_subset_and_copy(self, write_set):
        dataset = build(*write_set())
        subset = dataset.get_subset([3, 1])
        assert [subset.get_data_info(index)["image_path"] for index in range(2)] == [
            dataset.get_data_info(index)["image_path"] for index in (3, 1)
        ]
        assert len(build(*write_set(), indices=2)) == 2

    def test_samples_do_not_share_memory_with_the_table(self, write_set):
        dataset = build(*write_set())
        dataset.get_data_info(0)["keypoints2d"][:] = 77
        assert not (dataset.get_data_info(0)["keypoints2d"] == 77).any()

    def test_packed_sample(self, write_set):
        dataset = build(*write_set(), pipeline=PIPELINE, body=SMPLBody())
        packed = dataset[0]
        assert packed["inputs"].shape == (3, 32, 32)
        assert packed["inputs"].dtype == torch.uint8
        sample = packed["data_samples"]
        assert sample.gt_body.keypoints2d.dtype == torch.float32
        assert sample.gt_body.smpl_body_pose.shape == (23, 3)
        assert sample.gt_body.has_smpl.item() == 1
        assert sample.dataset_name == "train"
        assert sample.to_dict()["gt_body"]["smpl_betas"].shape == (10,)


class TestLostImages:
    @pytest.fixture(params=["missing", "truncated", "text"])
    def lost(self, request, write_set):
        root, name = write_set()
        path = root / "images" / "002.png"
        if request.param == "missing":
            path.unlink()
        elif request.param == "truncated":
            path.write_bytes(path.read_bytes()[:2000])
        else:
            path.write_text("not an image")
        return root, name

    def test_skipped_and_reported_once_in_training(self, lost, monkeypatch):
        lines = []
        monkeypatch.setattr("mion_plugin.datasets.human_dataset.print_log", lambda text, **_: lines.append(text))
        dataset = build(*lost, pipeline=PIPELINE)
        for _ in range(3):
            assert dataset[2]["data_samples"].sample_idx != 2
        assert len(lines) == 1
        assert "002.png" in lines[0]

    def test_error_naming_the_file_in_test_mode(self, lost):
        dataset = build(*lost, pipeline=PIPELINE, test_mode=True)
        assert dataset[1]["data_samples"].sample_idx == 1
        with pytest.raises((BrokenImageError, FileNotFoundError), match=r"002\.png"):
            dataset[2]

    def test_gives_up_when_all_are_lost(self, write_set):
        root, name = write_set()
        for path in (root / "images").iterdir():
            path.unlink()
        with pytest.raises(FileNotFoundError, match=r"4 images of train in a row are lost.*data_root"):
            build(root, name, pipeline=PIPELINE, max_refetch=3)[0]


class TestBadAnnotations:
    @pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "images/../../x.png", ""])
    def test_path_out_of_the_image_folder(self, write_set, path):
        def change(data):
            data["image_path"] = ["images/000.png", path, "images/000.png", "images/000.png", "images/000.png"]

        root, name = write_set(name="escape.npz", change=change)
        with pytest.raises(ValueError, match=r"escape\.npz: key 'image_path' has .* in row 1, expected a path below"):
            build(root, name)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda data: data.pop("bbox_xywh"), "key 'bbox_xywh' missing"),
            (lambda data: data["smpl"].pop("betas"), r"key 'smpl\.betas' missing; smpl holds body_pose"),
            (
                lambda data: data["smpl"].update(betas=np.zeros((4, 10))),
                r"'smpl\.betas' has 4 rows but image_path has 5",
            ),
            (lambda data: data["smpl"].update(betas=np.zeros((5, 16))), r"'smpl\.betas' has shape \(5, 16\)"),
            (lambda data: data["smpl"]["betas"].fill(np.nan), r"'smpl\.betas' holds NaN"),
            (lambda data: data.update(smpl="x"), "'smpl' is a str, expected a dict"),
            (lambda data: data["bbox_xywh"][3].fill(0), "'bbox_xywh' has an empty box in row 3"),
            (lambda data: data["bbox_xywh"][3].fill(np.inf), "'bbox_xywh' holds NaN or infinite"),
            (lambda data: data.update(meta={"gender": np.array(["x"] * 5)}), r"'meta\.gender' holds x, expected"),
            (lambda data: data.update(meta={"gender": np.zeros(5, int)}), "pass gender_codes"),
            (lambda data: data.update(meta={"gender": np.array(["m"])}), r"'meta\.gender' has 1 rows"),
            (lambda data: [data.pop(key) for key in ("smpl", "keypoints2d", "keypoints3d")], "nothing to learn"),
            (lambda data: data.update(cam_param={"K": np.eye(3)}), r"'cam_param\.K' has 3 rows"),
            (
                lambda data: data.update(meta={"focal_length": (500, 510), "principal_point": [(1, 2)] * 5}),
                r"'meta\.focal_length' has 2 rows",
            ),
        ],
    )
    def test_errors_name_file_and_key(self, write_set, change, message):
        root, name = write_set(change=change)
        with pytest.raises(ValueError, match=rf"train\.npz: .*{message}"):
            build(root, name)

    def test_missing_detections_name_the_remedy(self, write_set):
        with pytest.raises(ValueError, match="'keypoints2d_detected' missing; write a detector's keypoints"):
            build(*write_set(), keypoints2d_source="detected")

    def test_gender_codes(self, write_set):
        root, name = write_set(change=lambda data: data.update(meta={"gender": np.array([0, 1, 1, 0, 1])}))
        dataset = build(root, name, gender_codes=("female", "male"))
        assert [dataset.get_data_info(index)["gender"] for index in range(2)] == ["female", "male"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"keypoints2d_source": "detector"}, "keypoints2d_source 'detector', expected one of"),
            ({"data_prefix": "data"}, "needs a dataset_name"),
            ({"keypoints2d_convention": "coco17"}, "unknown keypoint convention 'coco17'"),
        ],
    )
    def test_config_typos(self, write_set, options, message):
        root, name = write_set()
        with pytest.raises(ValueError, match=message):
            HumanDataset(name, data_root=str(root), **options)


class TestRandomness:
    def samples(self, root, name, num_workers, epochs=(0, 1), sampler="mion.EpochSampler", **options):
        """Inputs of all samples by epoch and index."""
        loader = Runner.build_dataloader(
            {
                "dataset": build(root, name, pipeline=PIPELINE, **options),
                "batch_size": 2,
                "num_workers": num_workers,
                "persistent_workers": num_workers > 0,
                "sampler": {"type": sampler, "shuffle": True, "seed": 0},
                "collate_fn": pseudo_collate,
            },
            seed=0,
        )
        found = {}
        for epoch in epochs:
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
                    found[epoch, sample.sample_idx] = image
        return found

    def test_the_same_for_any_number_of_workers_and_after_a_resume(self, write_set):
        root, name = write_set()
        alone = self.samples(root, name, 0)
        assert len(alone) == 10
        for other in (self.samples(root, name, 2), self.samples(root, name, 0, epochs=(1,))):
            for key, image in other.items():
                assert torch.equal(image, alone[key]), key

    def test_epochs_and_seeds_differ(self, write_set):
        root, name = write_set()
        found = self.samples(root, name, 0)
        assert not any(torch.equal(found[0, index], found[1, index]) for index in range(5))
        other = self.samples(root, name, 0, seed=1)
        assert not any(torch.equal(found[key], other[key]) for key in found)

    def test_without_the_sampler_workers_are_seeded_by_the_host(self, write_set):
        root, name = write_set()
        first = self.samples(root, name, 1, sampler="DefaultSampler")
        again = self.samples(root, name, 1, sampler="DefaultSampler")
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert not any(torch.equal(first[0, index], first[1, index]) for index in range(5))
