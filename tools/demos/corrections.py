"""Keypoints of one person that a user corrects on a picture, without the page.

A keypoint is dragged, or taken by one click and put down by another; a box is drawn, and its corners dragged. What
comes out are keypoints from which the bodies are found as from any file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from demos.uploads import Found, find_again

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.keypoint_layouts import COCO_17
from mion_plugin.geometry.boxes import LEAST_SCORE, keypoint_box
from mion_plugin.inference import Frame, MIONInferencer
from mion_plugin.inference.cropping import visible_box
from mion_plugin.inference.frames import PeopleFinder

NAMES = tuple(name.replace("_", " ") for name in COCO_17)
_ROOM = 1.4  # the side of what is shown around a person over that of the crop
_MARGIN = 0.15  # of a box around keypoints, over its longer side
_LEAST_BOX = 8  # pixels of the photograph

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the photograph."""


@dataclass(frozen=True)
class Correction:
    """One person's keypoints on their way; every step gives a new one.

    Attributes:
        number: Of the person.
        pixels: (H, W, 3) the photograph.
        near: The part of it around the person.
        history: Keypoints (17, 3) as found, and after every change: pixels of the photograph, and confidence.
        known: What ``history`` began with, with all that the detector knew; None of someone who was not found.
        chosen: The keypoint that the next click puts down, None for none.
        boxing: A box is drawn, and no keypoint moved.
        box: The box, once there is one.
        whole: Show all of the photograph.
    """

    number: int
    pixels: np.ndarray
    near: Box
    history: tuple[np.ndarray, ...]
    known: CocoPerson | None = None
    chosen: int | None = None
    boxing: bool = False
    box: Box | None = None
    whole: bool = False

    @classmethod
    def of(cls, found: Found, number: int) -> Correction:
        """Of someone who was found. Keypoints of a low score are absent, as they will be in the file."""
        person = found.person(number)
        (x, y), half = person.crop.center, _ROOM * person.crop.side / 2
        near = _within(found.pixels, (x - half, y - half, x + half, y + half))
        if near[0] == near[2] or near[1] == near[3]:  # a file may have people beside the photograph
            near = _all_of(found.pixels)
        seen = person.keypoints2d[:, 2:] >= LEAST_SCORE
        history = (np.where(seen, person.keypoints2d, 0.0),)
        return cls(number, found.pixels, near, history, found.known[number])

    @classmethod
    def of_nobody(cls, pixels: np.ndarray, number: int) -> Correction:
        """Of someone who was not found."""
        return cls(number, pixels, _all_of(pixels), (np.zeros((len(NAMES), 3)),), whole=True)

    @property
    def keypoints2d(self) -> np.ndarray:
        """(17, 3) as they are now."""
        return self.history[-1]

    @property
    def view(self) -> Box:
        """What is shown of the photograph."""
        return _all_of(self.pixels) if self.whole else self.near

    def put(self, keypoint: int, point: Sequence[float] | None) -> Correction:
        """Put a keypoint down at x, y in pixels of the photograph; None, and a place outside, is absent.

        Raises:
            ValueError: No such keypoint, or no such point.
        """
        if keypoint not in range(len(NAMES)):
            raise ValueError(f"keypoint is {keypoint!r}, expected 0 to {len(NAMES) - 1}")
        moved = self.keypoints2d.copy()
        moved[keypoint] = 0.0
        if point is not None:
            x, y = _numbers(point, 2)
            height, width = self.pixels.shape[:2]
            if 0 <= x < width and 0 <= y < height:
                moved[keypoint] = x, y, 1.0
        return dataclasses.replace(self, history=(*self.history, moved), chosen=None)

    def choose(self, keypoint: int | None) -> Correction:
        """Take a keypoint; None to let it go."""
        return dataclasses.replace(self, chosen=keypoint, boxing=False, box=None)

    def draw_box(self, boxing: bool = True) -> Correction:
        """Begin with the box around the keypoints, if there are some; or end it, and move keypoints again."""
        around = keypoint_box(self.keypoints2d[self.keypoints2d[:, 2] > 0]) if boxing else None
        box = None
        if around is not None:
            x, y, width, height = around
            margin = _MARGIN * max(width, height)
            box = _within(self.pixels, (x - margin, y - margin, x + width + margin, y + height + margin))
        return dataclasses.replace(self, chosen=None, boxing=boxing, box=box)

    def set_box(self, box: Sequence[float]) -> Correction:
        """The box that was drawn: left, top, right and bottom; what of it lies outside the photograph is cut off.

        Raises:
            ValueError: No box.
        """
        return dataclasses.replace(self, chosen=None, boxing=True, box=_within(self.pixels, _numbers(box, 4)))

    def absent(self) -> Correction:
        """The chosen keypoint is not in the photograph.

        Raises:
            ValueError: None is chosen.
        """
        if self.chosen is None:
            raise ValueError("Take a keypoint first: click it, or choose it from the list")
        return self.put(self.chosen, None)

    def undo(self) -> Correction:
        """What is taken is let go; else as before the last change."""
        if self.chosen is not None:
            return dataclasses.replace(self, chosen=None)
        return dataclasses.replace(self, history=self.history[: max(len(self.history) - 1, 1)])

    def look_in_box(self, find: PeopleFinder) -> Correction:
        """The keypoints of the largest person whom ``find`` sees in the box alone.

        Raises:
            ValueError: No box yet, or one that is too small.
            NobodyError: Nobody in it.
        """
        if self.box is None:
            raise ValueError("There is no box yet; draw one")
        left, top, right, bottom = self.box
        if min(right - left, bottom - top) < _LEAST_BOX:
            raise ValueError(f"The box has {right - left} x {bottom - top} pixels; expected {_LEAST_BOX} a side")
        people = find(Frame(0, "The box", np.ascontiguousarray(self.pixels[top:bottom, left:right])))
        largest = max(people, key=lambda person: float(np.prod(person.bbox[2:])))
        seen = largest.keypoints2d[:, 2:] >= LEAST_SCORE
        moved = np.where(seen, largest.keypoints2d + np.array([left, top, 0.0]), 0.0)
        return dataclasses.replace(self, history=(*self.history, moved))

    def told(self) -> str:
        """What to do next, in a line."""
        changes = len(self.history) - 1
        done = {0: "", 1: " 1 change so far."}.get(changes, f" {changes} changes so far.")
        if self.boxing:
            return ("Draw a box around somebody." if self.box is None else "Drag a corner, or draw another box.") + done
        if self.chosen is None:
            return f"Drag a keypoint to where it belongs.{done}"
        return f"{NAMES[self.chosen].capitalize()}: click where it is, or say that it is absent.{done}"

    def choices(self) -> list[tuple[str, int]]:
        """The keypoints for a list: what to call them, and their numbers."""
        present = self.keypoints2d[:, 2] > 0
        return [(name if present[index] else f"{name} (absent)", index) for index, name in enumerate(NAMES)]

    @property
    def is_empty(self) -> bool:
        """Of somebody new, with no keypoint yet."""
        return len(self.history) == 1 and self.known is None

    @property
    def person(self) -> CocoPerson:
        """The keypoints as they are now; unchanged, with all that the detector knew.

        Raises:
            ValueError: Too few keypoints.
        """
        if len(self.history) == 1 and self.known is not None:
            return self.known
        return CocoPerson(self.keypoints2d, visible_box(self.keypoints2d))


def correct_bodies(found: Found, correction: Correction, inferencer: MIONInferencer, root: Path) -> Found:
    """Find one person's bodies anew, by the corrected keypoints; the others keep theirs.

    Args:
        found: What was found before.
        correction: Of one of its people, or of one more.
        inferencer: Finds the bodies.
        root: Folder in which the result gets one of its own.

    Raises:
        ValueError: The keypoints fit no body.
    """
    return find_again(found, correction.number, correction.person, inferencer, root)


def _all_of(pixels: np.ndarray) -> Box:
    height, width = pixels.shape[:2]
    return 0, 0, width, height


def _within(pixels: np.ndarray, box: Sequence[float]) -> Box:
    """The pixels that a box covers, as far as they are in the photograph."""
    _, _, width, height = _all_of(pixels)
    left, top, right, bottom = box
    return (
        int(np.clip(np.floor(left), 0, width)),
        int(np.clip(np.floor(top), 0, height)),
        int(np.clip(np.ceil(right), 0, width)),
        int(np.clip(np.ceil(bottom), 0, height)),
    )


def _numbers(values: Sequence[float], count: int) -> np.ndarray:
    """What a browser sent, as so many finite numbers; else ValueError."""
    try:
        numbers = np.array(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"the browser sent {values!r}, expected {count} numbers")
    return numbers
