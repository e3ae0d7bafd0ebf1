"""Batches of the data loader unpacked, and results packed."""

from __future__ import annotations

import pytest
import roma
import torch
from mmengine.structures import BaseDataElement
from support.tiny_mion import make_samples

from mion_plugin.bodies import Bodies
from mion_plugin.body import BodyArrays, SMPLBody
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.samples import (
    add_results,
    check_mode,
    check_samples,
    collect_targets,
    common_convention,
    input_keypoints,
    known_keypoints,
    pack_bodies,
    provided_candidates,
    read_depths,
    sample_name,
    stack_images,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


@pytest.fixture
def samples(body) -> list[BaseDataElement]:
    return make_samples(body, batch=3)


class TestImages:
    def test_a_list_becomes_a_batch(self) -> None:
        image = torch.rand(2, 3, 8, 6)
        assert stack_images(image) is image
        assert torch.equal(stack_images(list(image)), image)
        assert torch.equal(stack_images(tuple(image)), image)

    @pytest.mark.parametrize(
        ("image", "told"),
        [
            (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), r"torch\.uint8 \(2, 3, 8, 8\)"),
            (torch.zeros(2, 6, 8, 8), r"torch\.float32 \(2, 6, 8, 8\)"),
            (torch.zeros(3, 8, 8), r"torch\.float32 \(3, 8, 8\)"),
        ],
    )
    def test_others_are_an_error_that_names_the_remedy(self, image, told) -> None:
        message = rf"images are {told}, expected normalised floats \(B, 3, H, W\): use mion\.Normalize .* ImgDataPrepro"
        with pytest.raises(ValueError, match=message):
            stack_images(image)


class TestChecks:
    def test_one_sample_for_each_image(self, samples) -> None:
        assert check_samples(samples, 3, 224) is samples
        with pytest.raises(ValueError, match="3 images came with none data samples, expected one for each"):
            check_samples(None, 3, 224)
        with pytest.raises(ValueError, match="2 images came with 3 data samples, expected one for each"):
            check_samples(samples, 2, 224)

    def test_crops_have_the_models_size(self, samples) -> None:
        message = r"1\.jpg: a crop of 112 px, but the model's image_size is 224; set image_size and focal_length"
        samples[1].set_metainfo({"crop_size": 112})
        with pytest.raises(ValueError, match=message):
            check_samples(samples, 3, 224)
        nameless = [BaseDataElement()]  # what tells no size is taken as it is
        assert check_samples(nameless, 1, 224) is nameless

    def test_names_of_samples(self) -> None:
        assert sample_name(BaseDataElement(metainfo={"image_path": "a.jpg", "sample_idx": 3})) == "a.jpg"
        assert sample_name(BaseDataElement(metainfo={"sample_idx": 3})) == "sample 3"
        assert sample_name({"image_path": "b.jpg"}) == "b.jpg"
        assert sample_name(BaseDataElement()) == "sample without a name"

    def test_modes(self) -> None:
        for mode in ("tensor", "loss", "predict"):
            check_mode(mode)
        with pytest.raises(ValueError, match="mode is 'test', expected one of tensor, loss, predict"):
            check_mode("test")


class TestInputKeypoints:
    def test_are_those_given_for_stage_1(self, samples) -> None:
        given = torch.rand(3, 17, 3)
        for sample, value in zip(samples, given, strict=True):
            sample.gt_body.keypoints2d_input = value
        assert torch.equal(input_keypoints(samples, "coco", CPU), given)

    def test_or_the_annotated_ones(self, samples) -> None:
        expected = torch.stack([sample.gt_body.keypoints2d for sample in samples])
        assert torch.equal(input_keypoints(samples, "coco", CPU), expected)
        samples[1].gt_body.keypoints2d_input = torch.ones(17, 3)  # each sample what it has
        expected[1] = 1
        assert torch.equal(input_keypoints(samples, "coco", CPU), expected)

    def test_are_float32(self, samples) -> None:
        for sample in samples:
            sample.gt_body.keypoints2d = sample.gt_body.keypoints2d.double()
        assert input_keypoints(samples, "coco", CPU).dtype == torch.float32

    def test_are_converted_by_name_sample_by_sample(self, samples) -> None:
        expected = input_keypoints(samples, "coco", CPU)
        samples[1].set_metainfo({"keypoints2d_convention": "smpl_54"})
        samples[1].gt_body.keypoints2d = convert_keypoints(samples[1].gt_body.keypoints2d, "coco", "smpl_54")[0]
        assert torch.equal(input_keypoints(samples, "coco", CPU), expected)

    def test_joints_that_the_data_lack_have_confidence_0(self, samples) -> None:
        lsp = input_keypoints(samples, "lsp", CPU)
        assert lsp.shape == (3, 14, 3)
        known = convert_keypoints(samples[0].gt_body.keypoints2d, "coco", "lsp")[1]
        assert 0 < known.sum() < 14
        assert (lsp[:, known.logical_not(), 2] == 0).all()
        assert (lsp[:, known, 2] > 0).all()

    def test_without_any_the_sample_is_named(self, samples) -> None:
        samples[1].gt_body.pop("keypoints2d")
        with pytest.raises(ValueError, match=r"1\.jpg: gt_body has neither keypoints2d_input nor keypoints2d"):
            input_keypoints(samples, "coco", CPU)
        assert known_keypoints(samples, "coco", CPU) is None
        samples[1].gt_body.keypoints2d_input = torch.ones(17, 3)
        assert torch.equal(known_keypoints(samples, "coco", CPU), input_keypoints(samples, "coco", CPU))


class TestDepths:
    def test_none_where_no_sample_knows_any(self, samples) -> None:
        assert read_depths(samples, "coco", CPU) is None

    def test_zeros_where_only_others_do(self, samples) -> None:
        samples[1].gt_body.depths_input = torch.rand(17, 2, dtype=torch.float64)
        found = read_depths(samples, "coco", CPU)
        assert found.dtype == torch.float32
        assert torch.equal(found[1], samples[1].gt_body.depths_input.float())
        assert not found[[0, 2]].any()

    def test_are_converted_by_name(self, samples) -> None:
        depths = torch.rand(17, 2) + 0.5
        samples[0].set_metainfo({"keypoints2d_convention": "smpl_54"})
        samples[0].gt_body.depths_input = convert_keypoints(depths, "coco", "smpl_54")[0]
        assert torch.equal(read_depths(samples, "coco", CPU)[0], depths)
        lsp, known = convert_keypoints(depths, "coco", "lsp")
        found = read_depths(samples, "lsp", CPU)[0]
        assert torch.equal(found[known], lsp[known])
        assert not found[known.logical_not()].any()  # precision 0: unknown

    def test_another_shape_is_an_error_that_names_the_sample(self, samples) -> None:
        samples[2].gt_body.depths_input = torch.rand(17)
        with pytest.raises(ValueError, match=r"2\.jpg: depths_input has shape \(17,\), expected \(17, 2\)"):
            read_depths(samples, "coco", CPU)

    def test_a_wrong_shape_names_sample_and_key(self, samples) -> None:
        samples[2].gt_body.keypoints2d_input = torch.zeros(14, 3)
        with pytest.raises(ValueError, match=r"2\.jpg: keypoints2d_input has shape \(14, 3\), expected \(17, 3\)"):
            input_keypoints(samples, "coco", CPU)


class TestBroughtCandidates:
    def test_are_what_the_samples_hold(self, samples) -> None:
        candidates = provided_candidates(samples, CPU)
        assert torch.equal(candidates.pose[1], samples[1].candidates.pose)
        assert torch.equal(candidates.transl[1], samples[1].candidates.transl)
        assert torch.equal(candidates.betas, torch.zeros(3, 4, 10))
        assert candidates.fit_loss.tolist() == [[0, 1, 2, 3]] * 3
        assert candidates.valid.tolist() == [True, True, True]
        assert candidates.pncc is None

    def test_optional_parts(self, samples) -> None:
        for row, sample in enumerate(samples):
            sample.candidates.pop("fit_loss")
            sample.candidates.valid = torch.tensor(row == 1)
            sample.candidates.pncc = torch.rand(4, 3, 8, 8)
        candidates = provided_candidates(samples, CPU)
        assert candidates.fit_loss.isinf().all()
        assert candidates.valid.tolist() == [False, True, False]
        assert candidates.valid.dtype == torch.bool
        assert torch.equal(candidates.pncc[0], samples[0].candidates.pncc)

    @pytest.mark.parametrize(
        ("message", "change"),
        [
            (
                "the model has no selector and the sample no candidates with pose and transl",
                lambda sample: sample.pop("candidates"),
            ),
            (
                r"candidates hold pose, transl, those of 0\.jpg fit_loss, pose, transl",
                lambda sample: sample.candidates.pop("fit_loss"),
            ),
            (
                r"candidates\.pose has shape \(2, 24, 3\), expected \(4, 24, 3\)",
                lambda sample: sample.candidates.set_data({"pose": torch.zeros(2, 24, 3)}),
            ),
            (
                r"candidates\.transl holds NaN",
                lambda sample: sample.candidates.set_data({"transl": torch.full((4, 3), torch.nan)}),
            ),
            (
                r"candidates\.transl has bodies behind the camera",
                lambda sample: sample.candidates.set_data({"transl": -sample.candidates.transl}),
            ),
        ],
    )
    def test_bad_ones_name_the_sample(self, samples, message, change) -> None:
        change(samples[1])
        with pytest.raises(ValueError, match=rf"1\.jpg: {message}"):
            provided_candidates(samples, CPU)


class TestTargets:
    def test_are_the_samples_labels(self, samples) -> None:
        targets = collect_targets(samples, CPU)
        gt = samples[2].gt_body
        assert torch.equal(targets.keypoints2d[2], gt.keypoints2d)
        assert torch.equal(targets.keypoints3d[2], gt.keypoints3d)
        assert torch.equal(targets.betas[2], gt.smpl_betas)
        pose = torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose])
        assert torch.equal(targets.rotations[2], roma.rotvec_to_rotmat(pose))
        assert targets.has_keypoints2d.all()
        assert targets.has_keypoints3d.all()
        assert targets.has_smpl.all()

    def test_absent_parts_are_zeros_without_flag(self, samples) -> None:
        samples[0].gt_body.pop("smpl_betas")
        samples[1].gt_body.pop("keypoints3d")
        samples[2].gt_body.has_keypoints2d = torch.tensor(0)
        targets = collect_targets(samples, CPU)
        assert (targets.betas[0] == 0).all()
        assert (targets.keypoints3d[1] == 0).all()
        assert targets.has_smpl.tolist() == [False, True, True]
        assert targets.has_keypoints3d.tolist() == [True, False, True]
        assert targets.has_keypoints2d.tolist() == [True, True, False]

    def test_mixed_conventions_are_an_error(self, samples) -> None:
        assert common_convention(samples, "keypoints2d") == "coco"
        samples[1].set_metainfo({"keypoints2d_convention": "lsp"})
        with pytest.raises(ValueError, match="keypoints2d in coco, lsp; give all data sets one keypoints2d_convention"):
            collect_targets(samples, CPU)


class TestPacking:
    @pytest.fixture
    def bodies(self) -> Bodies:
        generator = torch.Generator().manual_seed(4)
        pose = roma.rotvec_to_rotmat(0.3 * torch.randn(2, 3, 24, 3, generator=generator))
        transl = torch.tensor([0.0, 0.2, 45.0]) + 0.1 * torch.randn(2, 3, 3, generator=generator)
        return Bodies(pose, torch.randn(2, 3, 10, generator=generator), transl)

    def test_fields_of_plain_bodies(self, bodies, body) -> None:
        packed = pack_bodies(bodies, body)
        assert len(packed) == 2
        for row, element in enumerate(packed):
            assert set(element.keys()) == {"pose", "betas", "transl", "keypoints3d", "valid"}
            for name in ("pose", "betas", "transl", "valid"):
                assert torch.equal(element.get(name), getattr(bodies, name)[row])
            posed = body(bodies.pose[row], bodies.betas[row])
            torch.testing.assert_close(element.keypoints3d, body.keypoints(posed, "h36m"), atol=1e-4, rtol=0)

    def test_further_fields(self, bodies, body) -> None:
        measured = bodies.measured(torch.rand(2, 3))
        values = {"scores": torch.rand(2, 3), "selected": torch.tensor([1, 2]), "combined_scores": None}
        packed = pack_bodies(measured, body, with_vertices=True, **values)
        for row, element in enumerate(packed):
            assert "combined_scores" not in element
            assert torch.equal(element.scores, values["scores"][row])
            assert element.selected == values["selected"][row]
            assert element.selected.shape == ()
            assert torch.equal(element.fit_loss, measured.fit_loss[row])
            expected = body(bodies.pose[row], bodies.betas[row]).vertices  # without translation
            torch.testing.assert_close(element.vertices, expected, atol=1e-5, rtol=0)

    def test_a_fit_loss_given_counts_more_than_the_bodies_own(self, bodies, body) -> None:
        given = torch.rand(2, 3)
        packed = pack_bodies(bodies.measured(torch.zeros(2, 3)), body, fit_loss=given)
        assert torch.equal(packed[1].fit_loss, given[1])

    def test_axis_angle_stays(self, bodies, body) -> None:
        pose = roma.rotmat_to_rotvec(bodies.pose)
        packed = pack_bodies(Bodies(pose, bodies.betas, bodies.transl), body)
        assert torch.equal(packed[0].pose, pose[0])

    def test_nothing_has_a_gradient(self, bodies, body) -> None:
        trained = Bodies(bodies.pose.requires_grad_(), bodies.betas.requires_grad_(), bodies.transl.requires_grad_())
        for element in pack_bodies(trained, body, with_vertices=True, scores=torch.rand(2, 3, requires_grad=True)):
            assert not any(value.requires_grad for value in element.values())

    def test_a_body_without_the_h36m_regressor(self, bodies) -> None:
        body = SMPLBody()
        body.arrays = BodyArrays(**{**vars(body.arrays), "regressor_h36m": None})
        assert "keypoints3d" not in pack_bodies(bodies, body)[0]

    def test_vertices_are_skinned_once(self, bodies, body) -> None:
        calls = []
        handle = body.register_forward_hook(lambda *args: calls.append(1))
        bodies.posed(body)
        pack_bodies(bodies, body, with_vertices=True)
        handle.remove()
        assert calls == [1]

    def test_mixed_precision_rounds_nothing(self, bodies, body) -> None:
        expected = pack_bodies(bodies, body, with_vertices=True)
        fresh = Bodies(bodies.pose, bodies.betas, bodies.transl)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            packed = pack_bodies(fresh, body, with_vertices=True)
        for name in ("vertices", "keypoints3d"):
            assert torch.equal(packed[1].get(name), expected[1].get(name)), name

    def test_results_are_copies_with_further_elements(self, samples) -> None:
        elements = [BaseDataElement(number=torch.tensor(row)) for row in range(3)]
        others = [BaseDataElement(number=torch.tensor(row + 3)) for row in range(3)]
        results = add_results(samples, pred_bodies=elements, candidates=others)
        for row, (result, sample) in enumerate(zip(results, samples, strict=True)):
            assert result is not sample
            assert result.pred_bodies is elements[row]
            assert result.candidates is others[row]
            assert result.gt_body is sample.gt_body
            assert result.image_path == f"{row}.jpg"
            assert "pred_bodies" not in sample  # the samples given stay as they were
            assert sample.candidates.pose.shape == (4, 24, 3)
