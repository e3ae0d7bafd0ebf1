"""2D keypoints for mmhuman3d's inference API, which passes boxes alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmhuman3d.utils.demo_utils import box2cs, xyxy2xywh

from mion_plugin.geometry.keypoints import convert_keypoints, keypoint_names
from mion_plugin.hosts.mmhuman3d.batches import KEYPOINTS2D_CONVENTION

FORMATS = ("xywh", "xyxy")
_STEP = "PersonKeypoints"
_BOX_SCALE = 1.25  # inference_image_based_model's
_SAME = 1e-2  # px


class PersonKeypoints:
    """Adds ``keypoints2d_input`` (54, 3), crop pixels and confidence, for ``Collect`` to put among the metas.

    A step of ``inference_pipeline``, behind ``MeshAffine``. The person is found by the box.

    Args:
        people: What ``inference_image_based_model`` takes and mmpose 0.x returns: for each person a dict of ``bbox``
            and ``keypoints`` (K, 3), pixels of the picture and confidence. ``use_keypoints`` fills it in.
        convention: Of the keypoints.
        format: Of the boxes, ``xywh`` or ``xyxy``.

    Raises:
        ValueError: An unknown format, or keypoints of another number than the convention's.
    """

    def __init__(
        self, people: Sequence[Mapping[str, Any]] | None = None, convention: str = "coco", format: str = "xywh"
    ) -> None:
        if format not in FORMATS:
            raise ValueError(f"format is {format!r}, expected one of {', '.join(FORMATS)}")
        self.places = None if people is None else [_place(person["bbox"], format) for person in people]
        self.keypoints2d = [_keypoints(person, convention) for person in people or ()]

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``keypoints2d_input``.

        Raises:
            KeyError: The sample was not cropped.
            ValueError: There are no people, or none with the box that the sample has.
        """
        if "crop_transform" not in results:
            raise KeyError(f"{_STEP} needs crop_transform in the sample: put MeshAffine before")
        transform = results["crop_transform"]
        keypoints2d = self._find(results).copy()
        keypoints2d[:, :2] = keypoints2d[:, :2] @ transform[:, :2].T + transform[:, 2]
        keypoints2d[keypoints2d[:, 2] <= 0] = 0
        results["keypoints2d_input"] = keypoints2d.astype(np.float32)
        return results

    def _find(self, results: Mapping[str, Any]) -> np.ndarray:
        """(54, 3) of the person whose box the sample has."""
        if self.places is None:
            raise ValueError(
                "MION starts from 2D keypoints: give those of the people in the picture by "
                "mion_plugin.hosts.mmhuman3d.inference.use_keypoints(model, people), or use "
                "mion_plugin.inference.MIONInferencer, which finds them"
            )
        wanted = np.array([*results["center"], results["scale"][0]])
        for place, keypoints2d in zip(self.places, self.keypoints2d, strict=True):
            if np.abs(place - wanted).max() < _SAME:
                return keypoints2d
        raise ValueError(
            f"none of the {len(self.places)} people has a box around {wanted[:2].tolist()} of side "
            f"{wanted[2] / _BOX_SCALE:.1f} px: give use_keypoints the people and the format of "
            "inference_image_based_model"
        )


def use_keypoints(
    model: Any, people: Sequence[Mapping[str, Any]], convention: str = "coco", format: str = "xywh"
) -> None:
    """Let the next calls of ``inference_image_based_model`` with ``model`` start from these keypoints.

    Args:
        model: Of ``init_model``, with its ``cfg``.
        people: The ``det_results`` of that call, with ``keypoints`` (K, 3) beside ``bbox``.
        convention: Of the keypoints.
        format: As of that call.

    Raises:
        ValueError: The model's ``inference_pipeline`` has no step ``PersonKeypoints``; or as there.
    """
    pipeline = model.cfg.get("inference_pipeline", ())
    steps = [step for step in _all_steps(pipeline) if str(step["type"]).removeprefix("mion.") == _STEP]
    if not steps:
        raise ValueError(f"the config's inference_pipeline has no step {_STEP}: put it behind MeshAffine")
    given: dict[str, Any] = {"people": list(people), "convention": convention, "format": format}
    PersonKeypoints(**given)  # raises for what does not suit
    for step in steps:
        step.update(given)


def _all_steps(pipeline: Iterable[Any]) -> Iterator[Any]:
    """The steps of a pipeline, and of those that it composes."""
    for step in pipeline:
        yield step
        yield from _all_steps(step.get("transforms", ()))


def _place(bbox: Any, format: str) -> np.ndarray:
    """Centre and scale as ``inference_image_based_model`` computes them: (3,)."""
    box = np.asarray(bbox, dtype=np.float64)[None, :4]
    center, scale = box2cs(xyxy2xywh(box) if format == "xyxy" else box, 1.0, bbox_scale_factor=_BOX_SCALE)
    return np.array([*center[0], scale[0, 0]])


def _keypoints(person: Mapping[str, Any], convention: str) -> np.ndarray:
    keypoints2d = np.asarray(person["keypoints"], dtype=np.float64)
    expected = (len(keypoint_names(convention)), 3)
    if keypoints2d.shape != expected:
        raise ValueError(f"keypoints have shape {keypoints2d.shape}, expected {expected} for convention {convention!r}")
    return convert_keypoints(keypoints2d, convention, KEYPOINTS2D_CONVENTION)[0]
