"""Arrays handed over in Python: to the selector, the inferencer, the renderer and the consistency network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.consistency.network import ConsistencyEstimationNetwork
from mion_plugin.datasets.coco import load_coco_people
from mion_plugin.inference import MIONInferencer
from mion_plugin.rendering import PNCCRenderer
from robustness.faults.case import ANYTHING, REFUSED, SAME, Case, SkippedError, WrongResultError, require_finite
from robustness.faults.damage import SOUND
from robustness.faults.seeds import Seeds

_SIZE = 56
Changes = Iterator[tuple[str, str, Any, str]]
"""Kind, name, value and what is expected."""


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    keypoints = load_coco_people(seeds.path("keypoints.json"), "photo.jpg")[0].keypoints2d
    for kind, name, value, expected in _changed_keypoints(keypoints):
        tensor = torch.from_numpy(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" else value
        batch = tensor[None] if isinstance(tensor, torch.Tensor) and tensor.ndim == 2 else tensor
        yield _case("selector", kind, name, batch, _select, expected)
        yield _case("inferencer: keypoints", kind, name, value, functools.partial(_infer, seeds), expected)
    for kind, name, value, expected in _changed_images():
        yield _case("inferencer: image", kind, name, value, functools.partial(_infer_image, keypoints), expected)
    for kind, name, value, expected in _changed_vertices():
        yield _case("renderer", kind, name, value, _render, expected)
        yield _case("consistency network", kind, name, value, _score, expected)


def _case(door: str, kind: str, name: str, value: Any, enter: Callable[[Any], None], expected: str) -> Case:
    mentions = ("keypoints", "vertices", "image", "confidence")
    return Case(door, kind, name, lambda folder: value, lambda given, out: enter(given), expected, mentions)


def _changed_keypoints(sound: np.ndarray) -> Changes:
    def changed(place: Any, value: float) -> np.ndarray:
        result = sound.copy()
        result[place] = value
        return result

    yield SOUND, "nothing is wrong", sound, SAME
    seen = int(np.flatnonzero(sound[:, 2])[0])
    for value in (np.nan, np.inf, -np.inf):
        yield "NaN or infinite", f"x is {value}", changed((seen, 0), value), REFUSED
        yield "NaN or infinite", f"a confidence is {value}", changed((seen, 2), value), REFUSED
        yield "NaN or infinite", f"all is {value}", np.full((17, 3), value), REFUSED
    for value in (1e6, -1e6, 1e30, 1e200, 1e308, 1e-300):
        yield "huge", f"x is {value:g}", changed((seen, 0), value), ANYTHING
        with np.errstate(over="ignore"):
            scaled = sound * [value, value, 1.0]
        yield "huge", f"all coordinates times {value:g}", scaled, ANYTHING
        yield "huge", f"all confidences {value:g}", changed((slice(None), 2), abs(value)), ANYTHING
    yield "wrong type", "a negative confidence", changed((seen, 2), -1.0), ANYTHING
    yield "wrong type", "no confidence", changed((slice(None), 2), 0.0), REFUSED
    yield "wrong type", "all in one point", changed((slice(None), slice(2)), 50.0), REFUSED
    yield "wrong type", "text", np.full((17, 3), "a"), REFUSED
    yield "wrong type", "objects", np.full((17, 3), None), REFUSED
    yield "wrong type", "complex numbers", sound.astype(np.complex128), ANYTHING
    yield "wrong type", "whole numbers", sound.astype(np.int64), ANYTHING
    yield "wrong type", "truth values", sound > 0, ANYTHING
    yield "wrong type", "None", None, REFUSED
    yield "wrong type", "a number", 3.0, REFUSED
    yield "wrong type", "a dict", {"keypoints": sound}, REFUSED
    yield "wrong type", "lists of other lengths", [[1.0, 2.0, 3.0], [1.0]], REFUSED
    for shape in ((16, 3), (18, 3), (17, 2), (17, 4), (17,), (51,), (0, 3), (1, 1, 17, 3), (3, 17)):
        yield "wrong shape", f"{shape}", np.zeros(shape), REFUSED
    yield "wrong order", "y, x, confidence", sound[:, [1, 0, 2]], ANYTHING
    yield "wrong order", "confidence first", sound[:, [2, 0, 1]], ANYTHING
    yield "wrong order", "joints reversed", sound[::-1].copy(), ANYTHING


def _changed_images() -> Changes:
    picture = np.random.default_rng(0).integers(0, 256, (425, 640, 3), dtype=np.uint8)
    yield SOUND, "nothing is wrong", picture, SAME
    yield "wrong type", "floats", picture / 255.0, REFUSED
    yield "wrong type", "16 bits", picture.astype(np.uint16), REFUSED
    yield "wrong type", "None", None, REFUSED
    yield "wrong type", "objects", picture[:2, :2].astype(object), REFUSED
    yield "wrong shape", "grey", picture[..., 0], REFUSED
    yield "wrong shape", "four channels", np.dstack([picture, picture[..., :1]]), REFUSED
    yield "wrong shape", "channels first", picture.transpose(2, 0, 1), REFUSED
    yield "wrong shape", "no rows", picture[:0], REFUSED
    yield "wrong shape", "no columns", picture[:, :0], REFUSED
    yield "odd but legal", "one pixel", picture[:1, :1], ANYTHING
    yield "odd but legal", "mirrored, not contiguous", picture[:, ::-1], ANYTHING
    yield "odd but legal", "read-only", _read_only(picture), ANYTHING


def _read_only(picture: np.ndarray) -> np.ndarray:
    copy = picture.copy()
    copy.setflags(write=False)
    return copy


@functools.cache
def _body() -> SMPLBody:
    return SMPLBody()


def _changed_vertices() -> Changes:
    sound = _body()(torch.tensor([[[torch.pi, 0.0, 0.0]] + [[0.0] * 3] * 23])).vertices + torch.tensor([0.0, 0.0, 45.0])
    yield SOUND, "nothing is wrong", sound, SAME
    for value in (torch.nan, torch.inf, -torch.inf):
        hit = sound.clone()
        hit[0, 100] = value
        yield "NaN or infinite", f"one vertex is {value}", hit, REFUSED
        yield "NaN or infinite", f"all is {value}", torch.full_like(sound, value), REFUSED
    for value in (1e10, 3e38, 1e-30):
        yield "huge", f"times {value:g}", sound * value, ANYTHING
    yield "wrong type", "behind the camera", -sound, ANYTHING
    yield "wrong type", "in the camera's plane", sound * torch.tensor([1.0, 1.0, 0.0]), ANYTHING
    yield "wrong type", "all in one point", torch.zeros_like(sound) + 5.0, ANYTHING
    yield "wrong type", "whole numbers", sound.long(), ANYTHING
    yield "wrong type", "complex numbers", sound.to(torch.complex64), REFUSED
    yield "wrong type", "None", None, REFUSED
    yield "wrong type", "an array", sound.numpy(), REFUSED
    for told, value in (
        ("without a batch", sound[0]),
        ("one vertex less", sound[:, :-1]),
        ("two coordinates", sound[..., :2]),
        ("four axes", sound[None, None]),
        ("axes exchanged", sound.mT),
        ("no vertices", sound[:, :0]),
    ):
        yield "wrong shape", told, value, REFUSED
    yield "wrong shape", "no bodies", sound[:0], ANYTHING
    yield "wrong order", "vertices reversed", sound.flip(1), ANYTHING


@functools.cache
def _selector() -> CandidateSelector:
    return CandidateSelector()


def _select(keypoints2d: Any) -> None:
    """A sample that determines no fit is marked, and holds a sound stand-in."""
    selection = _selector()(keypoints2d)
    require_finite([selection.pose, selection.transl, selection.fit_loss])
    if not selection.valid.all():
        raise SkippedError("marked as not valid")


@functools.cache
def inferencer() -> MIONInferencer:
    """The small model of the package."""
    return MIONInferencer(device="cpu")


def _infer(seeds: Seeds, keypoints2d: Any) -> None:
    _check_people(inferencer()(str(seeds.path("photo.jpg")), keypoints2d=keypoints2d))


def _infer_image(keypoints2d: np.ndarray, image: Any) -> None:
    _check_people(inferencer()(image, keypoints2d=keypoints2d))


def _check_people(result: dict[str, Any]) -> None:
    people = [person for group in result["predictions"] for person in group]
    for person in people:
        require_finite([person.vertices, person.pose, person.transl, person.scores, person.image_transl])
    if not all(person.valid for person in people):
        raise SkippedError("marked as not valid")


def _render(vertices: Any) -> None:
    picture = PNCCRenderer(_SIZE)(vertices)
    require_finite([picture])
    if picture.lt(0).any() or picture.gt(1).any():
        raise WrongResultError("codes outside 0 to 1")


def _score(vertices: Any) -> None:
    torch.manual_seed(0)
    network = ConsistencyEstimationNetwork(
        backbone=dict(type="mion.TorchvisionResNet", depth=18, num_stages=1, in_channels=6),
        renderer=dict(type="mion.PNCCRenderer", size=_SIZE),
        body=_body(),
    ).eval()
    several = vertices[:, None] if isinstance(vertices, torch.Tensor) and vertices.ndim else vertices
    with torch.no_grad():
        batch = len(vertices) if isinstance(vertices, torch.Tensor) and vertices.ndim else 1
        require_finite([network(torch.zeros(batch, 3, _SIZE, _SIZE), several)])


def preload() -> Path:
    """Build the networks once, before processes are forked; the folder of the package's weights."""
    _selector()
    inferencer()
    return Path(__file__)
