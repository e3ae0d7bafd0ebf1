"""BEDLAM, EMDB, AGORA: each body falls on its keypoints in the file's camera; what is bad is left out and counted."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from PIL import Image
from support.modern_archives import (
    dump_as_pandas_1,
    dump_with_pandas,
    emdb_sequence,
    write_agora,
    write_bedlam,
    write_emdb,
)
from support.projection import body_joints, pixels
from support.smpl_files import Malicious

from mion_plugin.files import UnsafePickleError
from mion_plugin.files.pickled_tables import load_table, load_tensors
from mion_plugin.registry import DATASETS

CONFIGS = Path(__file__).parents[2] / "configs" / "mion"
CLOSE_UP = "20221011_1_250_batch01hand_closeup_suburb_a_6fps"
EMDB = "P1/14_outdoor_climb/P1_14_outdoor_climb_data.pkl"
AGORA = "validation_SMPL/SMPL/validation_0_withjv.pkl"


def check_body(sample, body_files):
    """The body, with its translation, on all 24 keypoints to less than a tenth of a pixel."""
    assert sample["has_smpl"]
    assert sample["has_transl"]
    points = body_joints(sample, body_files, "smpl", sample["smpl_transl"])
    np.testing.assert_allclose(pixels(points, sample["cam_intrinsics"]), sample["keypoints2d"][:, :2], atol=0.1)
    return points


@pytest.fixture
def emdb(data):
    write_emdb(data / "datasets" / "emdb")
    return data / "datasets" / "emdb"


@pytest.fixture
def bedlam(data):
    write_bedlam(data / "datasets" / "bedlam")
    return data / "datasets" / "bedlam"


@pytest.fixture
def agora(data):
    write_agora(data / "datasets" / "agora", dump_as_pandas_1)
    return data / "datasets" / "agora"


@pytest.mark.usefixtures("emdb")
def test_emdb(convert, body_files):
    outcome, dataset = convert("emdb", "1", keypoints2d="smpl")
    assert (outcome.num_people, outcome.path.name) == (3, "emdb_1.npz")
    assert outcome.left_out == {"frames that the archive marks as bad": 2, "frames without a box": 1}
    truth = emdb_sequence("", "male", (True, False))
    for sample, frame in zip([dataset[index] for index in range(3)], (1, 2, 4), strict=True):
        assert sample["image_path"].endswith(f"P1/14_outdoor_climb/images/{frame:05d}.jpg")
        assert sample["gender"] == "male"
        np.testing.assert_allclose(sample["keypoints2d"][:, :2], truth["kp2d"][frame], rtol=1e-6)
        points = check_body(sample, body_files)
        camera = truth["camera"]["extrinsics"][frame]
        # depth too, which pixels do not tell: the pelvis at rest is at the same place in all frames
        world = {**sample, "smpl_global_orient": truth["smpl"]["poses_root"][frame].astype(np.float32)}
        in_world = body_joints(world, body_files, "smpl", truth["smpl"]["trans"][frame])
        np.testing.assert_allclose(points, in_world @ camera[:3, :3].T + camera[:3, 3], atol=1e-3)
        low, high = np.split(truth["bboxes"]["bboxes"][frame], 2)
        np.testing.assert_allclose(sample["bbox_xywh"][2:4], 1.2 * (high - low), rtol=1e-5)
    outcome, dataset = convert("emdb", "2", keypoints2d="smpl")
    assert dataset[0]["gender"] == "female"
    assert "P9/79_outdoor_walk" in dataset[0]["image_path"]


def test_emdbs_frames_that_disagree_with_their_camera_are_left_out(convert, emdb):
    sequence = pickle.loads((emdb / EMDB).read_bytes())
    sequence["kp2d"][2] += 40
    (emdb / EMDB).write_bytes(pickle.dumps(sequence))
    with pytest.raises(ValueError, match=r"no usable person.*not where the camera sees the pelvis"):
        convert("emdb", "1")  # one of three frames spoils the pelvis at rest of them all
    sequence["kp2d"][2] -= 40
    for key in ("extrinsics",):
        sequence["camera"][key][:] = sequence["camera"][key][1]
    sequence["smpl"]["trans"][:] = sequence["smpl"]["trans"][1]
    sequence["kp2d"][:] = sequence["kp2d"][1]
    (emdb / EMDB).write_bytes(pickle.dumps(sequence))
    with pytest.raises(ValueError, match="4 frames of a sequence that does not tell where the pelvis is at rest"):
        convert("emdb", "1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gender": "robot"}, "gender 'robot', expected one of female, male, neutral"),
        ({"kp2d": np.zeros((6, 23, 2))}, r"kp2d has shape \(6, 23, 2\), expected \(6, 24, 2\)"),
        ({"camera": None}, "camera is missing, expected a dict"),
        ({"smpl": [1]}, "smpl is list, expected a dict"),
        ({"good_frames_mask": np.ones(5)}, r"kp2d has shape \(6, 24, 2\), expected \(5, 24, 2\)"),
    ],
)
def test_damaged_files_of_emdb_are_named(change, message, convert, emdb):
    (emdb / EMDB).write_bytes(pickle.dumps({**pickle.loads((emdb / EMDB).read_bytes()), **change}))
    with pytest.raises(ValueError, match=message) as error:
        convert("emdb", "1")
    assert str(emdb / EMDB) in str(error.value)


def test_bedlam(convert, bedlam, body_files):
    outcome, dataset = convert("bedlam", "train", keypoints2d="smpl")
    assert (outcome.num_people, outcome.path.name) == (2, "bedlam_train.npz")
    assert outcome.left_out == {
        "people of close-up scenes, whose pictures lie on their side; --turn-images writes them upright": 2
    }
    labels = np.load(bedlam / "labels" / "20221010_3_1000_batch01hand_6fps.npz", allow_pickle=True)
    for index in range(2):
        sample = dataset[index]
        assert sample["gender"] == "neutral"
        np.testing.assert_allclose(sample["keypoints2d"], labels["gtkps"][index][:24], rtol=1e-6)
        check_body(sample, body_files)
        np.testing.assert_allclose(sample["center"], labels["center"][index], rtol=1e-6)
        np.testing.assert_allclose(sample["scale"], 200 * labels["scale"][index], rtol=1e-6)


def test_bedlams_close_ups_are_turned_as_their_labels_are(convert, bedlam, body_files):
    outcome, dataset = convert("bedlam", "train", keypoints2d="smpl", turn=True)
    assert (outcome.num_people, outcome.left_out) == (4, {})
    for index in range(4):
        sample = dataset[index]
        check_body(sample, body_files)
        x, y = sample["keypoints2d"][0, :2].astype(int)
        assert sample["img"][y - 4 : y + 4, x - 4 : x + 4].mean() > 200  # the pelvis is marked in the picture
        assert sample["img"].mean() < 20
    assert CLOSE_UP in sample["image_path"]
    assert sample["img"].shape == (1280, 720, 3)
    # a second run takes what is there, and so does one over pictures that the user turned
    assert convert("bedlam", "train")[0].num_people == 4
    upright = bedlam / "images" / CLOSE_UP / "png_upright"
    for path in upright.rglob("*.jpg"):
        Image.open(path).save(bedlam / "images" / CLOSE_UP / "png" / path.relative_to(upright).with_suffix(".png"))
        path.unlink()
    upright_folders = sorted(upright.rglob("*"), reverse=True)
    for folder in [*upright_folders, upright]:
        folder.rmdir()
    assert convert("bedlam", "train")[0].num_people == 4


def test_bedlams_labels_with_44_keypoints(convert, bedlam, body_files):
    """Those that CameraHMR trains on: OpenPose's 25 and 19 others, of which 14 are SMPL's joints; eleven betas."""
    # CameraHMR's own list: which joint of smplx's 45 each of OpenPose's 25 is
    of_smplx = [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34]
    path = bedlam / "labels" / "20221010_3_1000_batch01hand_6fps.npz"
    labels = dict(np.load(path, allow_pickle=True))
    joints = labels["gtkps"]
    others = np.full((2, 19, 3), 7.0)
    labels |= {"gtkps": np.concatenate([joints[:, of_smplx], others], axis=1)}
    labels |= {"shape": np.concatenate([labels["shape"], np.ones((2, 1))], axis=1)}
    np.savez(path, **labels)
    _, dataset = convert("bedlam", "train", keypoints2d="smpl")
    told = sorted(joint for joint in of_smplx if joint < 24)
    assert len(told) == 14
    for index in range(2):
        keypoints2d = dataset[index]["keypoints2d"]
        assert np.flatnonzero(keypoints2d[:, 2]).tolist() == told
        np.testing.assert_allclose(keypoints2d[told], joints[index][told], rtol=1e-6)
        check_body({**dataset[index], "keypoints2d": joints[index][:24]}, body_files)


def test_bedlams_labels_are_turned_by_their_camera_not_by_their_name(convert, bedlam):
    """staticzoomed-suburba-frameocc: a folder with closeup in its name whose labels are of pictures as they lie."""
    for kind in ("labels/{}.npz", "images/{}"):
        (bedlam / kind.format("20221010_3_1000_batch01hand_6fps")).rename(
            bedlam / kind.format("20221017_1_250_batch01hand_closeup_suburb_a_6fps")
        )
    outcome, dataset = convert("bedlam", "train", keypoints2d="smpl")
    assert outcome.num_people == 2
    assert sum(outcome.left_out.values()) == 2  # of the scene whose labels are upright
    assert dataset[0]["img"].shape == (720, 1280, 3)


def test_bedlams_poses_by_joint_and_keypoints_without_confidence(convert, bedlam, body_files):
    """As CameraHMR's reader takes them."""
    path = bedlam / "labels" / "20221010_3_1000_batch01hand_6fps.npz"
    labels = dict(np.load(path, allow_pickle=True))
    labels["pose_cam"] = labels["pose_cam"].reshape(2, 24, 3)
    labels["gtkps"][0, 5, 2] = 0
    np.savez(path, **labels)
    _, dataset = convert("bedlam", "train", keypoints2d="smpl")
    assert np.flatnonzero(dataset[0]["keypoints2d"][:, 2] == 0).tolist() == [5]
    check_body(dataset[1], body_files)


def test_bedlams_scenes_without_images_are_left_out(convert, bedlam):
    """Few have room for all; and AGORA's labels come in the same archive."""
    path = bedlam / "labels" / "20221010_3_1000_batch01hand_6fps.npz"
    path.with_name("agora.npz").write_bytes(b"nobody's business")
    outcome, _ = convert("bedlam", "train")
    assert outcome.num_people == 2
    assert outcome.left_out["scenes without a folder images/SCENE"] == 1
    for scene in (bedlam / "images").iterdir():
        scene.rename(scene.with_name(f"{scene.name}.tar"))
    with pytest.raises(ValueError, match=r"no usable person \(3 scenes without a folder images/SCENE\)"):
        convert("bedlam", "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pose_cam": np.zeros((2, 165))},
            r"holds poses of 55 joints, expected SMPL's 24: all_npz_12_training\.zip is SMPL-X's, take "
            r"all_npz_12_smpl_training\.zip or bedlam-labels-smpl\.zip",
        ),
        ({"imgname": np.array(["../../a.png"] * 2)}, "expected a path below the data set's folder"),
        ({"gtkps": np.zeros((2, 20, 3))}, r"gtkps has shape \(2, 20, 3\), expected 24, 44 or 45 keypoints a person"),
        ({"gtkps": np.full((2, 44, 3), np.inf)}, "gtkps holds NaN or infinite values"),
        ({"scale": np.zeros(3)}, "different numbers of people"),
        ({"trans_cam": np.full((2, 3), np.nan)}, "trans_cam holds NaN"),
        ({"cam_ext": None}, "lacks cam_ext"),
    ],
)
def test_unusable_labels_of_bedlam_are_named(change, message, convert, bedlam):
    path = bedlam / "labels" / f"{CLOSE_UP}.npz"
    content = {**np.load(path, allow_pickle=True), **change}
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    with pytest.raises(ValueError, match=message) as error:
        convert("bedlam", "train")
    assert str(path) in str(error.value)


@pytest.mark.parametrize("dump", [dump_as_pandas_1, dump_with_pandas])
def test_agora(dump, convert, data, body_files):
    if dump is dump_with_pandas:
        pytest.importorskip("pandas")
    write_agora(data / "datasets" / "agora", dump)
    outcome, dataset = convert("agora", "validation", keypoints2d="smpl", keypoints3d="smpl")
    assert (outcome.num_people, outcome.path.name) == (4, "agora_validation.npz")
    assert outcome.left_out == {"children, whose body is not SMPL's": 4, "people who are hidden by more than 90 %": 4}
    table = load_table(data / "datasets" / "agora" / AGORA)
    for index in range(4):
        sample = dataset[index]
        small = "hdri" not in sample["image_path"]
        assert sample["image_path"].endswith("_1280x720.png") == small
        assert sample["gender"] == "neutral"
        annotated = table["gt_joints_2d"][index][0][:24]
        np.testing.assert_allclose(sample["keypoints2d"][:, :2], annotated / (3 if small else 1), rtol=1e-5)
        points = check_body(sample, body_files)
        np.testing.assert_allclose(points, sample["keypoints3d"][:, :3], atol=1e-3)
        np.testing.assert_allclose(points, table["gt_joints_3d"][index][0][:24], atol=1e-3)


def test_people_of_agora_who_are_elsewhere_are_left_out(convert, agora):
    def changed(**columns):
        table = {name: list(values) for name, values in load_table(agora / AGORA).items()}
        for name, change in columns.items():
            table[name][0] = change(table[name][0])
        dump_as_pandas_1(table, agora / AGORA)
        return convert("agora", "validation")[0].left_out

    left_out = changed(gt_joints_2d=lambda people: [people[0] + 50, *people[1:]])
    assert left_out["people whose gt_joints_2d are not where the camera sees gt_joints_3d"] == 1
    left_out = changed(
        gt_joints_2d=lambda people: [people[0] - 50, *people[1:]], X=lambda people: [people[0] + 200, 0, 0]
    )
    assert left_out["people whose fit is not where their joints are"] == 1


def test_a_table_without_joints_is_told_which_to_take(convert, agora):
    table = {name: list(values) for name, values in load_table(agora / AGORA).items() if name != "gt_joints_3d"}
    dump_as_pandas_1(table, agora / AGORA)
    with pytest.raises(
        ValueError, match=r"lacks the columns gt_joints_3d; take the camera dataframes with SMPL joints"
    ):
        convert("agora", "validation")


@pytest.mark.parametrize(
    ("name", "split", "file"),
    [("emdb", "1", EMDB), ("agora", "validation", AGORA), ("agora", "validation", "smpl_gt/validationset/0_0.pkl")],
)
@pytest.mark.usefixtures("emdb", "agora")
def test_a_pickle_with_code_is_refused_and_not_run(name, split, file, convert, data, tmp_path):
    path, marker = data / "datasets" / name / file, tmp_path / "ran"
    path.write_bytes(pickle.dumps({"kp2d": Malicious(marker)}))
    with pytest.raises(UnsafePickleError, match=path.name):
        convert(name, split)
    path.write_bytes(b"\x80\x02}q")
    with pytest.raises(ValueError, match="is not a readable pickle"):
        convert(name, split)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match=r"holds a list, expected a (dict|DataFrame)"):
        convert(name, split)
    assert not marker.exists()
    assert not (data / "preprocessed_datasets").exists()


def test_tensors_that_ask_for_more_than_their_storage_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "fit.pkl"
    path.write_bytes(pickle.dumps({"a": torch.arange(6.0)[2:].reshape(2, 2), "b": torch.tensor(3)}))
    read = load_tensors(path)
    np.testing.assert_array_equal(read["a"], [[2, 3], [4, 5]])
    assert read["b"] == 3
    path.write_bytes(pickle.dumps({"a": torch.arange(3.0).expand(2, 3)}))
    with pytest.raises(UnsafePickleError, match="expected one without gaps"):
        load_tensors(path)

    class Forged:
        def __reduce__(self):
            storage = torch.arange(3.0).untyped_storage()
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            return torch._utils._rebuild_tensor_v2, (typed, 0, (10**9,), (1,), False, {})

    path.write_bytes(pickle.dumps({"a": Forged()}))
    with pytest.raises(UnsafePickleError, match=r"a tensor of size \(1000000000,\) from a storage of 3 numbers"):
        load_tensors(path)


@pytest.mark.parametrize(("name", "split"), [("emdb", "1"), ("agora", "validation")])
def test_the_config_tests_on_what_was_converted(name, split, convert, data, body_files, request, monkeypatch):
    """Its metric finds no error in the true pose and shape, and some in others."""
    request.getfixturevalue(name)
    outcome, _ = convert(name, split)
    (data / "body_models").mkdir()
    (data / "body_models" / "smpl").symlink_to(body_files)
    monkeypatch.chdir(data.parent)
    cfg = Config.fromfile(CONFIGS / f"mion_r50_56x56_{name}-test.py")
    dataset = DATASETS.build({**cfg.test_dataloader.dataset, "keypoints2d_source": "annotated"})
    assert len(dataset) == outcome.num_people
    found = {}
    for wrong in (0.0, 0.5):
        samples = [dataset[index]["data_samples"] for index in range(len(dataset))]
        for sample in samples:
            true = sample.gt_body
            pose = torch.cat([true.smpl_global_orient[None], true.smpl_body_pose + wrong])
            sample.pred_bodies = BaseDataElement(pose=pose[None], betas=true.smpl_betas[None])
        evaluator = Evaluator([{**cfg.test_evaluator, "statistics": ("chosen",), "choosers": ("chosen",)}])
        evaluator.process(data_samples=samples)
        found[wrong] = evaluator.evaluate(len(samples))["body/PVE/chosen"]
    assert found[0.0] == pytest.approx(0, abs=0.01)
    assert found[0.5] > 100
