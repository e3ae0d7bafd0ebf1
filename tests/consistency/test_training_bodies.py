from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.tiny_mion import make_samples

from mion_plugin.bodies import Bodies
from mion_plugin.consistency.perturbation import Perturbation
from mion_plugin.consistency.training_bodies import check_kinds, draw_kinds, perturbed_bodies
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.samples import collect_targets, provided_candidates

CPU = torch.device("cpu")


class TestKinds:
    @pytest.mark.parametrize("kinds", [(0.25, 0.5, 0.25), (0.1, 0.9, 0.0), (0.0, 0.0, 1.0), (0.35, 0.2, 0.45)])
    def test_numbers_are_right_on_average_and_never_off_by_one(self, kinds) -> None:
        kinds = dict(zip(("candidate", "refined", "perturbed"), kinds, strict=True))
        generator = torch.Generator().manual_seed(0)
        drawn = [draw_kinds(kinds, 4, generator) for _ in range(2000)]
        for kind, probability in kinds.items():
            numbers = torch.tensor([draw[kind] for draw in drawn], dtype=torch.float64)
            assert (numbers - 4 * probability).abs().max() < 1
            assert numbers.mean().item() == pytest.approx(4 * probability, abs=0.05)
        assert all(sum(draw.values()) == 4 for draw in drawn)

    def test_probabilities_are_made_to_sum_to_1(self) -> None:
        assert check_kinds({"candidate": 1, "perturbed": 3}) == {"candidate": 0.25, "perturbed": 0.75}
        for wrong in ({}, {"candidate": 0.0}, {"candidate": -1, "refined": 2}):
            with pytest.raises(ValueError, match="expected probabilities not below 0 and one above"):
                check_kinds(wrong)
        with pytest.raises(ValueError, match="pairs has the kind 'rendered', expected some of candidate, refined"):
            check_kinds({"candidate": 1, "rendered": 1})


class TestPerturbedBodies:
    def perturb(self, body, **settings):
        samples = make_samples(body, batch=3)
        for sample in samples:
            sample.gt_body.smpl_betas[:] = 0  # the fit knows no shape but the one that it places
        targets = collect_targets(samples, CPU)
        pose, betas = targets.rotations[:, None], targets.betas[:, None]
        true = Bodies(pose, betas, torch.full((3, 1, 3), torch.nan))
        candidates = provided_candidates(samples, CPU)
        keypoints2d = targets.keypoints2d
        bodies = perturbed_bodies(
            true, candidates, keypoints2d, "coco", Perturbation(**settings), body, CropCamera(), torch.manual_seed(0)
        )
        return bodies, keypoints2d, candidates

    def test_reflected_bodies_explain_the_keypoints(self, body) -> None:
        bodies, keypoints2d, _ = self.perturb(body, tilt=0, mix=0)
        assert bodies.transl.shape == (3, 4, 3)
        points = body.pose_keypoints(bodies.pose, bodies.betas, bodies.transl, "coco")
        pixels = 5000.0 * points[..., :2] / points[..., 2:] + 112.0
        error = (pixels - keypoints2d[:, None, :, :2]).norm(dim=-1)
        height = keypoints2d[..., 1].amax(dim=1) - keypoints2d[..., 1].amin(dim=1)
        assert (error.mean(dim=-1) < 0.01 * height[:, None]).all()  # perspective at 45 m, and the face's keypoints

    def test_shape_goes_with_the_share(self, body) -> None:
        samples = make_samples(body, batch=2)
        targets = collect_targets(samples, CPU)
        true = Bodies(targets.rotations[:, None], targets.betas[:, None], torch.zeros(2, 1, 3))
        mixed = perturbed_bodies(
            true,
            provided_candidates(samples, CPU),
            targets.keypoints2d,
            "coco",
            Perturbation(reflect=0, tilt=0),
            body,
            CropCamera(),
            torch.manual_seed(0),
        )
        share = mixed.betas / targets.betas[:, None]
        torch.testing.assert_close(share, share[..., :1].expand_as(share), atol=1e-4, rtol=0)
        assert ((share >= 0) & (share <= 1)).all()

    def test_without_a_fit_they_stand_where_the_candidates_do(self, body) -> None:
        samples = make_samples(body, batch=1)
        targets = collect_targets(samples, CPU)
        candidates = provided_candidates(samples, CPU)
        true = Bodies(targets.rotations[:, None], targets.betas[:, None], torch.zeros(1, 1, 3))
        nothing = torch.zeros(1, 17, 3)
        bodies = perturbed_bodies(true, candidates, nothing, "coco", Perturbation(), body, CropCamera())
        assert torch.equal(bodies.transl, candidates.transl)

    def test_candidates_may_have_matrices(self, body) -> None:
        samples = make_samples(body, batch=2)
        targets = collect_targets(samples, CPU)
        candidates = provided_candidates(samples, CPU)
        true = Bodies(targets.rotations[:, None], targets.betas[:, None], torch.zeros(2, 1, 3))
        bodies = [
            perturbed_bodies(
                true, given, targets.keypoints2d, "coco", Perturbation(), body, CropCamera(), torch.manual_seed(0)
            )
            for given in (candidates, replace(candidates, pose=candidates.rotations))
        ]
        for name in ("pose", "betas", "transl"):
            assert torch.equal(getattr(bodies[0], name), getattr(bodies[1], name))
