"""Video files and webcams, read and written by OpenCV (extra ``[video]``); frames are (H, W, 3) uint8 RGB."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
_CODEC = "mp4v"  # MPEG-4 part 2, the one in every build of OpenCV; H.264 is in none from the package index
_FALLBACK_RATE = 25.0  # frames per second of a webcam that does not tell
_LARGEST_NUMERATOR = 65535  # of a frame rate in MPEG-4 part 2
_BROKEN_IN_A_ROW = 50  # a webcam that was pulled out never delivers again
REMEDY = "pip install 'mion-plugin[video]'"


class VideoReader:
    """The frames of a video file or a webcam.

    Args:
        source: Path, or number of a webcam.

    Attributes:
        frame_rate: Frames per second, on average where the frames are not evenly spaced.
        num_frames: As the file's header tells, or None of a webcam or a file that does not tell.
        time: When the frame that was given last is to be shown, seconds; of a webcam, and of a file that does not tell,
            as the frame rate has it.

    Raises:
        ImportError: OpenCV is not installed.
        FileNotFoundError: No such file.
        ValueError: Not a video, or no such webcam.
    """

    def __init__(self, source: Path | int) -> None:
        self._live = isinstance(source, int)
        if isinstance(source, Path) and not source.is_file():
            raise FileNotFoundError(f"video {source} does not exist")
        cv2 = _opencv()
        self._capture = cv2.VideoCapture(source if isinstance(source, int) else os.fspath(source))
        if not self._capture.isOpened():
            if self._live:
                raise ValueError(f"webcam {source} cannot be opened; expected the number of one, 0 for the first")
            raise ValueError(f"video {source} cannot be read: no format or codec that OpenCV knows, or a broken file")
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # some versions leave phones' portrait clips lying
        rate, count = self._capture.get(cv2.CAP_PROP_FPS), self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_rate = float(rate) if 0 < rate < np.inf else _FALLBACK_RATE
        self.num_frames = None if self._live or not 0 < count < np.inf else int(count)
        self.time = 0.0

    def __iter__(self) -> Iterator[np.ndarray | None]:
        """Every frame, turned upright as the file says; None for one that cannot be decoded.

        A file that ends before the frames its header tells of gives None for one more.
        """
        given = broken = 0
        while broken < _BROKEN_IN_A_ROW:
            if not self._capture.grab():
                if self.num_frames is not None and given < self.num_frames:
                    self.time += 1 / self.frame_rate
                    yield None
                if not self._live:
                    return
                broken += 1
                continue
            self.time = self._time(given)
            decoded, frame = self._capture.retrieve()
            given, broken = given + 1, 0 if decoded else broken + 1
            yield np.ascontiguousarray(frame[..., ::-1]) if decoded else None

    def _time(self, index: int) -> float:
        """Of the frame that was grabbed last."""
        stamp = float(self._capture.get(_opencv().CAP_PROP_POS_MSEC)) / 1000
        told = not self._live and np.isfinite(stamp) and (stamp > self.time or index == 0)
        return max(stamp, 0.0) if told else index / self.frame_rate

    def close(self) -> None:
        """Let go of the file or webcam."""
        self._capture.release()


class VideoWriter:
    """Write frames to an MP4 file, MPEG-4 coded; a context that closes it.

    Args:
        path: File to write.
        frame_rate: Frames per second; written with at most 5 digits, which is what MPEG-4 has room for.
        size: Width and height in pixels.

    Raises:
        ImportError: OpenCV is not installed.
        OSError: The file cannot be written; at the end also where it was not written whole.
    """

    def __init__(self, path: str | os.PathLike[str], frame_rate: float, size: tuple[int, int]) -> None:
        cv2 = _opencv()
        self._path, self._size, self._count = os.fspath(path), size, 0
        rate = writable_rate(frame_rate)
        self._writer = cv2.VideoWriter(os.fspath(path), cv2.VideoWriter_fourcc(*_CODEC), rate, size)
        if not self._writer.isOpened():
            raise OSError(f"video {path} cannot be written at {size[0]} x {size[1]} pixels, {frame_rate} per second")

    def write(self, frame: np.ndarray) -> None:
        """Add a frame (H, W, 3) uint8 RGB.

        Raises:
            ValueError: Another size than the video's: OpenCV would leave it out in silence.
        """
        height, width = frame.shape[:2]
        if (width, height) != self._size:
            raise ValueError(f"a frame of {width} x {height} pixels in a video of {self._size[0]} x {self._size[1]}")
        self._writer.write(np.ascontiguousarray(frame[..., ::-1]))
        self._count += 1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.release()
        if kind is None:
            self._require_whole()

    def _require_whole(self) -> None:
        """OpenCV says nothing of a full disk."""
        written = _opencv().VideoCapture(self._path)
        try:
            count = int(written.get(_opencv().CAP_PROP_FRAME_COUNT))
        finally:
            written.release()
        if count != self._count:
            raise OSError(f"video {self._path} holds {count} of {self._count} frames: No space left on the device?")


def writable_rate(frame_rate: float) -> float:
    """The nearest rate that MPEG-4 has room for, as OpenCV writes it: a decimal fraction of a number of 16 bits."""
    decimals = 3
    while decimals and round(frame_rate * 10**decimals) > _LARGEST_NUMERATOR:
        decimals -= 1
    return round(frame_rate, decimals)


@functools.cache
def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ImportError(f"videos need OpenCV ({error}): {REMEDY}") from error
    return cv2
