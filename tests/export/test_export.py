"""Exported networks against the models they come from."""

import numpy as np
import pytest
import torch
from support.tiny_mion import SIDE, make_images, make_mion, make_samples

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.export import (
    ConsistencyExport,
    ExportError,
    LocatorExport,
    ReaderExport,
    RefinementExport,
    consistency_inputs,
    files,
    reader_inputs,
    refinement_inputs,
    write_network,
)
from mion_plugin.export.files import run_exported
from mion_plugin.registry import MODELS

CAMERA = {"image_size": SIDE, "focal_length": 5000.0 * SIDE / 224}


@pytest.fixture(scope="module")
def refiner():
    queries = {"candidate": True, "features": True, "keypoints": "coco"}
    options = {"queries": queries, "add_2d_position": True, **CAMERA}
    return make_mion(SMPLBody(), refiner=options).refiner


@pytest.fixture(scope="module")
def given(refiner):
    """Image, candidates and keypoints of two people."""
    samples = make_samples(refiner.body, batch=2, count=3)
    pose = torch.stack([sample.candidates.pose for sample in samples])
    transl = torch.stack([sample.candidates.transl for sample in samples])
    keypoints2d = torch.stack([sample.gt_body.keypoints2d for sample in samples]) * (SIDE / 224)
    return make_images(), Bodies.with_mean_shape(pose, transl), keypoints2d


def of_images(given, rows):
    """Image, candidates and keypoints of some of the people."""
    image, candidates, keypoints2d = given
    return image[rows], Bodies.with_mean_shape(candidates.pose[rows], candidates.transl[rows]), keypoints2d[rows]


def assert_same_inputs(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name])


def make_cen(body, pooling, output="low_rank"):
    torch.manual_seed(0)
    backbone = {"type": "mion.TorchvisionResNet", "depth": 18, "num_stages": 1, "in_channels": 6}
    options = {"pooling": pooling, "output": output, "num_anchors": 8, "body": body}
    built = MODELS.build({"type": "mion.CEN", "backbone": backbone, **options, **CAMERA}).eval()
    torch.nn.init.normal_(built.head.out if output == "local" else built.head.linear.weight)
    return built


@pytest.fixture(scope="module")
def plain_cen(refiner):
    return make_cen(refiner.body, "all")


@pytest.fixture(scope="module")
def cen(refiner):
    return make_cen(refiner.body, "body")


@pytest.fixture(scope="module")
def local_cen(refiner):
    return make_cen(refiner.body, "body", output="local")


@pytest.fixture(scope="module")
def lifting_refiner(refiner):
    """Without an image part, in training's precision."""
    options = {
        "transformer": {"width": 24, "num_heads": 2, "num_encoder_layers": 0, "num_decoder_layers": 1},
        "queries": {"keypoints": "coco", "depths": True, "lifting": {"width": 16, "depth": 1, "bfloat16": True}},
        "position_encoding": {"type": "mion.SinePositionEncoding2D"},
        "body": refiner.body,
    }
    torch.manual_seed(0)
    return MODELS.build({"type": "mion.RefinementNetwork", **options, **CAMERA}).eval()


@pytest.fixture(scope="module")
def depth_cen(refiner):
    backbone = {"type": "mion.TimmBackbone", "model_name": "tf_efficientnet_lite0", "out_indices": (1, 2)}
    reader = {"backbone": backbone, "map_size": 4, "hidden": (16, 8), "bfloat16_features": True, "own_depths": True}
    torch.manual_seed(0)
    options = {"reader": {**reader, "locator": {"width": 12, "hidden": 16}}, "body": refiner.body, **CAMERA}
    cen = MODELS.build({"type": "mion.DepthConsistency", **options}).eval()
    for layer in (cen.reader.out, cen.reader.locator.out):
        torch.nn.init.normal_(layer.weight, std=0.1)  # they start at zero
    return cen


class TestNetworks:
    def test_the_refinement_is_the_models(self, refiner, given):
        with torch.no_grad():
            expected = refiner(*given)
            found = RefinementExport(refiner)(**refinement_inputs(refiner, *given))
        for a, b in zip(found, (expected.pose, expected.betas, expected.transl), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)

    @pytest.mark.parametrize("name", ["cen", "plain_cen", "local_cen"])
    def test_the_scores_are_the_models(self, name, request, refiner, given):
        cen = request.getfixturevalue(name)
        image, candidates, _ = given
        vertices = refiner.body(candidates.pose, transl=candidates.transl).vertices
        with torch.no_grad():
            for bodies in (candidates, vertices):
                assert_same_inputs(consistency_inputs(cen, image, bodies), consistency_inputs(cen, image, vertices))
            score, distances = ConsistencyExport(cen)(**consistency_inputs(cen, image, vertices))
            torch.testing.assert_close(score.view(2, 3), cen(image, vertices))
            torch.testing.assert_close(distances.view(2, 3, -1), cen.distances(image, vertices))

    def test_half_precision_is_off_in_the_copy_alone(self, refiner):
        refiner.bfloat16_features = refiner.transformer.in_bfloat16 = True
        try:
            copied = RefinementExport(refiner).network
            assert not copied.bfloat16_features
            assert not copied.transformer.in_bfloat16
            assert refiner.bfloat16_features
            assert refiner.transformer.in_bfloat16
        finally:
            refiner.bfloat16_features = refiner.transformer.in_bfloat16 = False

    def test_without_an_image_part_its_inputs_are_left_out(self, lifting_refiner, given):
        _, candidates, keypoints2d = given
        network, inputs = RefinementExport(lifting_refiner), refinement_inputs(lifting_refiner, *given)
        assert list(inputs) == ["rotations", "transl", "pelvis", "evidence"]
        assert inputs["evidence"].shape == (2, 3, 17, 7)
        lifting = network.network.queries.from_keypoints
        assert not lifting.in_bfloat16
        assert lifting_refiner.queries.from_keypoints.in_bfloat16
        with torch.no_grad():
            expected = network.network(None, candidates, keypoints2d)
            for a, b in zip(network(**inputs), (expected.pose, expected.betas, expected.transl), strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0)

    def test_the_depths_are_the_readers(self, depth_cen, given):
        image, candidates, _ = given
        network, inputs = ReaderExport(depth_cen), reader_inputs(depth_cen, image, candidates)
        assert not network.reader.bfloat16_features
        assert depth_cen.reader.bfloat16_features
        with torch.no_grad():
            depths, errors = network(**inputs)
            own = depth_cen.depths(candidates)
            reading = depth_cen.reader(image, depth_cen.project(candidates), own)  # in bfloat16
        assert depths.shape == errors.shape == (2, 3, 17)
        assert (depths - own).abs().max() > 0.02
        torch.testing.assert_close(depths, reading.depths, rtol=0.05, atol=0.01)

    def test_the_keypoints_are_the_locators(self, depth_cen, given):
        image, _, keypoints2d = given
        network = LocatorExport(depth_cen)
        with torch.no_grad():
            (corrected,) = network(image, keypoints2d)
            expected = depth_cen.correct_keypoints(depth_cen.look(image), keypoints2d)  # in bfloat16
        assert (corrected - keypoints2d).abs().max() > 0.5
        torch.testing.assert_close(corrected, expected, rtol=0, atol=0.2)

    def test_a_refiner_that_reads_no_keypoints_has_no_evidence(self, given):
        plain = make_mion(SMPLBody(), refiner=CAMERA).refiner
        inputs = refinement_inputs(plain, *given)
        assert "evidence" not in inputs
        assert RefinementExport(plain)(**inputs)[0].shape == (2, 3, 24, 3, 3)


@pytest.mark.parametrize("kind", ["torch", "onnx"])
class TestFiles:
    def skip_without(self, kind):
        if kind == "onnx":
            for name in ("onnx", "onnxscript", "onnxruntime"):
                pytest.importorskip(name)

    def test_a_refiners_file_takes_other_batches_and_numbers_of_candidates(self, refiner, given, tmp_path, kind):
        self.skip_without(kind)
        network, inputs = RefinementExport(refiner), refinement_inputs(refiner, *given)
        path = tmp_path / f"mrt{files.FORMATS[kind]}"
        assert write_network(network, inputs, path, kind) < 1e-4
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        rows, paths = [0, 1, 0, 1, 1], [2, 0, 1, 1]
        image, candidates, keypoints2d = of_images(given, rows)
        more = refinement_inputs(refiner, image, candidates.take(torch.tensor([paths] * 5)), keypoints2d)
        with torch.no_grad():
            expected = network(**more)
        found = run_exported(path, more, kind)
        assert found[0].shape == (5, 4, 24, 3, 3)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)

    @pytest.mark.parametrize("name", ["cen", "local_cen"])
    def test_a_consistency_networks_file(self, name, request, refiner, given, tmp_path, kind):
        self.skip_without(kind)
        cen = request.getfixturevalue(name)
        image, candidates, _ = given
        inputs = consistency_inputs(cen, image, candidates)
        path = tmp_path / f"cen{files.FORMATS[kind]}"
        assert write_network(ConsistencyExport(cen), inputs, path, kind) < 1e-4
        score, _ = run_exported(path, {key: value[1:4] for key, value in inputs.items()}, kind)
        with torch.no_grad():
            expected = cen(image, candidates)
        np.testing.assert_allclose(score, expected.flatten()[1:4], atol=1e-5)

    def test_a_file_without_an_image_part(self, lifting_refiner, given, tmp_path, kind):
        self.skip_without(kind)
        network, inputs = RefinementExport(lifting_refiner), refinement_inputs(lifting_refiner, *given)
        path = tmp_path / f"mrt{files.FORMATS[kind]}"
        assert write_network(network, inputs, path, kind) < 1e-4
        more = refinement_inputs(lifting_refiner, *of_images(given, [0, 1, 0]))
        with torch.no_grad():
            expected = network(**more)
        for a, b in zip(expected, run_exported(path, more, kind), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)

    def test_a_depth_readers_file(self, depth_cen, given, tmp_path, kind):
        self.skip_without(kind)
        image, candidates, _ = given
        network, path = ReaderExport(depth_cen), tmp_path / f"reader{files.FORMATS[kind]}"
        assert write_network(network, reader_inputs(depth_cen, image, candidates), path, kind) < 1e-4
        rows, paths = [1, 0, 1], torch.tensor([[2, 0, 1, 1]] * 3)
        image, candidates, _ = of_images(given, rows)
        more = reader_inputs(depth_cen, image, candidates.take(paths))
        with torch.no_grad():
            expected = network(**more)
        for a, b in zip(expected, run_exported(path, more, kind), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)

    def test_a_locators_file(self, depth_cen, given, tmp_path, kind):
        self.skip_without(kind)
        image, _, keypoints2d = given
        network, path = LocatorExport(depth_cen), tmp_path / f"locator{files.FORMATS[kind]}"
        assert write_network(network, {"image": image, "keypoints2d": keypoints2d}, path, kind) < 1e-3
        more = {"image": image[[1, 0, 1]], "keypoints2d": keypoints2d[[1, 0, 1]]}
        with torch.no_grad():
            expected = network(**more)
        for a, b in zip(expected, run_exported(path, more, kind), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-3)


class TestBadInput:
    def test_a_file_that_differs_is_not_left(self, plain_cen, tmp_path, monkeypatch):
        run = files.run_exported
        monkeypatch.setattr(files, "run_exported", lambda *arguments: [array + 0.01 for array in run(*arguments)])
        inputs = {"image_and_pncc": torch.rand(2, 6, SIDE, SIDE)}
        with pytest.raises(ExportError, match=r"outputs differ by 0\.01 from the network's, more than 0\.001"):
            write_network(ConsistencyExport(plain_cen), inputs, tmp_path / "x.pt2", "torch")
        assert not list(tmp_path.iterdir())

    def test_examples_too_small(self, refiner, given, tmp_path):
        inputs = refinement_inputs(refiner, *of_images(given, slice(1)))
        with pytest.raises(ValueError, match=r"example input image has shape \(1, 3, 32, 32\), expected at least 2"):
            write_network(RefinementExport(refiner), inputs, tmp_path / "a.pt2", "torch")

    def test_unknown_kind(self, refiner, given, tmp_path):
        with pytest.raises(ValueError, match="kind is 'trt', expected one of onnx, torch"):
            write_network(RefinementExport(refiner), {}, tmp_path / "a", "trt")

    def test_without_onnx(self, refiner, given, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
        inputs = refinement_inputs(refiner, *given)
        with pytest.raises(ImportError, match=r"needs onnx, onnxscript and onnxruntime .*mion-plugin\[export\]"):
            write_network(RefinementExport(refiner), inputs, tmp_path / "a.onnx", "onnx")
        assert not list(tmp_path.iterdir())


def test_another_third_stage_is_refused(cen, depth_cen):
    with pytest.raises(ValueError, match=r"the third stage is a DepthConsistency, expected a mion\.CEN"):
        ConsistencyExport(depth_cen)
    with pytest.raises(ValueError, match=r"third stage is a ConsistencyEst.*, expected a mion\.DepthConsistency"):
        ReaderExport(cen)
    reader = {"backbone": {"type": "mion.TinyBackbone"}, "map_size": 4}
    without = MODELS.build({"type": "mion.DepthConsistency", "reader": reader, **CAMERA})
    with pytest.raises(ValueError, match="the third stage's reader has no locator: it corrects no keypoints"):
        LocatorExport(without)
