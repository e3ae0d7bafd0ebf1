"""Keypoints by name: converting between conventions, flipping left and right."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import numpy as np
import torch

from mion_plugin.geometry.conventions import CONVENTIONS
from mion_plugin.near_names import nearest

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def keypoint_names(convention: str) -> tuple[str, ...]:
    """The joint names of ``convention``, in order.

    Raises:
        ValueError: Unknown convention; the message names the nearest.
    """
    try:
        return CONVENTIONS[convention]
    except KeyError:
        known = nearest(convention, sorted(CONVENTIONS))
        raise ValueError(f"unknown keypoint convention {convention!r}, expected one of: {known}") from None


@cache
def keypoint_mapping(src: str, dst: str, approximate: bool = False) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the joints of ``dst`` stand in ``src``.

    Args:
        src: Convention converted from.
        dst: Convention converted to.
        approximate: Let a joint detected in OpenPose's manner (``left_hip_openpose``) stand for the body model's joint
            of that name (``left_hip``) and the other way round, as mmhuman3d's ``approximate=True`` does first.

    Returns:
        ``(dst_index, src_index)``, two tuples of equal length; joints that ``src`` lacks are left out.
    """
    src_position = {name: index for index, name in enumerate(keypoint_names(src))}
    pairs = []
    for dst_index, name in enumerate(keypoint_names(dst)):
        candidates = [name]
        if approximate:
            candidates += [name.removesuffix("_openpose"), f"{name}_openpose"]
        found = next((src_position[candidate] for candidate in candidates if candidate in src_position), None)
        if found is not None:
            pairs.append((dst_index, found))
    return tuple(d for d, _ in pairs), tuple(s for _, s in pairs)


def convert_keypoints(keypoints: Array, src: str, dst: str, approximate: bool = False) -> tuple[Array, Array]:
    """Reorder keypoints from one convention to another by joint name.

    Equals mmhuman3d's ``convert_kps`` for exact names; any number of leading dimensions.

    Args:
        keypoints: (..., K_src, C) array or tensor.
        src: Convention of ``keypoints``.
        dst: Convention wanted.
        approximate: See ``keypoint_mapping``.

    Returns:
        ``(converted, mask)``: (..., K_dst, C) with zeros where ``src`` lacks the joint, and (K_dst,) bool, True where
        the joint is present.

    Raises:
        ValueError: Unknown convention, or K_src is not the number of joints of ``src``.
    """
    num_src = len(keypoint_names(src))
    if keypoints.ndim < 2 or keypoints.shape[-2] != num_src:
        raise ValueError(
            f"keypoints have shape {tuple(keypoints.shape)}, expected (..., {num_src}, C) for convention {src!r}"
        )
    dst_index, src_index = (list(index) for index in keypoint_mapping(src, dst, approximate))
    shape = (*keypoints.shape[:-2], len(keypoint_names(dst)), keypoints.shape[-1])
    if isinstance(keypoints, torch.Tensor):
        converted = keypoints.new_zeros(shape)
        mask = torch.zeros(shape[-2], dtype=torch.bool, device=keypoints.device)
    else:
        converted = np.zeros(shape, dtype=keypoints.dtype)
        mask = np.zeros(shape[-2], dtype=bool)
    converted[..., dst_index, :] = keypoints[..., src_index, :]
    mask[dst_index] = True
    return converted, mask


def is_present(keypoints2d: torch.Tensor) -> torch.Tensor:
    """Which (..., K) of the keypoints (..., K, 3), x, y and confidence, are there: finite, of a confidence above 0."""
    return keypoints2d.isfinite().all(dim=-1) & (keypoints2d[..., 2] > 0)


def as_written(keypoints2d: np.ndarray) -> np.ndarray:
    """Keypoints (..., 3) as files of results tell them, to 1e-5 pixels, in double precision; again changes nothing.

    What follows people through a video keeps them so, and goes on from a file as from what it saw itself.
    """
    return np.round(np.asarray(keypoints2d, np.float64), 5)


def mirrored_name(name: str) -> str:
    """The joint on the other side of the body; a central joint is its own mirror image."""
    for side, other in (("left_", "right_"), ("right_", "left_")):
        if name.startswith(side):
            return other + name.removeprefix(side)
    return name


@cache
def flip_permutation(convention: str) -> tuple[int, ...]:
    """Index of the mirrored joint for every joint of ``convention``; applying it twice changes nothing.

    A joint whose mirror image the convention lacks maps to itself.
    """
    names = keypoint_names(convention)
    position = {name: index for index, name in enumerate(names)}
    return tuple(position.get(mirrored_name(name), index) for index, name in enumerate(names))
