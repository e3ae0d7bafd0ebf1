"""N bodies for each of B images: what stage 1 selects, stage 2 refines and stage 3 scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from mion_plugin.body.arrays import NUM_BETAS
from mion_plugin.body.smpl import BodyOutput, SMPLBody
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.rotations import rotvec_to_rotmat

_Bodies = TypeVar("_Bodies", bound="Bodies")
_ROTMAT_DIMS = 5  # of (B, N, 24, 3, 3)


@dataclass(frozen=True)
class Bodies:
    """N bodies for each of B images, in the camera frame of the crop (x right, y down, z into the scene).

    Attributes:
        pose: (B, N, 24, 3) axis-angle in radians or (B, N, 24, 3, 3) rotation matrices, as ``SMPLBody`` takes; index 0
            is the global orientation. See ``rotations``.
        betas: (B, N, 10) shape.
        transl: (B, N, 3) metres.
        fit_loss: (B, N) squared pixels between projected and given 2D keypoints, weighted by confidence and summed;
            infinite where unknown. None where nothing was measured.
        valid: (B,) bool, False where the keypoints determine no candidate, so that the bodies mean nothing; default:
            all are.
        pncc: (B, N, 3, h, w) their PNCC images, or None where none were rendered.
    """

    pose: Tensor
    betas: Tensor
    transl: Tensor
    fit_loss: Tensor | None = None
    valid: Tensor = None  # type: ignore[assignment]
    pncc: Tensor | None = None
    # Skinning is the dearest step without a network; stage 3, the files and the pictures all want the same vertices.
    _posed: list[tuple[SMPLBody, BodyOutput]] = field(default_factory=list, init=False, repr=False, compare=False)
    # the rules, stage 3 and the result want the same keypoints
    _points: dict[tuple[SMPLBody, str], Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    PER_IMAGE: ClassVar[tuple[str, ...]] = ("valid",)  # fields (B,); all others are (B, N, ...)

    def __post_init__(self) -> None:
        if self.valid is None:
            # by shape, not by len(), which torch.export would take for a constant
            everyone = self.transl.new_ones(self.transl.shape[:1], dtype=torch.bool)
            object.__setattr__(self, "valid", everyone)

    @classmethod
    def with_mean_shape(cls: type[_Bodies], pose: Tensor, transl: Tensor, **known: Any) -> _Bodies:
        """Bodies whose betas are zero."""
        return cls(pose=pose, betas=transl.new_zeros(*transl.shape[:2], NUM_BETAS), transl=transl, **known)

    @classmethod
    def join(cls, parts: Sequence[Bodies]) -> Bodies:
        """All bodies of each image, in order; of the further fields those that every part has."""
        joined: dict[str, Any] = {}
        for name in cls._names():
            values = [getattr(part, name) for part in parts]
            if all(value is not None for value in values):
                joined[name] = values[0] if name in cls.PER_IMAGE else torch.cat(values, dim=1)
        return cls(**joined)

    @property
    def rotations(self) -> Tensor:
        """(B, N, 24, 3, 3) rotation matrices of ``pose``."""
        return self.pose if self.pose.dim() == _ROTMAT_DIMS else rotvec_to_rotmat(self.pose)

    def take(self: _Bodies, columns: slice | Tensor) -> _Bodies:
        """Some bodies of every image: a slice of the N, or their numbers (B, n)."""
        index = columns if isinstance(columns, slice) else columns.to(self.transl.device)
        rows = slice(None) if isinstance(index, slice) else torch.arange(len(index), device=index.device)[:, None]
        taken = {}
        for name in self._names():
            value = getattr(self, name)
            taken[name] = value if value is None or name in self.PER_IMAGE else value[rows, index]
        return type(self)(**taken)

    def measured(self, fit_loss: Tensor) -> Bodies:
        """The same bodies with a fit loss (B, N); what was posed stays so."""
        bodies = replace(self, fit_loss=fit_loss)
        bodies._posed.extend(self._posed)
        bodies._points.update(self._points)
        return bodies

    def posed(self, body: SMPLBody) -> BodyOutput:
        """Vertices (B, N, V, 3) and joints (B, N, 24, 3) in metres, before translation; each body is skinned once.

        At 45 m before the camera single precision is left with micrometres, so ``transl`` is not added here.
        """
        for model, posed in self._posed:
            if model is body:
                return posed
        with full_precision(self.transl):
            posed = body(self.pose, self.betas)
        # of a body that learns, what was skinned without gradient must not stand in for what is asked with one
        if not (self.pose.requires_grad or self.betas.requires_grad):
            self._posed[:] = [(body, posed)]
        return posed

    def keypoints(self, body: SMPLBody, convention: str) -> Tensor:
        """Keypoints (B, N, K, 3) in metres, before translation, float32; each body is posed once.

        As ``posed``, without ``transl``; those of a body that learns are not kept.
        """
        if (body, convention) in self._points:
            return self._points[body, convention]
        with full_precision(self.transl):
            points = body.pose_keypoints(self.pose.float(), self.betas.float(), convention=convention)
        if not (self.pose.requires_grad or self.betas.requires_grad):  # as in ``posed``
            self._points[body, convention] = points
        return points

    def is_posed(self, body: SMPLBody) -> bool:
        """Whether ``posed`` would skin nothing."""
        return any(model is body for model, _ in self._posed)

    def placed_vertices(self, body: SMPLBody) -> Tensor:
        """Vertices (B, N, V, 3) in the camera frame, translation included."""
        return self.posed(body).vertices + self.transl[..., None, :]

    @classmethod
    def _names(cls) -> list[str]:
        return [entry.name for entry in fields(cls) if entry.init]
