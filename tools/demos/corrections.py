"""Keypoints of one person that a user corrects by clicks into a picture, without the page.

A first click takes a keypoint, a second one puts it down; a box takes two clicks, its corners. What comes out are
keypoints, and a COCO file of everyone's, from which the bodies are found as from any file.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from demos.keypoint_file import known_keypoints, write_keypoints
from demos.uploads import Found
from PIL import Image, ImageDraw

from mion_plugin.datasets.keypoint_layouts import COCO_17
from mion_plugin.geometry.boxes import LEAST_SCORE
from mion_plugin.inference import Frame, MIONInferencer, PersonBodies, find_in_file, infer_frames
from mion_plugin.inference.cropping import CropPlace, visible_box
from mion_plugin.inference.frames import NobodyError, PeopleFinder
from mion_plugin.visualization.drawing import draw_keypoints

NAMES = tuple(name.replace("_", " ") for name in COCO_17)
VIEW = 720  # pixels, side of the picture to click into
_ROOM = 1.4  # its side over that of the person's crop
_MARK = (255, 60, 200)  # of what a click has taken
_LEAST_BOX = 8  # pixels of the photograph

Point = tuple[float, float]


@dataclass(frozen=True)
class Correction:
    """One person's keypoints on their way; every step gives a new one.

    Attributes:
        number: Of the person.
        pixels: (H, W, 3) the photograph.
        near: The part of it around the person.
        history: Keypoints (17, 3) as found, and after every change: pixels of the photograph, and confidence.
        chosen: The keypoint that the next click puts down, None for none.
        boxing: Clicks draw a box, and move no keypoint.
        corners: Of the box, up to two, in pixels of the photograph.
        whole: Show all of the photograph.
    """

    number: int
    pixels: np.ndarray
    near: CropPlace
    history: tuple[np.ndarray, ...]
    chosen: int | None = None
    boxing: bool = False
    corners: tuple[Point, ...] = ()
    whole: bool = False

    @classmethod
    def of(cls, pixels: np.ndarray, person: PersonBodies) -> Correction:
        """Of someone who was found. Keypoints of a low score are absent, as they will be in the file."""
        near = dataclasses.replace(person.crop, side=_ROOM * person.crop.side)
        seen = person.keypoints2d[:, 2:] >= LEAST_SCORE
        return cls(person.person, pixels, near, (np.where(seen, person.keypoints2d, 0.0),))

    @classmethod
    def of_nobody(cls, pixels: np.ndarray, number: int) -> Correction:
        """Of someone who was not found."""
        return cls(number, pixels, _all_of(pixels), (np.zeros((len(NAMES), 3)),), whole=True)

    @property
    def keypoints2d(self) -> np.ndarray:
        """(17, 3) as they are now."""
        return self.history[-1]

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom in pixels of the photograph, once there are two corners."""
        if len(self.corners) < 2:
            return None
        (left, top), (right, bottom) = np.sort(np.array(self.corners), axis=0)
        height, width = self.pixels.shape[:2]
        return max(int(left), 0), max(int(top), 0), min(int(right) + 1, width), min(int(bottom) + 1, height)

    def click(self, x: int, y: int) -> Correction:
        """A click on a pixel of ``picture``."""
        point = np.linalg.inv(self._place.matrix(VIEW)) @ [x + 0.5, y + 0.5, 1.0]
        if self.boxing:
            before = self.corners if len(self.corners) < 2 else ()
            return dataclasses.replace(self, corners=(*before, (float(point[0]), float(point[1]))))
        if self.chosen is not None:
            return self._put(self.chosen, (*point[:2], 1.0))
        present = np.flatnonzero(self.keypoints2d[:, 2] > 0)
        if not len(present):
            return self
        distances = np.linalg.norm(self.keypoints2d[present, :2] - point[:2], axis=1)
        return self.choose(int(present[distances.argmin()]))

    def choose(self, keypoint: int | None) -> Correction:
        """Take a keypoint; None to let it go."""
        return dataclasses.replace(self, chosen=keypoint, boxing=False, corners=())

    def draw_box(self, boxing: bool = True) -> Correction:
        """Let clicks draw a box, or move keypoints again."""
        return dataclasses.replace(self, chosen=None, boxing=boxing, corners=())

    def absent(self) -> Correction:
        """The chosen keypoint is not in the photograph.

        Raises:
            ValueError: None is chosen.
        """
        if self.chosen is None:
            raise ValueError("Take a keypoint first: click it, or choose it from the list")
        return self._put(self.chosen, (0.0, 0.0, 0.0))

    def undo(self) -> Correction:
        """As before the last click: what it took is let go, what it changed comes back."""
        if self.chosen is not None or self.corners:
            return dataclasses.replace(self, chosen=None, corners=self.corners[:-1])
        return dataclasses.replace(self, history=self.history[: max(len(self.history) - 1, 1)])

    def look_in_box(self, find: PeopleFinder) -> Correction:
        """The keypoints of the largest person whom ``find`` sees in the box alone.

        Raises:
            ValueError: No box yet, or one that is too small.
            NobodyError: Nobody in it.
        """
        if self.box is None:
            raise ValueError("There is no box yet; click two of its corners")
        left, top, right, bottom = self.box
        if min(right - left, bottom - top) < _LEAST_BOX:
            raise ValueError(f"The box has {right - left} x {bottom - top} pixels; expected {_LEAST_BOX} a side")
        people = find(Frame(0, "The box", np.ascontiguousarray(self.pixels[top:bottom, left:right])))
        largest = max(people, key=lambda person: float(np.prod(person.bbox[2:])))
        seen = largest.keypoints2d[:, 2:] >= LEAST_SCORE
        moved = np.where(seen, largest.keypoints2d + np.array([left, top, 0.0]), 0.0)
        return dataclasses.replace(self, history=(*self.history, moved), boxing=False, corners=())

    def picture(self) -> np.ndarray:
        """(VIEW, VIEW, 3) uint8: the keypoints over the photograph, marked what a click has taken."""
        place = self._place
        drawn = Image.fromarray(
            draw_keypoints(place.cut(self.pixels, VIEW), place.to_crop(self.keypoints2d, VIEW), "coco")
        )
        draw = ImageDraw.Draw(drawn)
        if self.chosen is not None and self.keypoints2d[self.chosen, 2] > 0:
            x, y, _ = place.to_crop(self.keypoints2d, VIEW)[self.chosen]
            draw.ellipse([x - 16, y - 16, x + 16, y + 16], outline=_MARK, width=4)
        corners = [place.matrix(VIEW) @ [*corner, 1.0] for corner in self.corners]
        if len(corners) == 2:
            low, high = np.sort(np.array(corners)[:, :2], axis=0)
            draw.rectangle([*low, *high], outline=_MARK, width=3)
        for x, y, _ in corners:
            draw.line([x - 9, y, x + 9, y], fill=_MARK, width=3)
            draw.line([x, y - 9, x, y + 9], fill=_MARK, width=3)
        return np.asarray(drawn)

    def told(self) -> str:
        """What the next click does, in a line."""
        changes = len(self.history) - 1
        done = {0: "", 1: " 1 change so far."}.get(changes, f" {changes} changes so far.")
        if self.boxing:
            told = (
                "Click a corner of the box.",
                "Click the opposite corner.",
                "The box stands: look for a person in it.",
            )
            return told[len(self.corners)] + done
        if self.chosen is None:
            return f"Click a keypoint, or take one from the list.{done}"
        return f"{NAMES[self.chosen].capitalize()}: click where it is, or say that it is absent.{done}"

    def choices(self) -> list[tuple[str, int]]:
        """The keypoints for a list: what to call them, and their numbers."""
        present = self.keypoints2d[:, 2] > 0
        return [(name if present[index] else f"{name} (absent)", index) for index, name in enumerate(NAMES)]

    @property
    def _place(self) -> CropPlace:
        return _all_of(self.pixels) if self.whole else self.near

    def _put(self, keypoint: int, value: tuple[float, float, float]) -> Correction:
        """Change a keypoint; what lies outside the photograph is absent."""
        height, width = self.pixels.shape[:2]
        inside = 0 <= value[0] < width and 0 <= value[1] < height
        moved = self.keypoints2d.copy()
        moved[keypoint] = value if inside else 0.0
        return dataclasses.replace(self, history=(*self.history, moved), chosen=None)


def _all_of(pixels: np.ndarray) -> CropPlace:
    height, width = pixels.shape[:2]
    return CropPlace(np.array([width / 2, height / 2]), float(max(height, width)))


def correct_bodies(found: Found, correction: Correction, inferencer: MIONInferencer, root: Path) -> Found:
    """Find one person's bodies anew, by the file of keypoints that the result holds; the others keep theirs.

    Args:
        found: What was found before.
        correction: Of one of its people, or of one more.
        inferencer: Finds the bodies.
        root: Folder in which the result gets one of its own.

    Raises:
        ValueError: The keypoints fit no body.
    """
    visible_box(correction.keypoints2d)
    frame, number = found.result.frame, correction.number
    folder = Path(tempfile.mkdtemp(dir=root))
    keypoints = known_keypoints(found.result) | {number: correction.keypoints2d}
    file = write_keypoints(folder / found.keypoints_name, frame.name, keypoints)
    (result,) = infer_frames(inferencer, [dataclasses.replace(frame, path=None)], find_in_file(file), only=number)
    if not result.people:
        shutil.rmtree(folder, ignore_errors=True)
        raise NobodyError("; ".join(result.problems))
    people = {person.person: person for person in (*found.result.people, *result.people)}
    everyone = [dataclasses.replace(people[key], num_people=len(people)) for key in sorted(people)]
    others = {key: value for key, value in found.result.others.items() if key != number}
    whole = dataclasses.replace(found.result, people=everyone, others=others)
    return dataclasses.replace(found, result=whole, folder=folder)
