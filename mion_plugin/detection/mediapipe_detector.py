"""People by MediaPipe (Bazarevsky et al., BlazePose, 2020): its weights come in its wheel, so it works offline.

MediaPipe's own interface finds one person per image, the one most easily seen. Here its two networks are run apart:
the person detector on the whole image and on overlapping windows of it, where people far away are larger; and the
landmark network once for each person. What two windows saw of one person is merged by object keypoint similarity.
"""

from __future__ import annotations

import functools
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mion_plugin.body.depths import hip_indices
from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.keypoint_similarity import body_area, object_keypoint_similarity
from mion_plugin.detection.mediapipe_places import to_body_depths, to_body_places
from mion_plugin.detection.people import check_image
from mion_plugin.detection.standard_error import lines_held_back
from mion_plugin.geometry.boxes import inside_image

# COCO's 17 among MediaPipe's 33 landmarks: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
_COCO_LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_SEARCH_GRAPH = """
input_stream: "image"
output_stream: "detections"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""
_LANDMARK_GRAPH = """
input_stream: "image"
input_stream: "roi"
output_stream: "landmarks"
output_stream: "world_landmarks"
node {
  calculator: "PoseLandmarkByRoiCpu" input_stream: "IMAGE:image" input_stream: "ROI:roi"
  output_stream: "LANDMARKS:landmarks" output_stream: "WORLD_LANDMARKS:world_landmarks"
}
"""
# Metres: mean error of a depth, for which MediaPipe states none. Measured on 300 synthetic people of the training
# recordings at 320 px (mion.SURREALSynthesisDataset): 0.105 with plain looks, 0.114 with those of training.
DEPTH_ERROR = 0.1
_LEAST_VISIBILITY = 0.1
_ROI_SCALE = 1.25  # of MediaPipe's own pose_landmark graphs: the circle around a body, enlarged
# The second look at who may be cut off, over the first. Tried on the demo's skier cut between neck and knees: 1.3 still
# puts hips and knees into the coat at some heights, 1.6 at none.
_WIDER = 1.6
_CUT_OFF = 0.05  # share of the circle's radius by which a landmark lies outside the image before someone is cut off
_WINDOW_SHARE = 0.65  # side of a window over the image's longer side
_NEAR = 0.3  # two detections nearer to each other than this share of their radius need only one look
_SAME_PERSON = 0.5  # object keypoint similarity of two sightings
_HEAD = np.arange(17) < 5  # nose, eyes and ears come first in COCO's order
_SHOULDERS, _HIPS = slice(5, 7), slice(11, 13)  # left and right, likewise
# Of somebody in somebody else and the other way up: keypoints inside the other's box, a tenth wider on each side, and
# the cosine between trunks.
_INSIDE, _MARGIN, _OPPOSITE = 0.8, 0.1, -0.7
# What starting graphs always prints, of 0.10.14: that a delegate was made, that logs go to standard error, that no
# statistics are kept. Errors of the same loggers begin with ERROR, E0000 or F0000.
_NOISE = re.compile(
    r"INFO: Created TensorFlow Lite |WARNING: All log messages before absl::InitializeLog|W0000 .*Feedback"
)
REMEDY = "pip install 'mion-plugin[detect]'" + (" on Python 3.12 or older" if sys.version_info >= (3, 13) else "")


@dataclass(frozen=True)
class _Sighting:
    """A circle that holds a person, in pixels of the image; ``angle`` turns the person upright, radians."""

    score: float
    x: float
    y: float
    radius: float
    angle: float


class MediaPipeDetector:
    """People and COCO keypoints in an image; a ``PersonDetector``.

    The confidence of a keypoint is MediaPipe's visibility: how likely it is in the image and not hidden. Whatever it
    says, a keypoint outside the image is absent.

    Keypoints and depths are moved from where MediaPipe has them to where the body model has those of the same names
    (see ``mediapipe_places``).

    Somebody whom the image's border cuts off is squeezed into the image by both networks: hips are found in the chest
    and feet at the hands, and surely so. Who reaches the border is therefore looked at a second time, from farther
    away; if that puts landmarks outside the image, it is believed.

    The depths are those of MediaPipe's world landmarks: metres from the middle of the hips, along the z axis of a
    camera that looks straight at the person and sees them in weak perspective, positive away from it. The crop's camera
    sees the person so, too: they are taken as they are, without a further rotation. The landmark network has its input
    turned until the person is upright, but about the line of sight, which leaves depths alone.

    Args:
        windows: Search windows of the image, too; otherwise people smaller than about a third of it are missed.
        min_visibility: Keypoints below are absent.
        min_mean_visibility: People whose 17 keypoints are on average below are none.
        own_places: Leave keypoints and depths where MediaPipe has them.

    Raises:
        ImportError: MediaPipe is not installed; the message says how to.
        ValueError: A threshold outside 0..1.
    """

    def __init__(
        self,
        windows: bool = True,
        min_visibility: float = 0.3,
        min_mean_visibility: float = 0.4,
        own_places: bool = False,
    ) -> None:
        for name, value in (("min_visibility", min_visibility), ("min_mean_visibility", min_mean_visibility)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, expected a number in 0..1")
        self.windows, self.min_visibility, self.min_mean_visibility = windows, min_visibility, min_mean_visibility
        self.own_places = own_places
        self._search, self._landmarks = _build_graphs()

    def __call__(self, image: np.ndarray) -> list[CocoPerson]:
        """The people of an image (H, W, 3) uint8 RGB, the largest first.

        Raises:
            ValueError: Not such an image.
        """
        check_image(image)
        image = np.ascontiguousarray(image)
        found = [self._look_at(image, sighting) for sighting in self._sightings(image)]
        people = [person for person in found if person is not None]
        return sorted(_merge(people), key=lambda person: -float(person.bbox[2:].prod()))

    def _sightings(self, image: np.ndarray) -> list[_Sighting]:
        """What the person detector sees anywhere, the surest first, each place once."""
        found: list[_Sighting] = []
        height, width = image.shape[:2]
        for left, top, side in _windows(height, width, self.windows):
            detections = self._search.process({"image": _cut(image, left, top, side)}).detections or []
            found += [_to_sighting(detection, left, top, side) for detection in detections]
        kept: list[_Sighting] = []
        for one in sorted(found, key=lambda sighting: -sighting.score):
            near = [
                np.hypot(one.x - other.x, one.y - other.y) < _NEAR * max(one.radius, other.radius) for other in kept
            ]
            if not any(near):
                kept.append(one)
        return kept

    def _look_at(self, image: np.ndarray, sighting: _Sighting) -> CocoPerson | None:
        """One person, or None where the landmark network sees nobody."""
        found = self._landmarks_of(image, sighting, 1.0)
        if found is None or found[0][:, 2].mean() < self.min_mean_visibility:
            return None
        size = image.shape[1], image.shape[0]
        if _may_be_cut_off(sighting, size):
            wider = self._landmarks_of(image, sighting, _WIDER)
            if wider is not None and _farthest_outside(wider[0], size) > _CUT_OFF * sighting.radius:
                found = wider
        keypoints2d, depths = found
        if not self.own_places:
            keypoints2d[:, :2] = to_body_places(keypoints2d[:, :2])
        keypoints2d[(keypoints2d[:, 2] < self.min_visibility) | ~inside_image(keypoints2d, size)] = 0.0
        visible = keypoints2d[keypoints2d[:, 2] > 0, :2]
        if not len(visible) or not np.ptp(visible, axis=0).all():
            return None
        box = np.concatenate([visible.min(axis=0), np.ptp(visible, axis=0)])
        return CocoPerson(keypoints2d, box, depths)

    def _landmarks_of(
        self, image: np.ndarray, sighting: _Sighting, scale: float
    ) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Keypoints (17, 3), with visibilities, and depths of ``landmark_depths``; None where nobody is seen.

        Args:
            image: (H, W, 3).
            sighting: Where to look.
            scale: Of the square that the network is given.
        """
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect

        height, width = image.shape[:2]
        side = 2.0 * _ROI_SCALE * scale * sighting.radius
        roi = NormalizedRect(
            x_center=sighting.x / width,
            y_center=sighting.y / height,
            width=side / width,
            height=side / height,
            rotation=sighting.angle,
        )
        seen = self._landmarks.process({"image": image, "roi": roi})
        if seen.landmarks is None:
            return None
        points = [seen.landmarks.landmark[index] for index in _COCO_LANDMARKS]
        keypoints2d = np.array([(point.x * width, point.y * height, point.visibility) for point in points])
        return keypoints2d, landmark_depths(seen.world_landmarks, self.own_places)


@functools.cache
def _build_graphs() -> tuple[Any, Any]:
    """MediaPipe's person detector and its landmark network, ready to run; made once, as they take a second.

    Both run once on nothing: they load their networks, and talk of it, only then.
    """
    try:
        from google.protobuf import text_format
        from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect
        from mediapipe.python.solution_base import SolutionBase
    except ImportError as error:
        raise ImportError(f"the light detector needs mediapipe 0.10.14 ({error}): {REMEDY}") from error

    def build(graph: str, *outputs: str) -> Any:
        return SolutionBase(graph_config=text_format.Parse(graph, CalculatorGraphConfig()), outputs=list(outputs))

    nothing, everywhere = (
        np.zeros((8, 8, 3), np.uint8),
        NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0),
    )
    warnings.filterwarnings(
        "ignore", r"SymbolDatabase\.GetPrototype", UserWarning
    )  # MediaPipe's own call, at each result
    with lines_held_back(_NOISE):
        search, landmarks = build(_SEARCH_GRAPH, "detections"), build(_LANDMARK_GRAPH, "landmarks", "world_landmarks")
        search.process({"image": nothing})
        landmarks.process({"image": nothing, "roi": everywhere})
    return search, landmarks


def _windows(height: int, width: int, several: bool) -> Iterator[tuple[int, int, int]]:
    """Squares (left, top, side) to search: the whole image, then overlapping parts of it."""
    longest = max(height, width)
    yield (width - longest) // 2, (height - longest) // 2, longest
    if not several:
        return
    side = round(_WINDOW_SHARE * longest)
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top, side


def _starts(length: int, side: int) -> list[int]:
    """Where windows start that cover ``length`` and overlap by about half."""
    if length <= side:
        return [(length - side) // 2]
    count = int(np.ceil(2.0 * (length - side) / side)) + 1
    return np.linspace(0, length - side, count).round().astype(int).tolist()


def _cut(image: np.ndarray, left: int, top: int, side: int) -> np.ndarray:
    """A square of an image, black outside."""
    height, width = image.shape[:2]
    window = np.zeros((side, side, 3), np.uint8)
    rows, columns = slice(max(top, 0), min(top + side, height)), slice(max(left, 0), min(left + side, width))
    seen = image[rows, columns]
    y, x = rows.start - top, columns.start - left
    window[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    return window


def _to_sighting(detection: Any, left: int, top: int, side: int) -> _Sighting:
    """In pixels of the image: the circle around the hips (first point) that goes through the second point, which lies
    above the head: so does MediaPipe's own graph."""
    hips, above = (
        np.array([point.x * side + left, point.y * side + top])
        for point in detection.location_data.relative_keypoints[:2]
    )
    x, y = above - hips
    return _Sighting(
        score=float(detection.score[0]),
        x=float(hips[0]),
        y=float(hips[1]),
        radius=float(np.hypot(x, y)),
        angle=float(np.arctan2(x, -y)),
    )


def _may_be_cut_off(sighting: _Sighting, size: tuple[int, int]) -> bool:
    """Whether the circle, enlarged, reaches beyond an image of ``size`` (width, height)."""
    reach = _ROI_SCALE * sighting.radius
    return not (reach <= sighting.x <= size[0] - reach and reach <= sighting.y <= size[1] - reach)


def _farthest_outside(keypoints2d: np.ndarray, size: tuple[int, int]) -> float:
    """By how many pixels, at most, a keypoint lies outside an image of ``size`` (width, height); 0 if none does."""
    places = keypoints2d[:, :2]
    return float(np.maximum(-places, places - np.array(size)).max().clip(min=0.0))


def _merge(people: list[CocoPerson]) -> list[CocoPerson]:
    """Each person once, as seen most surely."""
    kept: list[CocoPerson] = []
    for person in sorted(people, key=lambda person: -float(person.keypoints2d[:, 2].sum())):
        if not any(_are_one(person.keypoints2d, other.keypoints2d) for other in kept):
            kept.append(person)
    return kept


def _are_one(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether keypoints (17, 3) of two sightings, the surer one second, are one person's.

    They are if they are alike altogether or have the same head: a window that cuts somebody off shows the networks a
    small person, with the head where it is and the body squeezed. And if the first stands on its head in the second.
    """
    if object_keypoint_similarity(first, second) >= _SAME_PERSON or _is_upside_down_in(first, second):
        return True
    heads = [np.where(_HEAD[:, None], one, 0.0) for one in (first, second)]
    if not all((head[:, 2] > 0).any() for head in heads):
        return False
    return object_keypoint_similarity(heads[0], heads[1], body_area(second)) >= _SAME_PERSON


def _is_upside_down_in(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether somebody is seen in somebody else (17, 3) and the other way up, as the networks see legs for arms."""
    trunk, other = _trunk(first), _trunk(second)
    if trunk is None or other is None:
        return False
    places, others = (one[one[:, 2] > 0, :2] for one in (first, second))
    margin = _MARGIN * np.ptp(others, axis=0).max()
    inside = ((places >= others.min(axis=0) - margin) & (places <= others.max(axis=0) + margin)).all(axis=1).mean()
    return bool(inside >= _INSIDE and trunk @ other < _OPPOSITE)


def _trunk(keypoints2d: np.ndarray) -> np.ndarray | None:
    """(2,) the direction from the shoulders to the hips of keypoints (17, 3); None where they do not tell."""
    shoulders, hips = (part[part[:, 2] > 0, :2] for part in (keypoints2d[_SHOULDERS], keypoints2d[_HIPS]))
    if not (len(shoulders) and len(hips)):
        return None
    direction = hips.mean(axis=0) - shoulders.mean(axis=0)
    length = np.linalg.norm(direction)
    return direction / length if length else None


def landmark_depths(world_landmarks: Any, own_places: bool = False) -> np.ndarray | None:
    """``CocoPerson.depths`` (17, 2) of MediaPipe's world landmarks; None where there are none.

    They are the depths of the body model's keypoints, or of MediaPipe's own.

    Where even the landmark's visibility is below ``_LEAST_VISIBILITY``, its depth is unknown: precision 0.
    """
    if world_landmarks is None:
        return None
    points = [world_landmarks.landmark[index] for index in _COCO_LANDMARKS]
    metres = np.array([point.z for point in points])
    metres -= metres[list(hip_indices("coco"))].mean()  # MediaPipe's origin is there to within a millimetre or so
    depths = np.column_stack([metres, np.full(len(metres), 1.0 / DEPTH_ERROR)])
    if not own_places:
        depths = to_body_depths(depths)
    known = np.array([point.visibility for point in points]) >= _LEAST_VISIBILITY
    return depths * known[:, None]
