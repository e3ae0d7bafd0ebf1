"""mmhuman3d's ``inference_image_based_model`` on photographs whose people have 2D keypoints."""

import cv2
import numpy as np
import pytest
from mmhuman3d.apis import inference_image_based_model, init_model
from support.mmhuman3d_host import build_model, predict, small_config
from support.real_layout import SETS

from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.hosts.mmhuman3d.inference import use_keypoints

ENLARGED = 1.25  # the API's boxes; those of annotation files are enlarged already


@pytest.fixture(scope="module")
def tested():
    """Config, model and what ``tools/test.py`` finds on Human3.6M."""
    # an untrained network that starts from the candidates: other keypoints give other bodies
    cfg = small_config(**{"model.head.network.head.rotation": "residual"})
    model = build_model(cfg)
    model.cfg = cfg  # as init_model does
    outputs = predict(cfg, model=model)[1]
    assert np.abs(outputs[0]["smpl_pose"][0] - outputs[0]["smpl_pose"][1]).max() > 0.05
    return model.eval(), outputs


@pytest.fixture(scope="module")
def people(host_root):
    """The same people as a detector would give them: (image, dict of box and keypoints)."""
    data = load_human_data(host_root / "data" / "preprocessed_datasets" / SETS["h36m_p2"][0])
    keypoints2d = data.keypoints("keypoints2d_detected", "coco")[0]
    boxes = np.asarray(data.require("bbox_xywh"))[:, :4]
    side = boxes[:, 2:].max(axis=1, keepdims=True) / ENLARGED
    boxes = np.hstack([boxes[:, :2] + boxes[:, 2:] / 2 - side / 2, side, side])
    paths = [str(host_root / "data" / "datasets" / "h36m" / path) for path in data.require("image_path")]
    return paths, [dict(bbox=box, keypoints=found) for box, found in zip(boxes, keypoints2d, strict=True)]


def test_it_finds_what_the_test_loop_finds(tested, people):
    model, outputs = tested
    for index, (path, person) in enumerate(zip(*people, strict=True)):
        use_keypoints(model, [person])
        (found,) = inference_image_based_model(model, path, [person], format="xywh")
        batch, row = outputs[index // 2], index % 2
        for name in ("smpl_pose", "smpl_beta", "camera", "vertices", "keypoints_3d"):
            np.testing.assert_allclose(found[name], batch[name][row], atol=2e-3, err_msg=name)
        assert found["image_path"] == path


def test_two_people_of_a_picture_that_is_an_array(tested, people):
    """Each gets its own keypoints, whatever their order and whoever falls below the threshold."""
    model, outputs = tested
    paths, (_, second, third) = people
    image = cv2.imread(paths[1])
    x, y, width, height = second["bbox"]
    boxes = [(x, y, x + width, y + height, 0.9), (*third["bbox"][:2], *(third["bbox"][:2] + third["bbox"][2:]), 0.1)]
    detected = [{**third, "bbox": boxes[1]}, {**second, "bbox": boxes[0]}]
    use_keypoints(model, detected, format="xyxy")
    (found,) = inference_image_based_model(model, image, detected, bbox_thr=0.5, format="xyxy")
    np.testing.assert_allclose(found["smpl_pose"], outputs[0]["smpl_pose"][1], atol=2e-3)
    both = inference_image_based_model(model, image, detected, format="xyxy")
    assert len(both) == 2
    np.testing.assert_allclose(both[1]["vertices"], found["vertices"], atol=1e-4)
    assert np.abs(both[0]["smpl_pose"] - both[1]["smpl_pose"]).max() > 0.05


def test_the_small_model_from_its_config_alone(people):
    """init_model with mmhuman3d's own default: no checkpoint; keypoints of another convention."""
    cfg = small_config("mion_tiny_synthetic")
    model, extractor = init_model(cfg, device="cpu")
    assert extractor is None
    paths, (first, *_) = people
    in_smpl, _ = convert_keypoints(first["keypoints"], "coco", "smpl_54")
    use_keypoints(model, [{**first, "keypoints": in_smpl}], convention="smpl_54")
    (found,) = inference_image_based_model(model, paths[0], [first])
    assert found["vertices"].shape == (6890, 3)
    assert found["keypoints_3d"].shape == (17, 3)
    assert all(np.isfinite(found[name]).all() for name in ("vertices", "camera", "smpl_pose"))


class TestBadInput:
    def test_without_keypoints(self, people):
        cfg = small_config()
        model = build_model(cfg).eval()
        model.cfg = cfg
        with pytest.raises(ValueError, match=r"MION starts from 2D keypoints: .*use_keypoints.*MIONInferencer"):
            inference_image_based_model(model, people[0][0], people[1][:1])

    def test_of_other_people(self, tested, people):
        model, _ = tested
        use_keypoints(model, people[1][:1])
        with pytest.raises(ValueError, match=r"none of the 1 people has a box around \[.*\] of side \d+\.\d px"):
            inference_image_based_model(model, people[0][1], people[1][1:2])

    def test_of_another_number_or_format(self, tested, people):
        model, _ = tested
        with pytest.raises(ValueError, match=r"shape \(17, 3\), expected \(24, 3\) for convention 'smpl'"):
            use_keypoints(model, people[1], convention="smpl")
        with pytest.raises(ValueError, match="format is 'cxcywh', expected one of xywh, xyxy"):
            use_keypoints(model, people[1], format="cxcywh")

    def test_a_config_without_the_step(self, people):
        cfg = small_config()
        cfg.inference_pipeline[-1].transforms.pop(0)
        model = build_model(cfg)
        model.cfg = cfg
        with pytest.raises(
            ValueError, match="inference_pipeline has no step PersonKeypoints: put it behind MeshAffine"
        ):
            use_keypoints(model, people[1])
