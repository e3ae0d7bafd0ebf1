"""The candidates that the transformer refines: selected from 2D keypoints, or brought by the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.arrays import NUM_JOINTS
from mion_plugin.candidates import CandidateSelector
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.parts import Part, build_part
from mion_plugin.refinement.samples import input_keypoints, name_of


@dataclass(frozen=True)
class Candidates:
    """N candidates for each of B images.

    Attributes:
        pose: (B, N, 24, 3) axis-angle.
        transl: (B, N, 3) metres, in front of the camera.
        fit_loss: (B, N) squared pixels; infinite where unknown.
        valid: (B,) bool, False where the keypoints determine no candidate.
        pncc: (B, N, 3, h, w), or None to render them.
    """

    pose: Tensor
    transl: Tensor
    fit_loss: Tensor
    valid: Tensor
    pncc: Tensor | None = None


def build_selector(selector: Part, camera: CropCamera, owner: str) -> CandidateSelector:
    """Stage 1 as a part of something with a camera, which it takes over where its config names none.

    Raises:
        ValueError: The selector's camera is another than its owner's.
    """
    built: CandidateSelector = build_part(selector, focal_length=camera.focal_length, image_size=camera.image_size)
    if (built.focal_length, built.image_size) != (camera.focal_length, camera.image_size):
        raise ValueError(
            f"the selector's camera has focal_length {built.focal_length} and image_size {built.image_size}, the "
            f"{owner}'s {camera.focal_length} and {camera.image_size}"
        )
    return built


def select_candidates(
    selector: CandidateSelector, samples: Sequence[BaseDataElement], device: torch.device
) -> Candidates:
    """Stage 1 for B samples; see ``input_keypoints`` for what it reads."""
    selection = selector(input_keypoints(samples, selector.convention, device))
    return Candidates(selection.pose, selection.transl, selection.fit_loss, selection.valid)


def brought_candidates(samples: Sequence[BaseDataElement], device: torch.device) -> Candidates:
    """Candidates that the data bring as ``sample.candidates``.

    Those hold ``pose`` (N, 24, 3) axis-angle and ``transl`` (N, 3), and may hold ``fit_loss`` (N,), ``valid`` () and
    ``pncc`` (N, 3, h, w). All samples of a batch hold the same.

    Raises:
        ValueError: A sample holds no candidates or others than the rest of the batch, or a shape or value is wrong.
    """
    for sample in samples:
        _check(sample, samples[0])
    given = samples[0].candidates.keys()
    pose, transl = _stack(samples, "pose", device), _stack(samples, "transl", device)
    return Candidates(
        pose,
        transl,
        fit_loss=_stack(samples, "fit_loss", device)
        if "fit_loss" in given
        else torch.full_like(transl[..., 0], torch.inf),
        valid=_stack(samples, "valid", device) != 0 if "valid" in given else transl.new_ones(len(samples)) != 0,
        pncc=_stack(samples, "pncc", device) if "pncc" in given else None,
    )


def draw_candidates(candidates: Candidates, count: int, generator: torch.Generator | None = None) -> Candidates:
    """``count`` different candidates of each image at random.

    Args:
        candidates: N of each image.
        count: At most N.
        generator: A CPU generator, so that every device draws the same; None for torch's global one.

    Raises:
        ValueError: There are fewer than ``count``.
    """
    batch, available = candidates.transl.shape[:2]
    if count > available:
        raise ValueError(f"train_candidates is {count}, but each image has {available} candidates")
    if count == available:
        return candidates
    order = torch.rand(batch, available, generator=generator).argsort(dim=1)[:, :count].to(candidates.transl.device)
    rows = torch.arange(batch, device=order.device)[:, None]
    drawn = {}
    for field in fields(Candidates):
        value = getattr(candidates, field.name)
        drawn[field.name] = value if value is None or field.name == "valid" else value[rows, order]
    return Candidates(**drawn)


def _check(sample: BaseDataElement, first: BaseDataElement) -> None:
    own = sample.get("candidates")
    if own is None or "pose" not in own or "transl" not in own:
        raise ValueError(
            f"{name_of(sample)}: the model has no selector and the sample no candidates with pose and transl"
        )
    if set(own.keys()) != set(first.candidates.keys()):
        raise ValueError(
            f"{name_of(sample)}: candidates hold {', '.join(sorted(own.keys()))}, those of {name_of(first)} "
            f"{', '.join(sorted(first.candidates.keys()))}"
        )
    count = len(first.candidates.pose)
    for name, shape in {"pose": (count, NUM_JOINTS, 3), "transl": (count, 3)}.items():
        value = own.get(name)
        if tuple(value.shape) != shape:
            raise ValueError(f"{name_of(sample)}: candidates.{name} has shape {tuple(value.shape)}, expected {shape}")
        if not torch.isfinite(value).all():
            raise ValueError(f"{name_of(sample)}: candidates.{name} holds NaN or infinite values")
    if not (own.transl[:, 2] > 0).all():
        raise ValueError(f"{name_of(sample)}: candidates.transl has bodies behind the camera")


def _stack(samples: Sequence[BaseDataElement], name: str, device: torch.device) -> Tensor:
    values = [torch.as_tensor(sample.candidates.get(name)) for sample in samples]
    return torch.stack([value.to(device, torch.float32) for value in values])
