"""Parts of a model: given as a config, or as what would be built from it; and whether they suit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.registry import MODELS

Part = Mapping[str, Any] | nn.Module


def build_part(part: Part | None, **defaults: Any) -> Any:
    """The part itself, or what its config, completed by the defaults, describes; None describes the defaults alone."""
    return part if isinstance(part, nn.Module) else MODELS.build({**defaults, **(part or {})})


def build_at_camera(part: Part | None, camera: CropCamera, **defaults: Any) -> Any:
    """A part with the camera of the model that it is a part of, where its config names none; None for None."""
    if part is None:
        return None
    return build_part(part, focal_length=camera.focal_length, image_size=camera.image_size, **defaults)


def check_parts(**parts: Any) -> None:
    """Check that parts which share crops have one camera, one body and one order of the 2D keypoints.

    The last part is what the others are held to; the order of keypoints is that of the last that reads any. A part that
    tells no ``camera``, ``body`` or ``keypoints2d_convention`` is not asked for it. Stage 1 has no body of its own but
    a pool of keypoints, which must be those of the others' body (``CandidateSelector.check_body``).

    Args:
        parts: Name -> part, or None where there is none.

    Raises:
        ValueError: Two parts differ; the message names both.
    """
    known = {name: part for name, part in parts.items() if part is not None}
    if not known:
        return
    last, reference = list(known.items())[-1]
    read = {name: part for name, part in known.items() if getattr(part, "keypoints2d_convention", None) is not None}
    for name, part in known.items():
        _check_camera(name, getattr(part, "camera", None), last, getattr(reference, "camera", None))
        if name in read:
            _check_convention(name, part, *list(read.items())[-1])
        body = getattr(reference, "body", None)
        if body is not None and hasattr(part, "check_body"):
            part.check_body(body, last)
        elif body is not None:
            _check_body(name, getattr(part, "body", None), last, body)


def _check_camera(name: str, own: CropCamera | None, last: str, camera: CropCamera | None) -> None:
    if own is None or camera is None:
        return
    if (own.focal_length, own.image_size) != (camera.focal_length, camera.image_size):
        raise ValueError(
            f"the {name}'s camera has focal_length {own.focal_length} and image_size {own.image_size}, the {last}'s "
            f"{camera.focal_length} and {camera.image_size}"
        )


def _check_convention(name: str, part: Any, last: str, reference: Any) -> None:
    own, other = part.keypoints2d_convention, reference.keypoints2d_convention
    if own != other:
        raise ValueError(f"the {name} reads 2D keypoints in {own!r}, the {last} in {other!r}: give both one convention")


def _check_body(name: str, own: SMPLBody | None, last: str, body: SMPLBody) -> None:
    if own is None or own.arrays is body.arrays:
        return
    own.fingerprint.check(
        body.fingerprint,
        f"the {name}'s body is {own.arrays.name}, the {last}'s {body.arrays.name}",
        "Give both the same body model",
    )


__all__ = ["Part", "build_at_camera", "build_part", "check_parts"]
