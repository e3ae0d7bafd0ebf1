"""What the web page shows of one photograph, without the page: found, drawn, listed, written."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from demos.keypoint_file import known_keypoints, write_keypoints
from demos.results import people_found
from PIL import Image, UnidentifiedImageError

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.transforms.loading import IMAGE_FORMATS, BrokenImageError, read_image
from mion_plugin.geometry.boxes import LEAST_SCORE
from mion_plugin.inference import (
    Frame,
    FramePeople,
    MIONInferencer,
    PersonBodies,
    draw_paths,
    draw_people,
    infer_frames,
    save_mesh,
    save_person,
)
from mion_plugin.inference.frames import NobodyError, PeopleFinder
from mion_plugin.visualization.pictures import save_picture

MAX_SIDE = 10_000  # pixels; the detector's windows are squares of the longer side
DOWNLOADS = ("glb", "obj")
COLUMNS = ("path", "score", "2D error, px", "from the chosen, mm")
_CAPTION_BAND = 56  # pixels of white beneath a picture, for the caption that the page lays over it


@dataclass(frozen=True)
class Found:
    """The people of a photograph, and a folder of their own for files.

    Attributes:
        result: The photograph with at least one person.
        faces: (F, 3).
        folder: Where files go.
        known: Number -> what the detector, a file or a user knows of everyone.
        weights: (V, 24) skinning weights, by which guessed parts are pale.
    """

    result: FramePeople
    faces: torch.Tensor
    folder: Path
    known: dict[int, CocoPerson]
    weights: np.ndarray | None = None

    @property
    def stem(self) -> str:
        """The photograph's name without ending."""
        return Path(self.result.frame.name).stem

    @property
    def keypoints_name(self) -> str:
        """What to call the file of everyone's keypoints."""
        return f"{self.stem}_keypoints.json"

    @property
    def numbers(self) -> list[int]:
        """The people's numbers."""
        return [person.person for person in self.result.people]

    def overlay(self) -> Path:
        """The photograph with everyone's chosen body over it."""
        picture = draw_people(self.pixels, self.result.people, self.faces, weights=self.weights)
        return save_picture(picture, self.folder / f"{self.stem}_overlay.jpg")

    def pictures(self, number: int) -> list[tuple[np.ndarray, str]]:
        """A person's paths, the chosen one first: over the crop and below from the side; with captions."""
        person = self.person(number)
        pictures = draw_paths(self.pixels, person, self.faces, weights=self.weights)
        return [(_with_band(pictures[path]), _caption(person, path)) for path in person.ranked_paths]

    def rows(self, number: int) -> list[list[str | float | None]]:
        """The numbers of ``COLUMNS``, in the order of ``pictures``."""
        person = self.person(number)
        paths = person.describe()["paths"]
        keys = ("reprojection_rms_px", "distance_to_selected_mm")
        return [
            [_name(person, path), person.score_text(path), *(paths[path][key] for key in keys)]
            for path in person.ranked_paths
        ]

    def summary(self) -> str:
        """How many people were found, and who else was left out."""
        count = people_found(len(self.result.people))
        return "; ".join([count, *(f"left out: {problem}" for problem in self.result.problems)])

    def reason(self, number: int) -> str:
        """Why a person's chosen body was chosen, and what of it is guessed."""
        person = self.person(number)
        guessed = person.describe()["joints_guessed"]
        pale = f" Pale: guessed, no keypoint in the photograph tells of {', '.join(guessed)}." if guessed else ""
        return f"{person.reason[0].upper()}{person.reason[1:]}.{pale}".replace("_", " ")

    def mesh(self, number: int, place: int = 0) -> tuple[Path, str]:
        """A file with the surface of the path at a place of ``pictures``, and the path's name."""
        person = self.person(number)
        path = person.ranked_paths[place]
        file = self.folder / f"{self.stem}_person{number}_path{path + 1}.glb"
        save_mesh(file, person.vertices[path] - person.transl[path], self.faces.numpy())
        return file, _name(person, path)

    def files(self, number: int) -> list[Path]:
        """The chosen body's meshes, the parameters and the numbers of all paths, and everyone's keypoints."""
        stem = self.folder / f"{self.stem}_person{number}"
        keypoints = known_keypoints(self.result)
        return [
            *save_person(self.person(number), stem, self.faces.numpy(), DOWNLOADS)[::-1],
            write_keypoints(self.folder / self.keypoints_name, self.result.frame.name, keypoints),
        ]

    def delete(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pixels(self) -> np.ndarray:
        """The photograph (H, W, 3)."""
        assert self.result.frame.pixels is not None
        return self.result.frame.pixels

    def person(self, number: int) -> PersonBodies:
        """One of them."""
        return self.result.people[self.numbers.index(number)]

    def gender(self, number: int) -> str | None:
        """Of someone's bodies; None of someone who has none."""
        return self.person(number).gender if number in self.numbers else None

    def is_known(self, number: int, keypoints2d: np.ndarray) -> bool:
        """Whether someone's bodies were found by these keypoints (17, 3), but for those that were hardly seen."""
        if number not in self.numbers:
            return False
        known = self.known[number].keypoints2d
        return np.array_equal(np.where(known[:, 2:] >= LEAST_SCORE, known, 0.0), keypoints2d)


def find_bodies(path: Path, name: str, inferencer: MIONInferencer, find: PeopleFinder, root: Path) -> Found:
    """Find the people of a photograph and their bodies.

    Args:
        path: The file.
        name: What the user calls it.
        inferencer: Finds the bodies.
        find: Finds the people.
        root: Folder in which the result gets one of its own.

    Raises:
        ValueError: No image, or too large a one.
        NobodyError: Nobody in it.
    """
    frame = Frame(0, name, read_upload(path, name))
    known = find(frame)
    (result,) = infer_frames(inferencer, [frame], lambda _: known)
    if not result.people:
        raise NobodyError("; ".join(result.problems))
    folder = Path(tempfile.mkdtemp(dir=root))
    return Found(result, inferencer.body.faces.cpu(), folder, dict(enumerate(known)), inferencer.skinning_weights)


def find_again(found: Found, number: int, known: CocoPerson, inferencer: MIONInferencer, root: Path) -> Found:
    """Find the bodies of one person anew; the others keep theirs.

    Args:
        found: What was found before.
        number: Of the person, who may be a new one.
        known: Keypoints, and what else is known.
        inferencer: Finds the bodies.
        root: Folder in which the result gets one of its own.

    Raises:
        ValueError: The keypoints fit no body.
    """
    (result,) = infer_frames(inferencer, [found.result.frame], lambda _: [known], lambda *_: [number])
    if not result.people:
        raise NobodyError("; ".join(result.problems))
    people = {person.person: person for person in (*found.result.people, *result.people)}
    everyone = [dataclasses.replace(people[key], num_people=len(people)) for key in sorted(people)]
    others = {key: value for key, value in found.result.others.items() if key != number}
    whole = dataclasses.replace(found.result, people=everyone, others=others)
    folder = Path(tempfile.mkdtemp(dir=root))
    return dataclasses.replace(found, result=whole, folder=folder, known=found.known | {number: known})


def read_upload(path: Path, name: str) -> np.ndarray:
    """The pixels (H, W, 3) uint8 RGB of a file whose path means nothing to the user; ``name`` does.

    Raises:
        ValueError: No image, a damaged one, or one of more than ``MAX_SIDE`` pixels a side.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as file:  # reads the header alone
            width, height = file.size
    except Image.DecompressionBombError:
        raise ValueError(f"{name} is too large; expected at most {MAX_SIDE} pixels a side") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{name} is not an image that can be read; expected JPEG, PNG, WebP, TIFF or BMP") from error
    if max(width, height) > MAX_SIDE:
        raise ValueError(f"{name} has {width} x {height} pixels; expected at most {MAX_SIDE} a side")
    try:
        return read_image(path)
    except BrokenImageError as error:
        raise ValueError(f"{name} is damaged: {error.__cause__}") from error


def _name(person: PersonBodies, path: int) -> str:
    return f"{path + 1}, chosen" if path == person.selected else f"{path + 1}"


def _caption(person: PersonBodies, path: int) -> str:
    name, score = _name(person, path), person.score_text(path)
    return f"{name}: {score}" if score else name


def _with_band(pictures: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """One picture above the other, and beneath both the band for a caption, which otherwise covers feet."""
    band = np.full((_CAPTION_BAND, pictures[0].shape[1], 3), 255, np.uint8)
    return np.vstack([*pictures, band])
