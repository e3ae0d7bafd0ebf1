"""Stage 1 over a part of the pool, for trainings that draw samples faster than the whole pool is searched."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.selector import Candidates, CandidateSelector
from mion_plugin.candidates.splits import open_pool, take_poses
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.registry import MODELS


@MODELS.register_module()
class PartialSelector(nn.Module):
    """Searches one part of a pool in each call, another at random each time; otherwise a ``CandidateSelector``.

    Its candidates are a little worse than those of the whole pool, and other ones each time.

    Args:
        parts: How many parts the poses are dealt into.
        pool: As ``CandidateSelector``.
        pool_split: As ``CandidateSelector``.
        **options: Further arguments of ``CandidateSelector``.

    Raises:
        ValueError: More parts than poses, or what ``CandidateSelector`` raises.
    """

    def __init__(self, parts: int, pool: Any = None, pool_split: str = "all", **options: Any) -> None:
        super().__init__()
        whole = open_pool(pool, pool_split)
        if not 1 <= parts <= len(whole.body_pose):
            raise ValueError(f"parts is {parts}, expected 1 to {len(whole.body_pose)}, the poses of the pool")
        dealt = (take_poses(whole, slice(part, None, parts)) for part in range(parts))
        self.parts = nn.ModuleList(CandidateSelector(pool=part, **options) for part in dealt)

    @property
    def camera(self) -> CropCamera:
        """The camera of the crops whose keypoints come."""
        return self._first.camera

    @property
    def keypoints2d_convention(self) -> str:
        """Order of the keypoints that come."""
        return self._first.keypoints2d_convention

    @property
    def num_candidates(self) -> int:
        """N."""
        return self._first.num_candidates

    def keep(self, num_candidates: int) -> None:
        """See ``CandidateSelector.keep``."""
        for part in reversed(self.parts):  # the last is the smallest: if it cannot, none is changed
            assert isinstance(part, CandidateSelector)
            part.keep(num_candidates)

    def check_body(self, body: SMPLBody, owner: str) -> None:
        """See ``CandidateSelector.check_body``."""
        self._first.check_body(body, owner)

    def forward(self, keypoints2d: Tensor) -> Candidates:
        """As ``CandidateSelector``, of a part drawn by torch's generator; ``index`` is within that part."""
        return self.parts[int(torch.randint(len(self.parts), ()))](keypoints2d)

    @property
    def _first(self) -> CandidateSelector:
        first = self.parts[0]
        assert isinstance(first, CandidateSelector)
        return first
