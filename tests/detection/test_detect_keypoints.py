"""tools/detect_keypoints.py with HRNet-W48 at low resolution and random weights; runs in both environments."""

import json

import detect_keypoints as tool
import numpy as np
import pytest
import torch
from PIL import Image

from mion_plugin.datasets import HumanDataset
from mion_plugin.datasets.coco import load_coco_people_of
from mion_plugin.datasets.human_data import load_human_data, save_human_data
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS
from mion_plugin.detection import detection_run

pytest.importorskip("mmpose", reason="the networks are mmpose's")
from support.mmpose_networks import build_random, write_small_config

NAMES = ["a/0.png", "a/1.png", "a/1.png"]
BOXES = np.array([[5.0, 5.0, 30.0, 60.0], [20.0, 10.0, 40.0, 50.0], [0.0, 0.0, 90.0, 70.0]])


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """(estimator, the options that name it)."""
    folder = tmp_path_factory.mktemp("network")
    config, checkpoint = write_small_config(folder), folder / "w.pth"
    estimator = build_random(config)
    torch.save({"state_dict": estimator.model.state_dict()}, checkpoint)
    return estimator, ["--config", str(config), "--checkpoint", str(checkpoint), "--device", "cpu"]


@pytest.fixture
def images(tmp_path):
    """Photographs below a folder."""
    rng = np.random.default_rng(0)
    (tmp_path / "images" / "a").mkdir(parents=True)
    for name in dict.fromkeys(NAMES):
        Image.fromarray(rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(tmp_path / "images" / name)
    return tmp_path / "images"


@pytest.fixture
def human_data(tmp_path):
    rng = np.random.default_rng(1)
    smpl = {
        "body_pose": rng.normal(size=(3, 23, 3)),
        "global_orient": rng.normal(size=(3, 3)),
        "betas": np.ones((3, 10)),
    }
    content = {
        "image_path": NAMES,
        "bbox_xywh": np.column_stack([BOXES, np.ones(3)]),
        "smpl": smpl,
        "config": "test",
        "keypoints2d_detected": np.ones((3, 17, 3)),  # of another detector, replaced
        "keypoints2d_detected_mask": np.ones(17),
        "keypoints2d_detected_convention": "coco",
    }
    return save_human_data(tmp_path / "set.npz", content)


def expected(estimator, images, boxes=BOXES):
    found = estimator([read_image(images / name) for name in NAMES], boxes)
    places = found[..., :2]
    outside = ((places < 0) | (places > [100, 80])).any(axis=-1)
    assert outside.any()
    return np.where(outside[..., None], 0.0, found)  # the files hold none there


def test_human_data(network, images, human_data, tmp_path, capsys):
    estimator, options = network
    out = tmp_path / "detected.npz"
    arguments = ["--human-data", str(human_data), "--image-root", str(images), "--out", str(out), *options]
    assert tool.main([*arguments, "--batch-size", "2"]) == 0
    keypoints2d = expected(estimator, images)
    dataset = HumanDataset(str(out), keypoints2d_source="detected", data_prefix={"img": str(images)})
    for row in range(3):
        np.testing.assert_allclose(dataset.get_data_info(row)["keypoints2d_input"], keypoints2d[row], atol=1e-3)
    before, after = load_human_data(human_data).content, load_human_data(out).content
    assert before.keys() < after.keys()
    np.testing.assert_array_equal(after["smpl"]["body_pose"], before["smpl"]["body_pose"])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    written = out.stat().st_mtime_ns
    assert tool.main(arguments) == 0  # again
    assert "already complete" in capsys.readouterr().out
    assert out.stat().st_mtime_ns == written
    assert tool.main([*arguments, "--box-scale", "0.8"]) == 2
    assert "is of a run with people" in capsys.readouterr().err
    Image.new("RGB", (100, 80)).save(images / NAMES[0])
    assert tool.main(arguments) == 2
    assert "is of a run with images" in capsys.readouterr().err


def test_mmhuman3d_reads_it(network, images, human_data, tmp_path):
    module = pytest.importorskip("mmhuman3d.data.data_structures.human_data")
    out = tmp_path / "detected.npz"
    assert (
        tool.main(["--human-data", str(human_data), "--image-root", str(images), "--out", str(out), *network[1]]) == 0
    )
    data = module.HumanData.fromfile(str(out))
    np.testing.assert_allclose(data["keypoints2d_detected"], expected(network[0], images), rtol=1e-5)
    assert data["smpl"]["betas"].shape == (3, 10)


@pytest.fixture
def coco(tmp_path):
    annotated = [number for joint in range(17) for number in (10 + joint, 20, 2)]
    content = {
        "images": [{"id": 12, "file_name": NAMES[0]}, {"id": 34, "file_name": NAMES[1]}],
        "annotations": [
            {"id": 7 + row, "image_id": 34 if row else 12, "bbox": box.tolist(), "keypoints": annotated}
            for row, box in enumerate(BOXES)
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return tmp_path / "coco.json"


def test_coco_to_coco(network, images, coco, tmp_path):
    estimator, options = network
    out = tmp_path / "out" / "detected.json"
    arguments = ["--coco", str(coco), "--image-root", str(images), "--out", str(out), *options]
    assert tool.main([*arguments, "--min-score", "0.1"]) == 0
    keypoints2d = expected(estimator, images)
    seen = keypoints2d[..., 2] >= 0.1
    assert seen.any()
    read = load_coco_people_of(out, ["0.png", "1.png"])
    people = [person for of_image in read for person in of_image]
    for person, keypoints, mask, box in zip(people, keypoints2d, seen, BOXES, strict=True):
        np.testing.assert_allclose(person.keypoints2d[mask, :2], keypoints[mask, :2], atol=1e-3)
        np.testing.assert_array_equal(person.keypoints2d[:, 2], mask)
        np.testing.assert_array_equal(person.bbox, box)
    content = json.loads(out.read_text())
    assert content["categories"][0]["keypoints"] == json.loads(KEYPOINTS.read_text())["categories"][0]["keypoints"]
    assert [image["id"] for image in content["images"]] == [12, 34]
    assert all((image["width"], image["height"]) == (100, 80) for image in content["images"])
    assert [(one["id"], one["image_id"]) for one in content["annotations"]] == [(7, 12), (8, 34), (9, 34)]
    np.testing.assert_allclose(
        [one["keypoint_scores"] for one in content["annotations"]], keypoints2d[..., 2], atol=1e-4
    )


def test_coco_to_human_data_keeps_the_annotation_as_target(network, images, coco, tmp_path):
    out = tmp_path / "detected.npz"
    assert tool.main(["--coco", str(coco), "--image-root", str(images), "--out", str(out), *network[1]]) == 0
    dataset = HumanDataset(str(out), keypoints2d_source="detected", data_prefix={"img": str(images)})
    sample = dataset.get_data_info(2)
    assert sample["keypoints2d"][3].tolist() == [13.5, 20.5, 1.0]
    np.testing.assert_allclose(sample["keypoints2d_input"], expected(network[0], images)[2], rtol=1e-5)
    np.testing.assert_array_equal(sample["bbox_xywh"][:4], BOXES[2])


def test_photographs_without_boxes(network, images, tmp_path):
    out = tmp_path / "detected.json"
    assert tool.main(["--images", str(images / "a"), "--out", str(out), *network[1]]) == 0
    content = json.loads(out.read_text())
    assert [image["file_name"] for image in content["images"]] == ["0.png", "1.png"]
    assert all(one["bbox"] == [0, 0, 100, 80] for one in content["annotations"])
    whole = np.tile([0.0, 0.0, 100.0, 80.0], (3, 1))
    scores = [one["keypoint_scores"] for one in content["annotations"]]
    np.testing.assert_allclose(scores, expected(network[0], images, whole)[:2, :, 2], atol=1e-4)


def test_an_interrupted_run_ends_as_an_undisturbed_one(network, images, coco, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(detection_run, "PIECE", 1)
    arguments = ["--coco", str(coco), "--image-root", str(images), *network[1], "--batch-size", "1"]
    hidden = (images / NAMES[1]).rename(tmp_path / "hidden.png")
    assert tool.main([*arguments, "--out", str(tmp_path / "resumed.json")]) == 2  # after the first of three
    assert "1.png does not exist" in capsys.readouterr().err
    assert len(list((tmp_path / ".resumed.json_pieces").glob("0*.npz"))) == 1
    assert not (tmp_path / "resumed.json").exists()
    hidden.rename(images / NAMES[1])
    Image.new("RGB", (100, 80)).save(images / NAMES[0])  # of the piece that is done, which is done again
    for name in ("resumed.json", "whole.json"):
        assert tool.main([*arguments, "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "resumed.json").read_text() == (tmp_path / "whole.json").read_text()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--out": "k.txt"}, "expected a name that ends in .npz or .json"),
        ({"--coco": "none.json"}, "annotation file none.json does not exist"),
        ({"--box-scale": "0"}, "a box scale of 0.0, expected a positive number"),
        ({"--config": "none"}, "config none is neither a file nor the name of one of mmpose's"),
        ({"--checkpoint": "none.pth"}, "checkpoint none.pth does not exist"),
        ({"--batch-size": "1000"}, "batch size 1000 and 2 workers, expected 1 to 128"),
    ],
)
def test_bad_input_ends_with_one_line(changes, message, network, images, coco, tmp_path, capsys):
    options = dict(zip(network[1][::2], network[1][1::2], strict=True))
    options |= {"--coco": str(coco), "--image-root": str(images), "--out": str(tmp_path / "k.json"), **changes}
    assert tool.main([text for option in options.items() for text in option]) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
