"""COCO, MPII, LSP, LSPET: keypoints and boxes; compared with mmhuman3d's converters where they read the archive."""

import json

import numpy as np
import pytest
from scipy.io import savemat
from support.official_archives import structs, write_coco, write_lsp, write_lspet, write_mpii

from mion_plugin.conversion.mpii import ANNOTATIONS
from mion_plugin.conversion.through_mmhuman3d import _run
from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.geometry.keypoints import keypoint_names


def keypoints(outcome, convention):
    return load_human_data(outcome.path).keypoints("keypoints2d", convention)[0]


def test_coco(convert, data):
    write_coco(data / "datasets" / "coco")
    outcome, dataset = convert("coco", "2014_train", keypoints2d="coco")
    assert (outcome.num_people, len(dataset)) == (3, 3)
    assert outcome.left_out == {"people with a joint of the body not annotated": 1}
    theirs = _run("CocoConverter", data / "datasets" / "coco", "coco_2014_train.npz")
    ours = load_human_data(outcome.path).content
    assert ours["image_path"] == list(theirs["image_path"])
    np.testing.assert_array_equal(ours["keypoints2d_mask"], theirs["keypoints2d_mask"])
    seen = theirs["keypoints2d"][..., 2:] > 0
    # the middle of a pixel, not its index
    np.testing.assert_allclose(ours["keypoints2d"], theirs["keypoints2d"] + np.where(seen, [0.5, 0.5, 0.0], 0.0))
    # SPIN's box: 1.2 times mmhuman3d's
    np.testing.assert_allclose(ours["bbox_xywh"], [[1, 1, 48, 60, 1]] * 3)
    np.testing.assert_allclose(theirs["bbox_xywh"], [[5, 6, 40, 50, 1]] * 3)


def test_lsp_has_a_training_and_a_test_half(convert, data):
    joints = write_lsp(data / "datasets" / "lsp")
    outcome, dataset = convert("lsp", "test", keypoints2d="lsp")
    assert (outcome.num_people, dataset.get_data_info(0)["image_path"][-10:]) == (1000, "im1001.jpg")
    outcome, _ = convert("lsp", "train", keypoints2d="lsp")
    np.testing.assert_allclose(keypoints(outcome, "lsp")[..., :2], joints[:2, :, :1000].transpose(2, 1, 0), rtol=1e-6)
    theirs = _run("LspConverter", data / "datasets" / "lsp", "lsp_train.npz", modes=["train"])
    ours = load_human_data(outcome.path).content
    assert ours["image_path"] == list(theirs["image_path"])
    for key in ("keypoints2d", "keypoints2d_mask", "bbox_xywh"):
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-6)


@pytest.mark.parametrize("high_resolution", [True, False])
def test_lspet_takes_the_annotated_joints(high_resolution, convert, data):
    joints = write_lspet(data / "datasets" / "lspet", high_resolution)
    outcome, dataset = convert("lspet", "train", keypoints2d="lsp")
    assert outcome.num_people == 3
    assert dataset[1]["image_path"].endswith("im00002.png" if high_resolution else "images/im00002.jpg")
    expected = joints.transpose(2, 0, 1).copy()
    expected[0, 3] = 0  # outside the image, or not annotated
    np.testing.assert_allclose(keypoints(outcome, "lsp"), expected, rtol=1e-6)
    present = expected[0, np.arange(14) != 3, :2]
    size = 1.2 * (present.max(axis=0) - present.min(axis=0))
    np.testing.assert_allclose(dataset[0]["bbox_xywh"][2:4], size, rtol=1e-5)


def test_mpii_from_the_official_annotations(convert, data):
    complete = write_mpii(data / "datasets" / "mpii")
    outcome, dataset = convert("mpii", "train", keypoints2d="mpii")
    assert (outcome.num_people, outcome.left_out) == (2, {"people with a joint not annotated": 1})
    sample = dataset[0]
    for point in complete["annopoints"]["point"]:
        x, y, joint = point["x"], point["y"], point["id"]
        np.testing.assert_allclose(sample["keypoints2d"][joint], [x, y, 1], rtol=1e-6)
    # 15 pixels times the scale lower, 1.25 times 200 pixels times the scale large
    np.testing.assert_allclose(sample["center"], [40, 30 + 4.5], rtol=1e-6)
    np.testing.assert_allclose(sample["scale"], [75, 75], rtol=1e-6)


def test_people_of_mpii_without_a_scale_are_left_out(convert, data):
    root = data / "datasets" / "mpii"
    complete = write_mpii(root)
    people = [complete, {"annopoints": complete["annopoints"]}]  # MATLAB's structs have the fields that their image has
    images = [{"image": {"name": "000001163.jpg"}, "annorect": one} for one in people]
    savemat(root / ANNOTATIONS, {"RELEASE": {"annolist": structs(images), "img_train": np.array([1, 1])}})
    outcome, _ = convert("mpii", "train", keypoints2d="mpii")
    assert (outcome.num_people, outcome.left_out) == (1, {"people without scale or position": 1})


def test_the_joints_of_mpii_are_by_number_the_ones_of_the_convention():
    # https://human-pose.mpi-inf.mpg.de/#download: 0 r ankle, ..., 6 pelvis, 9 head top, 10 r wrist, ..., 15 l wrist
    names = keypoint_names("mpii")
    assert [names[joint] for joint in (0, 5, 6, 7, 9, 10, 15)] == [
        *("right_ankle", "left_ankle", "pelvis_extra", "thorax_extra", "headtop", "right_wrist", "left_wrist")
    ]


@pytest.mark.parametrize("name", ["../../../outside.jpg", "/etc/passwd", "..\\outside.jpg"])
def test_images_outside_the_set_are_refused(name, convert, data):
    write_coco(data / "datasets" / "coco", file_name=name)
    write_mpii(data / "datasets" / "mpii", name=name)
    for dataset, split in (("coco", "2014_train"), ("mpii", "train")):
        with pytest.raises(ValueError, match="expected a path below the data set's folder"):
            convert(dataset, split)
    assert not (data / "preprocessed_datasets").exists()


def test_a_few_lost_images_cost_their_people_and_many_are_an_error(convert, data):
    archive = data / "datasets" / "lsp"
    write_lsp(archive)
    for index in (3, 4):
        (archive / "images" / f"im{index:04d}.jpg").unlink()
    outcome, _ = convert("lsp", "train", keypoints2d="lsp")
    assert (outcome.num_people, outcome.left_out) == (998, {"people whose image is missing": 2})
    assert "images/im0003.jpg" not in load_human_data(outcome.path).content["image_path"]
    for index in range(10, 30):
        (archive / "images" / f"im{index:04d}.jpg").unlink()
    before = outcome.path.read_bytes()
    with pytest.raises(FileNotFoundError, match=r"22 of 1000 images are missing in .*lsp, e\.g\. images/im0003\.jpg"):
        convert("lsp", "train")
    assert outcome.path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a JSON file"),
        ('{"images": []}', "is not a COCO keypoint file"),
        ("[]", "not a COCO keypoint file"),
    ],
)
def test_damaged_coco_annotations_are_named(text, message, convert, data):
    write_coco(data / "datasets" / "coco")
    (data / "datasets" / "coco" / "annotations" / "person_keypoints_train2014.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        convert("coco", "2014_train")


def test_coco_people_without_an_image_entry_are_an_error(convert, data):
    path = data / "datasets" / "coco" / "annotations" / "person_keypoints_train2014.json"
    write_coco(data / "datasets" / "coco")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "images": content["images"][:1]}))
    with pytest.raises(ValueError, match="is not a COCO keypoint file: KeyError"):
        convert("coco", "2014_train")


def test_other_mat_files_are_named(convert, data):
    for name in ("lsp", "lspet", "mpii"):
        (data / "datasets" / name).mkdir(parents=True)
    savemat(data / "datasets" / "lsp" / "joints.mat", {"joints": np.zeros((14, 3, 5))})
    savemat(data / "datasets" / "lspet" / "joints.mat", {"joints": np.zeros((3, 14, 5))})
    savemat(data / "datasets" / "mpii" / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": np.zeros(3)})
    for name, message in (
        ("lsp", r"joints has shape \(14, 3, 5\), expected \(3, 14, -1\)"),
        ("lspet", r"joints has shape \(3, 14, 5\), expected \(14, 3, N\)"),
        ("mpii", "is not MPII's"),
    ):
        with pytest.raises(ValueError, match=message):
            convert(name, "train")
    (data / "datasets" / "lsp" / "joints.mat").write_bytes(b"MATLAB 5.0 MAT-file, but truncated")
    with pytest.raises(ValueError, match="is not a readable MATLAB file"):
        convert("lsp", "train")
