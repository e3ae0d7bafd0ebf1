import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.datasets import EpochSampler
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.registry import DATASETS
from mion_plugin.synthesis import SURREALSynthesisDataset

SMALL = {"image_size": 64}


def sitting(pool_file):
    """Test poses come from one clip."""
    return {"pool": pool_file, "test_clips": ["sit"]}


@pytest.fixture(scope="module")
def dataset(pool_file, body):
    return SURREALSynthesisDataset(8, poses=sitting(pool_file), body=body, detected_noise=1.0, **SMALL)


def test_workers_and_batches_do_not_matter(dataset):
    expected = [dataset[index]["img"] for index in range(8)]
    for workers, batch_size in ((0, 3), (2, 1), (2, 4)):
        loader = torch.utils.data.DataLoader(
            dataset, batch_size=batch_size, num_workers=workers, collate_fn=lambda batch: batch
        )
        images = [sample["img"] for batch in loader for sample in batch]
        np.testing.assert_array_equal(images, expected)


def test_it_is_built_by_name_and_knows_its_split(pool_file):
    arguments = dict(type="mion.SURREALSynthesisDataset", num_samples=30, poses=sitting(str(pool_file)), **SMALL)
    train = DATASETS.build(dict(**arguments, split="train"))
    test = DATASETS.build(dict(**arguments, split="test"))
    assert len(train) == 30
    assert train.metainfo["keypoints2d_convention"] == "coco"
    seen = {part: {tuple(row) for row in part.synthesizer.poses.body_pose[:, 0]} for part in (train, test)}
    assert len(seen[test]) == 10
    assert not seen[train] & seen[test]
    drawn = {tuple(test[index]["smpl_body_pose"][0]) for index in range(5)}
    assert drawn <= seen[test]  # test poses are not perturbed


def test_samples_have_the_keys_and_types_of_human_dataset(dataset, human_dataset):
    synthetic, written = dataset[0], human_dataset[0]
    assert set(written) <= set(synthetic)
    for key in set(written) - {"rng", "image_path", "dataset_name"}:
        if isinstance(written[key], np.ndarray):
            assert synthetic[key].shape == written[key].shape, key
            assert synthetic[key].dtype == written[key].dtype, key
        else:
            assert type(synthetic[key]) is type(written[key]), key


def test_bodies_of_another_gender_are_told(pool_file, tmp_path):
    female = SMPLBody(gender="female")
    dataset = SURREALSynthesisDataset(1, poses=sitting(pool_file), body=female, **SMALL)
    info = dataset.get_data_info(0)
    pose = torch.from_numpy(np.concatenate([info["smpl_global_orient"][None], info["smpl_body_pose"]]))
    body = SMPLBody(gender=info["gender"])
    joints = body(pose, torch.from_numpy(info["smpl_betas"]), torch.from_numpy(info["smpl_transl"])).joints
    wrist = dataset.synthesizer.sample(0)["keypoints3d"][keypoint_names("smpl_54").index("left_wrist"), :3]
    torch.testing.assert_close(joints[keypoint_names("smpl").index("left_wrist")], torch.from_numpy(wrist))


@pytest.fixture
def human_dataset(pool_file, body, tmp_path):
    from mion_plugin.datasets import HumanDataset
    from mion_plugin.synthesis.writing import SetSettings, write_set

    settings = SetSettings(2, image_size=64, pool=str(pool_file), test_clips=("sit",), detected_noise=1.0)
    write_set(settings, tmp_path)
    pipeline = [dict(type="mion.LoadImageFromFile")]
    return HumanDataset(
        "train.npz", str(tmp_path), keypoints2d_source="detected", body=body, pipeline=pipeline, test_mode=True
    )


def test_the_body_follows_the_keypoints_through_augmentation(pool_file):
    body = SMPLBody()
    pipeline = [
        dict(type="mion.RandomHorizontalFlip", flip_prob=1.0),
        dict(type="mion.GetRandomScaleRotation", rot_prob=1.0),
        dict(type="mion.MeshAffine", img_res=128),
    ]
    dataset = SURREALSynthesisDataset(3, poses=sitting(pool_file), body=body, pipeline=pipeline, **SMALL)
    for index in range(3):
        sample = dataset[index]
        pose = torch.from_numpy(np.concatenate([sample["smpl_global_orient"][None], sample["smpl_body_pose"]]))
        betas, transl = torch.from_numpy(sample["smpl_betas"]), torch.from_numpy(sample["smpl_transl"])
        points = body.pose_keypoints(pose, betas, transl, "coco").double().numpy() @ sample["cam_intrinsics"].T
        # the stand-in is mirror symmetric to a fraction of a millimetre in its keypoints
        np.testing.assert_allclose(sample["keypoints2d"][:, :2], points[:, :2] / points[:, 2:], atol=0.3)
        assert sample["img"].shape == (128, 128, 3)


def test_it_packs_for_training(pool_file, body):
    pipeline = [dict(type="mion.MeshAffine", img_res=64), dict(type="mion.PackBodyInputs")]
    packed = SURREALSynthesisDataset(1, poses=sitting(pool_file), body=body, pipeline=pipeline, **SMALL)[0]
    assert packed["inputs"].shape == (3, 64, 64)
    assert packed["data_samples"].gt_body.keypoints2d.shape == (17, 3)


def test_epochs_can_have_fresh_samples(pool_file, body):
    fresh = SURREALSynthesisDataset(2, poses=sitting(pool_file), body=body, fresh_samples=True, **SMALL)
    fixed = SURREALSynthesisDataset(2, poses=sitting(pool_file), body=body, **SMALL)
    longer = SURREALSynthesisDataset(4, poses=sitting(pool_file), body=body, **SMALL)
    for dataset in (fresh, fixed):
        EpochSampler(dataset).set_epoch(1)
    np.testing.assert_array_equal(fresh[1]["img"], longer[3]["img"])
    np.testing.assert_array_equal(fixed[1]["img"], longer[1]["img"])


def test_bad_arguments_are_named(pool_file, tmp_path):
    with pytest.raises(ValueError, match="split 'val', expected one of train, test, all"):
        SURREALSynthesisDataset(1, split="val", poses={"pool": pool_file})
    with pytest.raises(ValueError, match="num_samples 0, expected at least 1"):
        SURREALSynthesisDataset(0, poses={"pool": pool_file})
    with pytest.raises(FileNotFoundError, match=r"none\.npz does not exist"):
        SURREALSynthesisDataset(1, poses={"pool": tmp_path / "none.npz"})
    with pytest.raises(ValueError, match=r"body settings .*pose_nois"):
        SURREALSynthesisDataset(1, poses=sitting(pool_file), settings={"pose_nois": 1})


def test_positions_outside_are_refused(dataset):
    with pytest.raises(IndexError, match="sample 8, expected 0 to 7"):
        dataset.get_data_info(8)


def test_options_of_version_0_1_are_entries_of_poses_and_looks(pool_file, body):
    with pytest.warns(FutureWarning, match=r"degradation is looks\.degradation, pool is poses\.pool, test"):
        old = SURREALSynthesisDataset(
            2, pool=pool_file, test_clips=["sit"], degradation={"noise_prob": 1.0}, body=body, **SMALL
        )
    new = SURREALSynthesisDataset(
        2,
        poses=sitting(pool_file),
        looks={"degradation": {"noise_prob": 1.0}},
        body=body,
        **SMALL,
    )
    assert np.array_equal(old[0]["img"], new[0]["img"])
    with pytest.raises(TypeError, match="unexpected keyword argument 'pol'"):
        SURREALSynthesisDataset(2, pol=pool_file)


@pytest.mark.parametrize("recipe", ["plain", "training", "harsh"])
def test_without_pictures_the_people_are_the_same(body, recipe):
    """Drawn by generators of their own; what is hidden is still hidden."""
    options = {"body": body, "image_size": 48, "looks": {"recipe": recipe}, "detected_noise": 2.0}
    shown, dark = (SURREALSynthesisDataset(4, pictures=pictures, **options) for pictures in (True, False))
    for index in range(4):
        one, other = shown.get_data_info(index), dark.get_data_info(index)
        assert one["img"].any()
        assert not other["img"].any()
        for key in one.keys() - {"img"}:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)
