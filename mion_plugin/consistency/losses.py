"""The losses of the consistency estimation network (paper, eq. 10)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.registry import MODELS

NORMS = ("l2", "mse")


@MODELS.register_module()
class ConsistencyLoss(nn.Module):
    """Eq. 10, and on request a term for the order of an image's bodies.

    Args:
        distance_weight: Of ``loss_distance``.
        ranking_weight: Of ``loss_ranking``; paper: 0. Choosing needs the order of an image's bodies alone, on which
            eq. 10 spends little: bodies of one image differ less than bodies of two.
        norm: Of the difference of two distances, for each vertex: ``l2``, as eq. 10 has it, which of a single number is
            its absolute value; or ``mse``, its square.
        temperature: Difference of two scores, in body heights, at which the ranking term counts a pair as well told
            apart: 0.01 is 17 mm, about what lies between an image's best bodies.
        least_difference: Pairs of bodies whose true mean distances differ by less, in body heights, are not ranked:
            0.002 is 3 mm, less than the keypoints' noise moves a body.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        distance_weight: float = 1.0,
        ranking_weight: float = 0.0,
        norm: str = "l2",
        temperature: float = 0.01,
        least_difference: float = 0.002,
    ) -> None:
        super().__init__()
        if min(distance_weight, ranking_weight, least_difference) < 0 or not 0 < temperature < float("inf"):
            raise ValueError(
                f"distance_weight {distance_weight}, ranking_weight {ranking_weight}, least_difference "
                f"{least_difference}, temperature {temperature}: expected numbers not below 0, and the last above"
            )
        if norm not in NORMS:
            raise ValueError(f"norm is {norm!r}, expected one of {', '.join(NORMS)}")
        self.distance_weight, self.ranking_weight, self.norm = distance_weight, ranking_weight, norm
        self.temperature, self.least_difference = temperature, least_difference

    def forward(self, predicted: Tensor, true: Tensor, labelled: Tensor) -> dict[str, Tensor]:
        """All terms, weighted, and what to watch.

        Args:
            predicted: (B, N, V) distances that the network gives.
            true: (B, N, V) of ``vertex_distance``.
            labelled: (B,) bool; other images do not count.

        Returns:
            Scalars: ``loss_distance``; ``loss_ranking`` if it has a weight; ``mean_distance``, the true one;
            ``ordered``, the share of pairs of an image's bodies that the scores order rightly.
        """
        # chosen, not multiplied: what is unlabelled may be anything
        true = torch.where(labelled[:, None, None], true, 0.0)
        predicted = torch.where(labelled[:, None, None], predicted, 0.0 * predicted)
        scores, errors = predicted.mean(dim=-1), true.mean(dim=-1)
        losses = {"loss_distance": self.distance_weight * self.loss_distance(predicted, true, labelled)}
        if self.ranking_weight > 0:
            losses["loss_ranking"] = self.ranking_weight * self.loss_ranking(scores, errors, labelled)
        advantage, ranked = self._ranked_pairs(scores.detach(), errors, labelled)
        losses["mean_distance"] = errors.sum() / (labelled.sum() * errors.shape[1]).clamp(min=1)
        losses["ordered"] = _mean(((advantage > 0) + 0.5 * (advantage == 0)).to(errors), ranked)
        return losses

    def loss_distance(self, predicted: Tensor, true: Tensor, labelled: Tensor) -> Tensor:
        """Eq. 10, mean over vertices, bodies and labelled images."""
        difference = predicted - true
        error = difference.abs() if self.norm == "l2" else difference.square()
        return _mean(error.mean(dim=(1, 2)), labelled)

    def loss_ranking(self, scores: Tensor, errors: Tensor, labelled: Tensor) -> Tensor:
        """Pairwise logistic loss (RankNet; Burges et al., 2005), mean over the ranked pairs.

        Args:
            scores: (B, N), the lower the better.
            errors: (B, N) true mean distances.
            labelled: (B,) bool.
        """
        advantage, ranked = self._ranked_pairs(scores, errors, labelled)
        return _mean(functional.softplus(-advantage / self.temperature), ranked)

    def _ranked_pairs(self, scores: Tensor, errors: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P) how much lower the better body of each pair is scored, and whether the pair counts."""
        first, second = torch.triu_indices(scores.shape[1], scores.shape[1], offset=1, device=scores.device)
        difference = errors[:, second] - errors[:, first]
        advantage = difference.sign() * (scores[:, second] - scores[:, first])
        return advantage, labelled[:, None] & (difference.abs() > self.least_difference)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the values that count; 0 if none does."""
    return (values * counted).sum() / counted.sum().clamp(min=1)
