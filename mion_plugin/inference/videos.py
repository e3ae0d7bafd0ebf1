"""Video files and webcams, read and written by PyAV, that is FFmpeg (extra ``[video]``).

Frames are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mion_plugin.files.npz import one_line
from mion_plugin.inference.ffmpeg import decoded, open_video, open_webcam, plain_path, pyav
from mion_plugin.inference.sound import Sound

VIDEO_SUFFIXES = tuple(".3gp .avi .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ts .webm .wmv".split())
_FALLBACK_RATE = 25.0  # frames per second of a webcam or file that does not tell
# Nobody sees a difference at 18; a preset that takes less time than drawing does. Without frames that are coded after
# later ones ("bf"), for with uneven times those make MP4 tell a duration that cuts the end off.
_ENCODER = {"crf": "18", "preset": "veryfast", "bf": "0"}
_BT709 = 1  # FFmpeg's number of the colours of HD television, which players take for granted
_OBLONG = (0.4, 2.5)  # width over height of a stored pixel; what a file tells beyond is an error
_LARGEST_DENOMINATOR = 1001  # of a frame rate: television's are n * 1000 / 1001


class VideoReader:
    """The frames of a video file or a webcam.

    Args:
        source: Path, or number of a webcam (Linux).

    Attributes:
        frame_rate: Frames per second, on average where the frames are not evenly spaced.
        num_frames: As the file's header tells, or None of a webcam or a file that does not tell.
        num_shown: About how many of these are to be shown: a file that was cut may still hold what is left out.
        clock: Seconds of one unit of the file's time stamps.
        time: When the frame that was given last is to be shown, seconds from the first; of a file that does not tell,
            as the frame rate has it.

    Raises:
        ImportError: PyAV is not installed.
        FileNotFoundError: No such file.
        ValueError: Not a video, or no such webcam.
    """

    def __init__(self, source: Path | int) -> None:
        self._container = open_webcam(source) if isinstance(source, int) else open_video(source)
        stream = self._stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self.frame_rate = float(stream.average_rate or stream.guessed_rate or _FALLBACK_RATE)
        self.num_frames = None if isinstance(source, int) else stream.frames or None
        self.clock = stream.time_base or Fraction(1) / Fraction(self.frame_rate).limit_denominator(_LARGEST_DENOMINATOR)
        self.num_shown = self.num_frames
        if self.num_frames is not None and stream.duration is not None:
            lasting = round(float(stream.duration * self.clock) * self.frame_rate)
            self.num_shown = lasting if 0 < lasting < self.num_frames - 1 else self.num_frames
        oblong = float(stream.sample_aspect_ratio or 1)
        self._oblong = oblong if _OBLONG[0] <= oblong <= _OBLONG[1] else 1.0
        self._size: tuple[int, int] | None = None
        self.time = 0.0
        self._start: float | None = None
        self._converter = pyav().video.reformatter.VideoReformatter()  # a frame's own has threads of its own

    def __iter__(self) -> Iterator[np.ndarray | None]:
        """Every frame, upright and with square pixels as the file says; None for one that cannot be decoded.

        All have the size of the first: calls and broadcasts may change it on the way. Upright pictures after ones that
        lie, and the other way round, keep their shape, between black bars: a phone was turned.

        A file that ends before the frames its header tells of gives None for one more.
        """
        packets = given = reached = 0
        for packet in self._packets():
            packets += packet.size > 0
            reached = max(reached, packet.dts or 0)
            for frame in decoded(packet):
                self.time = self._time(frame, given)
                given += 1
                yield None if frame is None else self._upright(frame)
        if self._breaks_off(packets, reached):
            self.time = self._time(None, given)
            yield None

    def _breaks_off(self, packets: int, reached: int) -> bool:
        """Whether the header tells of more frames than came, and of more time: some formats count frames left out."""
        if self.num_frames is None or packets >= self.num_frames:
            return False
        length = self._stream.duration
        return length is None or float((length - reached) * self.clock) > 1.5 / self.frame_rate

    def _packets(self) -> Iterator[Any]:
        """The coded frames, up to where the file breaks off or the webcam is pulled out."""
        try:
            yield from self._container.demux(self._stream)
        except pyav().FFmpegError:
            return

    def _time(self, frame: Any, index: int) -> float:
        """Of a frame; one without a time stamp follows the last by the frame rate."""
        stamp = None if frame is None else frame.time
        if stamp is None:
            return self.time + (1 / self.frame_rate if index else 0.0)
        if self._start is None:
            self._start = stamp - (index / self.frame_rate)
        return max(float(stamp - self._start), self.time)

    def _upright(self, frame: Any) -> np.ndarray:
        """The pixels, turned and mirrored as the file's display matrix says."""
        width, height = round(frame.width * self._oblong), frame.height
        size = self._size = self._size or (width, height)
        shown = size if (width > height) == (size[0] > size[1]) else _largest_within(size, width, height)
        pixels = self._converter.reformat(frame, *shown, format="rgb24").to_ndarray()
        if shown != size:
            across, down = ((all_of - part) // 2 for all_of, part in zip(size, shown, strict=True))
            framed = np.zeros((size[1], size[0], 3), np.uint8)
            framed[down : down + shown[1], across : across + shown[0]] = pixels
            pixels = framed
        # not the frame's own, a circle that would keep the frame, its threads and the decoder's until Python looks for
        # circles: in a forked process, which has no such threads, that is for ever
        matrix = pyav().sidedata.sidedata.SideDataContainer(frame).get("DISPLAYMATRIX")
        return pixels if matrix is None else _turned(pixels, matrix)

    def close(self) -> None:
        """Let go of the file or webcam."""
        self._container.close()


class VideoWriter:
    """Write frames to an MP4 file, H.264 coded, which every browser plays; a context that closes it.

    A side of odd length is made even by a copy of the last row or column, which H.264 in browsers wants.

    Args:
        path: File to write.
        frame_rate: Frames per second, on average.
        size: Width and height in pixels.
        clock: Seconds of one unit of the time stamps; None for the time of a frame.
        sound: Video file whose sound, if it has any, accompanies the frames; as it is where browsers
            play it, else as AAC.
        called: What to call the file in errors; the path where left out.

    Raises:
        ImportError: PyAV is not installed.
        OSError: The file cannot be written; at the end also where it was not written whole.
        ValueError: A frame rate that is not positive.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        frame_rate: float,
        size: tuple[int, int],
        clock: Fraction | None = None,
        sound: Path | None = None,
        called: Path | None = None,
    ) -> None:
        if not 0 < frame_rate < np.inf:
            raise ValueError(f"frame rate {frame_rate}, expected a positive number")
        self._path, self._size, self._rate = plain_path(path), size, frame_rate
        self._called = called or path
        self._count, self._last = 0, -1
        rate = Fraction(frame_rate).limit_denominator(_LARGEST_DENOMINATOR)
        self._clock = clock or 1 / rate
        with self._told():
            Path(path).touch()  # FFmpeg opens it when it writes
            self._container = pyav().open(self._path, "w", format="mp4", options={"movflags": "faststart"})
        self._stream = self._container.add_stream("libx264", rate=rate, options=_ENCODER)
        self._stream.width, self._stream.height = (side + side % 2 for side in size)
        self._stream.pix_fmt = "yuv420p"
        coder = self._stream.codec_context
        coder.time_base = self._clock
        coder.colorspace = coder.color_primaries = coder.color_trc = coder.color_range = _BT709
        self._sound = None if sound is None else Sound.of(sound, self._container)

    def write(self, frame: np.ndarray, time: float | None = None) -> None:
        """Add a frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            time: When it is to be shown, seconds from the first; None for as the frame rate has it.

        Raises:
            ValueError: Another size than the video's.
        """
        height, width = frame.shape[:2]
        if (width, height) != self._size:
            raise ValueError(f"a frame of {width} x {height} pixels in a video of {self._size[0]} x {self._size[1]}")
        time = self._count / self._rate if time is None else time
        if height % 2 or width % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
        picture.pts = self._last = max(round(time / self._clock), self._last + 1)
        picture.time_base = self._clock
        picture.duration = max(round(1 / self._rate / self._clock), 1)
        with self._told():
            self._container.mux(self._stream.encode(picture))
            if self._sound is not None:
                self._sound.write_until(time)
        self._count += 1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with suppress(OSError):  # what went wrong is known
                self._close()
            return
        with self._told():
            try:
                self._finish()
            finally:
                self._close()
        self._require_whole()

    def _finish(self) -> None:
        """Write what is not written yet."""
        if self._count:
            self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.write_until(float(self._last * self._clock) + 1 / self._rate, end=True)

    def _close(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._container.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of FFmpeg with the name that the user knows."""
        try:
            yield
        except (pyav().FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise OSError(f"video {self._called} cannot be written: {reason}") from error

    def _require_whole(self) -> None:
        """FFmpeg says nothing of a disk that is full at the end."""
        count = 0
        with suppress(ValueError):
            reader = VideoReader(Path(self._path))
            count = reader.num_frames or 0
            reader.close()
        if count != self._count:
            raise OSError(f"video {self._called} holds {count} of {self._count} frames: No space left on the device?")


def _largest_within(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The largest size of the shape ``width`` to ``height`` that fits into another."""
    scale = min(size[0] / width, size[1] / height)
    return max(round(scale * width), 1), max(round(scale * height), 1)


def _turned(pixels: np.ndarray, matrix: Any) -> np.ndarray:
    # a point (x, y) of the stored picture is shown at (a x + c y, b x + d y)
    a, b, _, c, d = np.frombuffer(bytes(matrix), "<i4")[:5]
    if abs(b) > abs(a):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
