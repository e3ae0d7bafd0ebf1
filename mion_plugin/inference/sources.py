"""What a user names as input: photographs or the frames of a video, one after the other."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from mion_plugin.datasets.transforms.loading import IMAGE_SUFFIXES, BrokenImageError, list_images, read_image
from mion_plugin.inference.videos import VIDEO_SUFFIXES, VideoReader

_GLOB_CHARACTERS = "*?["


@dataclass(frozen=True)
class Frame:
    """One photograph, or one picture of a video.

    Attributes:
        index: Place in the source, from 0.
        name: Of a photograph its path below the folder that all have in common; ``VIDEO_000012.jpg`` for frame 12 of
            ``VIDEO.mp4``.
        pixels: (H, W, 3) uint8 RGB, or None where it cannot be read.
        problem: Why it cannot be read, or "".
        path: Of a photograph, or None.
        time: When it is to be shown, seconds from the video's start; None of a photograph.
    """

    index: int
    name: str
    pixels: np.ndarray | None
    problem: str = ""
    path: Path | None = None
    time: float | None = None


@dataclass(frozen=True)
class FrameSource:
    """Frames, read when asked for.

    Attributes:
        name: What to call results of the whole.
        frames: Can be run through once.
        count: How many, of a video about, as its header tells; None if unknown.
        frame_rate: Frames per second of a video, None of photographs.
        live: From a webcam, which does not end by itself.
        paths: Of all photographs.
        video: The video file.
        clock: Seconds of one unit of its time stamps.
    """

    name: str
    frames: Iterable[Frame]
    count: int | None
    frame_rate: float | None = None
    live: bool = False
    paths: tuple[Path, ...] = ()
    video: Path | None = None
    clock: Fraction | None = None

    def names(self) -> Iterable[str | Path]:
        """What tells the frames apart: photographs' paths, the names of a video's as far as their number is known."""
        return self.paths or (_picture_name(self.name, index) for index in range(self.count or 0))

    @property
    def single(self) -> bool:
        """Whether this is one photograph."""
        return self.count == 1 and self.frame_rate is None


def open_source(text: str) -> FrameSource:
    """The frames that a command line names.

    Args:
        text: An image or video file, a folder of images, a glob pattern (``**`` for any depth), or the number of a
            webcam, which delivers frames until it is pulled out.

    Raises:
        FileNotFoundError: No such file, or none that fits the pattern.
        ValueError: A folder without images, or a video or webcam that cannot be opened.
        ImportError: A video without PyAV.
    """
    path = Path(text)
    if text.isdecimal() and not path.exists():
        return _video(int(text), f"webcam{text}")
    if not path.exists() and any(character in text for character in _GLOB_CHARACTERS):
        return _photographs(_matching(text), "images")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video(path, path.stem)
    if not path.exists():
        raise FileNotFoundError(f"{text} does not exist; expected an image, folder, glob, video or number of a webcam")
    return _photographs(list_images(path), path.resolve().name if path.is_dir() else path.stem)


def _matching(pattern: str) -> list[Path]:
    """The images that fit a glob pattern, in order of their names."""
    paths = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]
    found = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not found:
        raise FileNotFoundError(f"no image ({', '.join(IMAGE_SUFFIXES)}) fits {pattern}")
    return found


def _photographs(paths: Sequence[Path], name: str) -> FrameSource:
    return FrameSource(name, _read(paths), len(paths), paths=tuple(paths))


def _read(paths: Sequence[Path]) -> Iterator[Frame]:
    top = os.path.commonpath([path.parent for path in paths])
    for index, path in enumerate(paths):
        name = path.relative_to(top).as_posix()
        try:
            yield Frame(index, name, read_image(path), path=path)
        except (BrokenImageError, FileNotFoundError) as error:
            yield Frame(index, name, None, str(error), path)


def _video(source: Path | int, name: str) -> FrameSource:
    reader = VideoReader(source)
    live = isinstance(source, int)
    return FrameSource(
        name,
        _pictures(reader, name, called=name if isinstance(source, int) else source.name),
        reader.num_shown,
        reader.frame_rate,
        live,
        video=None if isinstance(source, int) else source,
        clock=reader.clock,
    )


def _pictures(reader: VideoReader, name: str, called: str) -> Iterator[Frame]:
    try:
        for index, pixels in enumerate(reader):
            problem = f"frame {index} of {called} cannot be decoded" if pixels is None else ""
            yield Frame(index, _picture_name(name, index), pixels, problem, time=reader.time)
    finally:
        reader.close()


def _picture_name(name: str, index: int) -> str:
    """Of a video's frame."""
    return f"{name}_{index:06d}.jpg"
