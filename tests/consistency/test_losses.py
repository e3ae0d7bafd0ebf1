from __future__ import annotations

import math

import pytest
import torch

from mion_plugin.registry import MODELS


def make_distances(batch: int = 4, count: int = 5, vertices: int = 7):
    generator = torch.Generator().manual_seed(0)
    true = 0.2 * torch.rand(batch, count, vertices, generator=generator)
    predicted = true + 0.05 * torch.randn(true.shape, generator=generator)
    return predicted.requires_grad_(), true, torch.tensor([True, True, False, True])[:batch]


def build(**options):
    return MODELS.build({"type": "mion.ConsistencyLoss", **options})


class TestDistance:
    @pytest.mark.parametrize(("norm", "power"), [("l2", 1), ("mse", 2)])
    def test_against_a_loop(self, norm, power) -> None:
        predicted, true, labelled = make_distances()
        terms = [
            abs(float(predicted[b, n, v] - true[b, n, v])) ** power
            for b in range(4)
            if labelled[b]
            for n in range(5)
            for v in range(7)
        ]
        losses = build(norm=norm, distance_weight=2.0)(predicted, true, labelled)
        assert set(losses) == {"loss_distance", "mean_distance", "ordered"}
        assert losses["loss_distance"].item() == pytest.approx(2.0 * sum(terms) / len(terms))
        assert losses["mean_distance"].item() == pytest.approx(true[labelled].mean().item())


class TestRanking:
    def test_against_a_loop(self) -> None:
        predicted, true, labelled = make_distances()
        scores, errors = predicted.mean(dim=2), true.mean(dim=2)
        terms, right = [], []
        for b in range(4):
            for i in range(5):
                for j in range(5):
                    if labelled[b] and errors[b, j] - errors[b, i] > 0.03:  # i is better, by enough
                        gap = float(scores[b, j] - scores[b, i])
                        terms.append(math.log1p(math.exp(-gap / 0.02)))
                        right.append(gap > 0)
        losses = build(ranking_weight=0.5, temperature=0.02, least_difference=0.03)(predicted, true, labelled)
        assert 5 < len(terms) < 30  # some pairs are too near to each other
        assert losses["loss_ranking"].item() == pytest.approx(0.5 * sum(terms) / len(terms), rel=1e-4)
        assert losses["ordered"].item() == pytest.approx(sum(right) / len(right))

    def test_moves_the_better_body_down_and_the_other_up(self) -> None:
        predicted = torch.zeros(1, 2, 3, requires_grad=True)
        true = torch.tensor([[[0.1] * 3, [0.2] * 3]])
        build(distance_weight=0, ranking_weight=1)(predicted, true, torch.tensor([True]))["loss_ranking"].backward()
        assert (predicted.grad[0, 0] > 0).all()
        assert (predicted.grad[0, 1] < 0).all()

    def test_one_body_has_no_order(self) -> None:
        predicted, true, labelled = make_distances(count=1)
        losses = build(ranking_weight=1)(predicted, true, labelled)
        assert losses["loss_ranking"] == 0


class TestMasks:
    def test_unlabelled_images_may_be_anything(self) -> None:
        predicted, true, labelled = make_distances()
        expected = build(ranking_weight=1)(predicted, true, labelled)
        spoilt = true.clone()
        spoilt[2] = torch.nan
        losses = build(ranking_weight=1)(predicted, spoilt, labelled)
        for name, value in expected.items():
            torch.testing.assert_close(losses[name], value)
        losses["loss_distance"].backward()
        assert predicted.grad.isfinite().all()
        assert (predicted.grad[2] == 0).all()

    def test_no_label_at_all(self) -> None:
        predicted, true, _ = make_distances()
        losses = build(ranking_weight=1)(predicted, true, torch.zeros(4, dtype=torch.bool))
        assert all(value == 0 for value in losses.values())
        (losses["loss_distance"] + losses["loss_ranking"]).backward()
        assert (predicted.grad == 0).all()


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="norm is 'l1', expected one of l2, mse"):
        build(norm="l1")
    with pytest.raises(ValueError, match="temperature 0: expected"):
        build(temperature=0)
