"""Where the candidates come from, and which of them training draws."""

from __future__ import annotations

import pytest
import torch
from support.stick_pool import make_keypoints, make_stick_pool

from mion_plugin.candidates import CandidateSelector
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.refinement.candidates import Candidates, brought_candidates, draw_candidates, select_candidates

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def selector() -> CandidateSelector:
    return CandidateSelector(make_stick_pool(), num_candidates=4)


def with_keypoints(samples, keypoints, key="keypoints2d_input"):
    for sample, value in zip(samples, keypoints, strict=True):
        sample.gt_body.set_data({key: value.float()})
    return samples


class TestSelected:
    def test_is_stage_1_on_the_input_keypoints(self, selector, make_samples) -> None:
        keypoints = make_keypoints(make_stick_pool(), 2)
        candidates = select_candidates(selector, with_keypoints(make_samples(), keypoints), CPU)
        selection = selector(keypoints.float())
        for name in ("pose", "transl", "fit_loss", "valid"):
            assert torch.equal(getattr(candidates, name), getattr(selection, name))
        assert candidates.pncc is None

    def test_annotated_keypoints_where_no_others_are_given(self, selector, make_samples) -> None:
        keypoints = make_keypoints(make_stick_pool(), 2)
        candidates = select_candidates(selector, with_keypoints(make_samples(), keypoints, "keypoints2d"), CPU)
        assert torch.equal(candidates.fit_loss, selector(keypoints.float()).fit_loss)

    def test_converts_by_name(self, selector, make_samples) -> None:
        keypoints = make_keypoints(make_stick_pool(), 2)
        samples = with_keypoints(make_samples(), convert_keypoints(keypoints, "coco", "smpl_54")[0])
        for sample in samples:
            sample.set_metainfo({"keypoints2d_convention": "smpl_54"})
        assert torch.equal(select_candidates(selector, samples, CPU).fit_loss, selector(keypoints.float()).fit_loss)

    def test_without_keypoints(self, selector, make_samples) -> None:
        samples = make_samples()
        samples[1].gt_body.pop("keypoints2d")
        with pytest.raises(ValueError, match=r"1\.jpg: gt_body has neither keypoints2d_input nor keypoints2d"):
            select_candidates(selector, samples, CPU)


class TestBrought:
    def test_what_the_samples_hold(self, make_samples) -> None:
        samples = make_samples(count=3)
        candidates = brought_candidates(samples, CPU)
        assert torch.equal(candidates.pose[1], samples[1].candidates.pose)
        assert candidates.fit_loss.tolist() == [[0, 1, 2]] * 2
        assert candidates.valid.tolist() == [True, True]
        assert candidates.pncc is None

    def test_optional_parts(self, make_samples) -> None:
        samples = make_samples(count=2)
        for row, sample in enumerate(samples):
            sample.candidates.pop("fit_loss")
            sample.candidates.valid = torch.tensor(row == 1)
            sample.candidates.pncc = torch.rand(2, 3, 8, 8)
        candidates = brought_candidates(samples, CPU)
        assert candidates.fit_loss.isinf().all()
        assert candidates.valid.tolist() == [False, True]
        assert torch.equal(candidates.pncc[0], samples[0].candidates.pncc)

    def test_bad_candidates_name_the_sample(self, make_samples) -> None:
        def expect(message, change) -> None:
            samples = make_samples()
            change(samples[1])
            with pytest.raises(ValueError, match=rf"1\.jpg: {message}"):
                brought_candidates(samples, CPU)

        expect("the model has no selector and the sample no candidates", lambda sample: sample.pop("candidates"))
        expect(
            r"candidates hold pose, transl, those of 0\.jpg fit_loss, pose",
            lambda sample: sample.candidates.pop("fit_loss"),
        )
        expect(
            r"candidates\.pose has shape \(2, 24, 3\), expected \(3, 24, 3\)",
            lambda sample: sample.candidates.set_data({"pose": torch.zeros(2, 24, 3)}),
        )
        expect(
            r"candidates\.transl holds NaN",
            lambda sample: sample.candidates.set_data({"transl": torch.full((3, 3), torch.nan)}),
        )
        expect(
            r"candidates\.transl has bodies behind the camera",
            lambda sample: sample.candidates.set_data({"transl": -sample.candidates.transl}),
        )


class TestDrawn:
    @pytest.fixture
    def candidates(self) -> Candidates:
        """Eight images with five candidates each, which carry their own numbers."""
        number = torch.arange(40.0).view(8, 5)
        return Candidates(
            pose=number[..., None, None].expand(8, 5, 24, 3),
            transl=number[..., None].expand(8, 5, 3),
            fit_loss=number,
            valid=torch.arange(8) != 3,
            pncc=number[..., None, None, None].expand(8, 5, 3, 2, 2),
        )

    @pytest.mark.parametrize("count", [1, 3])
    def test_different_ones_of_the_same_image_kept_together(self, candidates, count: int) -> None:
        drawn = draw_candidates(candidates, count, torch.Generator().manual_seed(0))
        assert drawn.fit_loss.shape == (8, count)
        for row in range(8):
            numbers = drawn.fit_loss[row].tolist()
            assert len(set(numbers)) == count
            assert set(numbers) <= set(candidates.fit_loss[row].tolist())
        assert torch.equal(drawn.pose[..., 0, 0], drawn.fit_loss)
        assert torch.equal(drawn.transl[..., 0], drawn.fit_loss)
        assert torch.equal(drawn.pncc[..., 0, 0, 0], drawn.fit_loss)
        assert torch.equal(drawn.valid, candidates.valid)

    def test_uniform_and_repeatable(self, candidates) -> None:
        generator = torch.Generator().manual_seed(1)
        counts = torch.zeros(5)
        for _ in range(200):
            place = draw_candidates(candidates, 1, generator).fit_loss.long().flatten() % 5
            counts += torch.bincount(place, minlength=5)
        assert (counts / 1600 - 0.2).abs().max() < 0.04
        torch.manual_seed(2)
        first = draw_candidates(candidates, 2).fit_loss
        torch.manual_seed(2)
        assert torch.equal(draw_candidates(candidates, 2).fit_loss, first)

    def test_all(self, candidates) -> None:
        assert draw_candidates(candidates, 5) is candidates

    def test_too_many(self, candidates) -> None:
        with pytest.raises(ValueError, match="train_candidates is 6, but each image has 5 candidates"):
            draw_candidates(candidates, 6)
