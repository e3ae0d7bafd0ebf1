"""The stages of a model one by one, each on what those before it gave: for the benchmarks that time them."""

from __future__ import annotations

from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.mion import MultiInitializationOptimizationNetwork


class Stages:
    """A model's stages on one batch; all have run once when it is made. To be used under ``torch.no_grad``.

    Args:
        model: In evaluation mode.
        image: (B, 3, H, W) normalised float crops.
        keypoints2d: (B, K, 3) as given, in crop pixels.

    Attributes:
        keypoints2d: (B, K, 3) what the stages read: as given, or as corrected by the picture.
        corrects: Whether it is the latter.
        candidates: (B, N) of stage 1.
        refined: (B, N) of stage 2.
        bodies: (B, N) those fitted, where there is a fit. Both are skinned, which is no stage's own work.
    """

    def __init__(self, model: MultiInitializationOptimizationNetwork, image: Tensor, keypoints2d: Tensor) -> None:
        self.model, self.image, self._given = model, image, keypoints2d
        self.keypoints2d, *self._seen = model.look(image, keypoints2d)
        self.corrects = bool(self._seen)
        self.candidates = self.select()
        self.refined = self.refine(self.candidates)
        self.bodies = self.refined if model.fit is None else self.fit()
        for bodies in (self.refined, self.bodies):
            bodies.posed(model.body)

    def correct(self) -> Tensor:
        """(B, K, 3) the keypoints as the picture corrects them."""
        return self.model.look(self.image, self._given)[0]

    def select(self) -> Bodies:
        """Stage 1."""
        return self.model.selector(self.keypoints2d)

    def refine(self, candidates: Bodies) -> Bodies:
        """Stage 2."""
        return self.model.refiner(self.image, candidates, self.keypoints2d)

    def fit(self) -> Bodies:
        """The fit onto the keypoints, of a model that has one."""
        return self.model.fit(self.refined, self.keypoints2d)

    def score(self) -> Tensor:
        """(B, N) stage 3, of a model that has one."""
        return self.model.cen(self.image, self.bodies, *self._seen)
