"""Steadier bodies in videos: each person's body by one-euro filters, forward in time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.constants import SMOOTH_BETA, SMOOTH_MIN_CUTOFF
from mion_plugin.inference.image_camera import fit_to_camera
from mion_plugin.inference.one_euro import OneEuro, RotationFilter, VectorFilter
from mion_plugin.inference.results import PersonBodies

_SHAPE = OneEuro(min_cutoff=0.1)  # nobody's shape changes; what is left of its changes is noise
# Shares of beta, in Hz per metre a second, for where a body is. Where in the picture it is, seventeen keypoints tell,
# and a lag shows at once; how deep, its size alone. Tried on people of the training recordings with a detector's
# errors, see ``docs/results.md``.
_ACROSS, _IN_DEPTH = 3.0, 1.0 / 3.0


class _PlaceFilter:
    """A body's place before the image's camera: its depth, and where in the picture it is at that depth.

    Args:
        settings: Of rotations.
    """

    def __init__(self, settings: OneEuro) -> None:
        across, depth = (dataclasses.replace(settings, beta=share * settings.beta) for share in (_ACROSS, _IN_DEPTH))
        self._across, self._depth = VectorFilter(across), VectorFilter(depth)

    def __call__(self, transl: np.ndarray, seconds: float) -> np.ndarray:
        """(1, 3) metres, z positive, ``seconds`` after the last."""
        depth = self._depth(transl[:, 2:], seconds)
        return np.concatenate([self._across(transl[:, :2] * (depth / transl[:, 2:]), seconds), depth], axis=1)


@dataclass
class _Filters:
    """Of one person."""

    pose: RotationFilter
    transl: _PlaceFilter
    betas: VectorFilter
    frame: int
    time: float

    def __call__(self, body: PersonBodies, seconds: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotations (1, 24, 3, 3), betas (1, 10) and translation (1, 3) before the image's camera, filtered."""
        pose, betas = self.pose(body.pose, seconds), self.betas(body.betas, seconds)
        transl = self.transl(body.image_transl, seconds)
        return torch.from_numpy(pose).float(), torch.from_numpy(betas).float(), torch.from_numpy(transl).float()


class BodySmoother:
    """One-euro filtering of the chosen body (``one_euro.py``), forward in time.

    Filtered are the rotations, each joint's by itself on SO(3); betas; and the translation before the image's camera,
    the one frame that all frames share, across the picture and in depth. The translation before the crop's camera is
    fitted anew to that, since the crop moves from frame to frame.

    Args:
        body: The body model.
        min_cutoff: Hz, at rest; lower is steadier.
        beta: Hz per radian a second; higher lags less. Of a translation thrice that per metre a second across the
            picture, a third in depth.
        max_gap: Frames after which someone's last body is forgotten.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, body: SMPLBody, min_cutoff: float = SMOOTH_MIN_CUTOFF, beta: float = SMOOTH_BETA, max_gap: int = 15
    ) -> None:
        if max_gap < 1:
            raise ValueError(f"max_gap is {max_gap}, expected at least 1")
        self.settings = OneEuro(min_cutoff, beta)
        self.body, self.max_gap = body, max_gap
        self._people: dict[int, _Filters] = {}

    @torch.no_grad()
    def __call__(self, person: PersonBodies, frame: int, time: float) -> PersonBodies:
        """The person with one body, the chosen one smoothed; ``person.person`` tells who it is.

        What the networks said of the chosen path (scores, fit loss) stays as it was; keypoints, too.

        Args:
            person: Of a frame later than the last.
            frame: Its index.
            time: Its time in seconds; a frame of the last one's time is left as it is.
        """
        chosen = person.only_selected()
        if not (chosen.valid and np.isfinite(chosen.image_error).all()):  # or nowhere before the image's camera
            return chosen
        filters = self._people.get(person.person)
        if filters is None or frame - filters.frame > self.max_gap:
            earlier = time - 1.0  # any time: the first body stays as it is
            filters = _Filters(
                RotationFilter(self.settings), _PlaceFilter(self.settings), VectorFilter(_SHAPE), frame, earlier
            )
            self._people[person.person] = filters
        seconds = time - filters.time
        filters.frame = frame
        if seconds <= 0:
            return chosen
        filters.time = time
        first = filters.pose.value is None
        filtered = filters(chosen, seconds)
        return chosen if first else self._placed(chosen, *filtered)

    def _placed(
        self, new: PersonBodies, pose: torch.Tensor, betas: torch.Tensor, image_transl: torch.Tensor
    ) -> PersonBodies:
        """The person with another body, placed before both cameras."""
        device = self.body.v_template.device
        at_origin = self.body(pose.to(device), betas.to(device)).vertices.cpu()
        placed = at_origin + image_transl[:, None]
        transl, error = fit_to_camera(placed, image_transl, new.image_camera, new.crop_camera_in_image)
        transl = transl.float()
        return dataclasses.replace(
            new,
            pose=pose.numpy(),
            betas=betas.numpy(),
            transl=transl.numpy(),
            vertices=(at_origin + transl[:, None]).numpy(),
            image_transl=image_transl.numpy(),
            image_error=error.float().numpy(),
        )
