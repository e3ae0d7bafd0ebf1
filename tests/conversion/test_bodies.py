"""UP-3D and 3DPW: the body projects on the keypoints in the camera of the file; pickles run nothing."""

import pickle

import numpy as np
import pytest
from support.official_archives import write_pw3d, write_up3d
from support.projection import body_joints, pixels, placed
from support.smpl_files import Malicious

from mion_plugin.files import UnsafePickleError


@pytest.fixture
def up3d(data):
    write_up3d(data / "datasets" / "up3d")
    return data / "datasets" / "up3d"


@pytest.fixture
def pw3d(data):
    write_pw3d(data / "datasets" / "pw3d")
    return data / "datasets" / "pw3d"


@pytest.mark.usefixtures("up3d")
def test_up3ds_fit_projects_on_the_joints_of_the_photograph(convert, body_files):
    outcome, dataset = convert("up3d", "trainval", keypoints2d="lsp")
    assert (outcome.num_people, outcome.path.name) == (3, "up3d_trainval.npz")
    for index in range(3):
        sample = dataset[index]
        assert sample["has_smpl"]
        assert sample["has_transl"]
        assert sample["gender"] == "neutral"
        points = pixels(body_joints(sample, body_files, "lsp", sample["smpl_transl"]), sample["cam_intrinsics"])
        np.testing.assert_allclose(points[:13], sample["keypoints2d"][:13, :2], atol=0.05)
        assert not sample["keypoints2d"][13].any()  # not annotated
        low, high = sample["keypoints2d"][:13, :2].min(axis=0), sample["keypoints2d"][:13, :2].max(axis=0)
        np.testing.assert_allclose(sample["bbox_xywh"][:2], low - 0.1 * (high - low), atol=1e-3)
        np.testing.assert_allclose(sample["bbox_xywh"][2:4], 1.2 * (high - low), atol=1e-3)


def test_3dpws_bodies_project_on_the_keypoints(convert, pw3d, body_files):
    outcome, dataset = convert("pw3d", "test", keypoints2d="pw3d")
    # two people in four frames; no camera once, no keypoints once
    assert (outcome.num_people, outcome.left_out) == (6, {"people without keypoints in a frame": 1})
    samples = [dataset[index] for index in range(6)]
    assert [sample["gender"] for sample in samples] == ["male"] * 4 + ["female"] * 2
    assert [sample["image_path"][-9:-4] for sample in samples] == [f"{f:05d}" for f in (0, 1, 2, 3, 1, 3)]
    for sample in samples:
        joints = body_joints(sample, body_files, "pw3d")
        keypoints2d = sample["keypoints2d"][:, :2]
        points = pixels(placed(joints, keypoints2d, sample["cam_intrinsics"]), sample["cam_intrinsics"])
        np.testing.assert_allclose(points, keypoints2d, atol=0.1)
        turned = body_joints(
            {**sample, "smpl_global_orient": sample["smpl_global_orient"] + np.float32(0.1)}, body_files, "pw3d"
        )
        points = pixels(placed(turned, keypoints2d, sample["cam_intrinsics"]), sample["cam_intrinsics"])
        assert np.abs(points - keypoints2d).max() > 2  # the comparison sees rotations


@pytest.mark.parametrize("rest", [np.nan, 0.0])
def test_frames_of_3dpw_without_a_camera_may_hold_anything(rest, convert, pw3d):
    path = pw3d / "sequenceFiles" / "test" / "office_00.pkl"
    content = pickle.loads(path.read_bytes())
    _, before = convert("pw3d", "test", keypoints2d="pw3d")
    content["campose_valid"] = [np.array([1, 1, 0, 1]), np.array([0, 0, 0, 1])]
    for values in (content["cam_poses"], content["poses2d"][0], content["poses"][1]):
        values[2] = rest
    path.write_bytes(pickle.dumps(content))
    _, after = convert("pw3d", "test", keypoints2d="pw3d")
    assert len(after) == 4
    for key in ("smpl_global_orient", "smpl_body_pose", "keypoints2d", "bbox_xywh"):
        for new, old in enumerate((0, 1, 3, 5)):
            np.testing.assert_array_equal(after.get_data_info(new)[key], before.get_data_info(old)[key])


@pytest.mark.parametrize(
    ("name", "split", "file"),
    [("up3d", "trainval", "00001_body.pkl"), ("pw3d", "test", "sequenceFiles/test/office_00.pkl")],
)
@pytest.mark.usefixtures("up3d", "pw3d")
def test_a_pickle_with_code_is_refused_and_not_run(name, split, file, convert, data, tmp_path):
    path = data / "datasets" / name / file
    marker = tmp_path / "ran"
    path.write_bytes(pickle.dumps({"poses": Malicious(marker)}))
    with pytest.raises(UnsafePickleError, match=path.name):
        convert(name, split)
    path.write_bytes(b"\x80\x02}q")
    with pytest.raises(ValueError, match="is not a readable pickle"):
        convert(name, split)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match="holds a list, expected a dict"):
        convert(name, split)
    assert not marker.exists()
    assert not (data / "preprocessed_datasets").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("trainval.txt", "/../../etc/00000_image.png", "expected the form /00000_image.png"),
        ("00000_fit_crop_info.txt", "1 2 3", "expected height width top bottom left right"),
        ("00000_fit_crop_info.txt", "240 300 9 9 0 5", "expected height width top bottom left right"),
        ("00000_joints.npy", "no array", "is not a readable array"),
    ],
)
def test_damaged_files_of_up3d_are_named(file, text, message, convert, up3d):
    (up3d / file).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        convert("up3d", "trainval")
    assert str(up3d / file) in str(error.value)


def test_a_turned_camera_of_up3d_is_refused(convert, up3d):
    path = up3d / "00000_body.pkl"
    fit = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**fit, "rt": np.array([0.1, 0, 0])}))
    with pytest.raises(ValueError, match="its camera is turned by"):
        convert("up3d", "trainval")


@pytest.mark.parametrize("name", ["../../../outside", "/etc"])
def test_a_sequence_name_that_leads_out_of_3dpw_is_refused(name, convert, pw3d):
    path = pw3d / "sequenceFiles" / "test" / "office_00.pkl"
    path.write_bytes(pickle.dumps({**pickle.loads(path.read_bytes()), "sequence": name}))
    with pytest.raises(ValueError, match="expected a path below the data set's folder"):
        convert("pw3d", "test")


def test_a_3dpw_file_without_a_field_is_named(convert, pw3d):
    path = pw3d / "sequenceFiles" / "test" / "office_00.pkl"
    content = pickle.loads(path.read_bytes())
    del content["cam_poses"]
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r"office_00\.pkl lacks 'cam_poses' of person 0"):
        convert("pw3d", "test")
