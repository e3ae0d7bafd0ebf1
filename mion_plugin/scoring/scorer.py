"""Scores of any method's bodies by the third stage and by the 2D keypoints, as ``mion.MION`` scores its own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.consistency import DepthConsistency
from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.evaluation.choice.rules import combined_scores, fit_loss_of_points, reprojection_error
from mion_plugin.geometry.precision import full_precision
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.cropping import CropPlace, place_crop
from mion_plugin.samples import input_keypoints
from mion_plugin.scoring.hypotheses import Hypotheses
from mion_plugin.scoring.people import COCO
from mion_plugin.scoring.placing import (
    PlacedBodies,
    PosedBodies,
    join_placed,
    place_before_crop,
    place_by_keypoints,
    pose_bodies,
)

RULES = ("cen", "reprojection", "cen+reprojection")
_AT_ONCE = 16  # bodies that a third stage which renders them looks at; bounds the memory


@dataclass(frozen=True)
class ScoredBodies:
    """N bodies of one person and how they score; arrays are float32.

    Attributes:
        scores: Rule -> (N,), the lowest is best: ``cen`` in body heights, ``reprojection`` as a share of the crop's
            side, ``cen+reprojection`` their weighted sum.
        expected_error: (N,) MPJPE in millimetres that a calibrated stage 3 expects; or None.
        placing_error: (N,) pixels of the crop; see ``PlacedBodies``.
        vertices: (N, V, 3) metres before the crop's camera.
        crop: Where the crop lies in the photograph.
        focal_length: Of the crop's camera, in pixels of a crop of ``image_size``.
        image_size: Pixels, side of the crop as the network sees it.
    """

    scores: dict[str, np.ndarray]
    expected_error: np.ndarray | None
    placing_error: np.ndarray
    vertices: np.ndarray
    crop: CropPlace
    focal_length: float
    image_size: int

    @property
    def reprojection_rms(self) -> np.ndarray:
        """(N,) distance of the bodies' keypoints from the 2D keypoints, root mean square in pixels of the crop."""
        return self.scores["reprojection"] * self.image_size

    def ranking(self, rule: str) -> list[int]:
        """The bodies from the best to the worst by a rule, the first of equals first."""
        return np.argsort(self.scores[rule], kind="stable").tolist()


class BodyScorer:
    """Scores bodies of any method.

    Args:
        inferencer: Whose model has a third stage.
        body: What the bodies are of; None for the model's own. A third stage that renders bodies needs its own; one
            that reads depths (``mion.DepthConsistency``) takes any.
        wanted: Keypoint conventions that posed bodies shall have beside those that scores need.

    Raises:
        ValueError: The model has no third stage, or one that needs another body.
    """

    def __init__(self, inferencer: MIONInferencer, body: SMPLBody | None = None, wanted: tuple[str, ...] = ()) -> None:
        self.inferencer, self.model = inferencer, inferencer.model
        self.cen: nn.Module = getattr(self.model, "cen", None)  # type: ignore[assignment]
        if self.cen is None:
            raise ValueError("the model has no third stage (cen), which scores bodies")
        own = self.model.body
        self.reads_points = isinstance(self.cen, DepthConsistency)
        if body is not None and not self.reads_points:
            own.fingerprint.check(
                body.fingerprint,
                f"the bodies are of {body.arrays.name}, the model's of {own.arrays.name}",
                "Name a config whose body model is theirs",
            )
        self.body = copy.deepcopy(own if body is None else body).cpu()
        read = self.cen.reader.convention if self.reads_points else COCO  # type: ignore[union-attr]
        self.conventions = tuple(dict.fromkeys((COCO, self.model.keypoints2d_convention, read, *wanted)))

    def pose(self, bodies: Hypotheses, row: int, image: np.ndarray) -> PosedBodies:
        """The bodies of one row of a file; ``image`` (H, W, 3) is its photograph. Errors as ``pose_bodies``."""
        return pose_bodies(bodies, row, self.body, self.conventions, image.shape[:2])  # type: ignore[arg-type]

    @torch.no_grad()
    def score(self, image: np.ndarray, name: str, person: CocoPerson, posed: list[PosedBodies]) -> ScoredBodies:
        """Score one person's bodies.

        Args:
            image: (H, W, 3) uint8 RGB, the photograph.
            name: What to call it.
            person: Whose bodies they are: 2D keypoints.
            posed: Of one or several files, together N bodies.

        Raises:
            ValueError: Nothing to crop by, or a body that cannot be placed.
        """
        place = place_crop(person, self.inferencer.box, self.inferencer.box_scale)
        inputs, keypoints2d = self._crop(image, name, person, place)
        keypoints2d, *seen = self.model.look(inputs, keypoints2d)
        placed = join_placed([self._place(one, place, keypoints2d[0]) for one in posed])
        scores = self._scores(inputs, placed, keypoints2d, seen)
        unit = self.inferencer.score_unit
        return ScoredBodies(
            scores={rule: _array(value[0]) for rule, value in scores.items()},
            expected_error=None if unit is None else _array(scores["cen"][0]) * np.float32(unit),
            placing_error=_array(placed.error),
            vertices=_array(placed.placed_vertices()),
            crop=place,
            focal_length=self.model.camera.focal_length,
            image_size=int(self.model.camera.image_size),
        )

    def _crop(self, image: np.ndarray, name: str, person: CocoPerson, place: CropPlace) -> tuple[Tensor, Tensor]:
        """The normalised crop (1, 3, H, W), and keypoints (1, K, 3) in pixels of it."""
        meta = {"image_index": 0, "image_name": name, "person": 0, "sample_idx": 0}
        packed = self.inferencer.pack(self.inferencer.cropper({"img": image, "known": person, "place": place, **meta}))
        data = self.model.data_preprocessor(pseudo_collate([packed]), False)
        inputs = torch.stack(list(data["inputs"]))
        return inputs, input_keypoints(data["data_samples"], self.model.keypoints2d_convention, inputs.device)

    def _place(self, bodies: PosedBodies, place: CropPlace, keypoints2d: Tensor) -> PlacedBodies:
        if bodies.camera is not None:
            return place_before_crop(bodies, place, self.model.camera)
        return place_by_keypoints(
            bodies, keypoints2d.cpu().numpy(), self.model.keypoints2d_convention, self.model.camera
        )

    def _scores(
        self, inputs: Tensor, placed: PlacedBodies, keypoints2d: Tensor, seen: Sequence[Any]
    ) -> dict[str, Tensor]:
        """Rule -> (1, N)."""
        transl = placed.transl[None].to(inputs)
        if self.reads_points:
            points = placed.keypoints[self.cen.reader.convention]  # type: ignore[union-attr,index]
            cen = self.cen.point_scores(inputs, points[None].to(inputs), transl, *seen)  # type: ignore[operator]
        else:
            cen = self._scores_of_vertices(inputs, placed.placed_vertices())
        with full_precision(inputs):
            points = placed.keypoints[self.model.keypoints2d_convention][None].to(inputs) + transl[..., None, :]
            fit_loss = fit_loss_of_points(points, keypoints2d, self.model.camera)
            reprojection = reprojection_error(fit_loss, keypoints2d, self.model.camera.image_size)
            both = combined_scores(cen.float(), reprojection, self.model.reprojection_weight)
        return {"cen": cen.float(), "reprojection": reprojection, "cen+reprojection": both}

    def _scores_of_vertices(self, inputs: Tensor, vertices: Tensor) -> Tensor:
        """(1, N) of a third stage that takes meshes, as ``mion.CEN``."""
        parts = [self.cen(inputs, part[None].to(inputs)) for part in vertices.split(_AT_ONCE)]
        return torch.cat(parts, dim=1)


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().float().numpy()
