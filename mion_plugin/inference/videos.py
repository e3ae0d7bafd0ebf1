"""Video files and webcams, read and written by PyAV, that is FFmpeg (extra ``[video]``).

Frames are (H, W, 3) uint8 RGB. A file is read by the formats of ``VIDEO_SUFFIXES`` alone, and nothing that it names is
opened: FFmpeg also knows playlists and scripts.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mion_plugin.files.npz import one_line
from mion_plugin.files.presence import require_file

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
REMEDY = "pip install 'mion-plugin[video]'"
_READ = {
    "format_whitelist": "avi,m4v,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo,asf",
    "protocol_whitelist": "file",
}
_FALLBACK_RATE = 25.0  # frames per second of a webcam or file that does not tell
# Nobody sees a difference at 18; a preset that takes less time than drawing does. Without frames that are coded after
# later ones ("bf"), for with uneven times those make MP4 tell a duration that cuts the end off.
_ENCODER = {"crf": "18", "preset": "veryfast", "bf": "0"}
_PLAYED = ("aac", "mp3", "opus", "flac")  # sound that browsers play out of an MP4 file
_AAC_RATE, _AAC_FRAME = 48000, 1024  # of other sound: samples a second, and at once
_BT709 = 1  # FFmpeg's number of the colours of HD television, which players take for granted
_LARGEST_DENOMINATOR = 1001  # of a frame rate: television's are n * 1000 / 1001


class VideoReader:
    """The frames of a video file or a webcam.

    Args:
        source: Path, or number of a webcam (Linux).

    Attributes:
        frame_rate: Frames per second, on average where the frames are not evenly spaced.
        num_frames: As the file's header tells, or None of a webcam or a file that does not tell.
        clock: Seconds of one unit of the file's time stamps.
        time: When the frame that was given last is to be shown, seconds from the first; of a file that does not tell,
            as the frame rate has it.

    Raises:
        ImportError: PyAV is not installed.
        FileNotFoundError: No such file.
        ValueError: Not a video, or no such webcam.
    """

    def __init__(self, source: Path | int) -> None:
        self._container = _open_webcam(source) if isinstance(source, int) else _open_file(source)
        stream = self._stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self.frame_rate = float(stream.average_rate or stream.guessed_rate or _FALLBACK_RATE)
        self.num_frames = None if isinstance(source, int) else stream.frames or None
        self.clock = stream.time_base or Fraction(1) / Fraction(self.frame_rate).limit_denominator(_LARGEST_DENOMINATOR)
        self.time = 0.0
        self._start: float | None = None

    def __iter__(self) -> Iterator[np.ndarray | None]:
        """Every frame, upright as the file says; None for one that cannot be decoded.

        A file that ends before the frames its header tells of gives None for one more.
        """
        packets = given = reached = 0
        for packet in self._packets():
            packets += packet.size > 0
            reached = max(reached, packet.dts or 0)
            for frame in _decoded(packet):
                self.time = self._time(frame, given)
                given += 1
                yield None if frame is None else _upright(frame)
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
        except _av().FFmpegError:
            return

    def _time(self, frame: Any, index: int) -> float:
        """Of a frame; one without a time stamp follows the last by the frame rate."""
        stamp = None if frame is None else frame.time
        if stamp is None:
            return self.time + (1 / self.frame_rate if index else 0.0)
        if self._start is None:
            self._start = stamp - (index / self.frame_rate)
        return max(float(stamp - self._start), self.time)

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
        self._path, self._size, self._rate = os.fspath(path), size, frame_rate
        self._called = called or path
        self._count, self._last = 0, -1
        rate = Fraction(frame_rate).limit_denominator(_LARGEST_DENOMINATOR)
        self._clock = clock or 1 / rate
        with self._told():
            Path(path).touch()  # FFmpeg opens it when it writes
            self._container = _av().open(self._path, "w", format="mp4", options={"movflags": "faststart"})
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
        picture = _av().VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
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
        except (_av().FFmpegError, OSError) as error:
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


class Sound:
    """The sound of a video file on its way into another, moved so that it stays with the pictures.

    Args:
        source: The opened file.
        target: The file that is written.
    """

    def __init__(self, source: Any, target: Any) -> None:
        self._source, self._target = source, target
        stream, video = source.streams.audio[0], source.streams.video[0]
        self._start = float((video.start_time or 0) * video.time_base)
        self._copied = stream.codec_context.codec.canonical_name in _PLAYED
        if self._copied:
            self._stream = target.add_stream_from_template(stream)
        else:
            layout = "mono" if stream.layout.nb_channels == 1 else "stereo"
            self._stream = target.add_stream("aac", rate=_AAC_RATE, layout=layout)
            self._resampler = _av().AudioResampler("fltp", layout, _AAC_RATE, _AAC_FRAME)
        self._packets = source.demux(stream)
        self._next: Any = next(self._packets, None)

    @classmethod
    def of(cls, path: Path, target: Any) -> Sound | None:
        """The sound of a file, None where it has none that can be read."""
        source = _open_file(path)
        if source.streams.audio and source.streams.audio[0].codec_context is not None:
            return cls(source, target)
        source.close()
        return None

    def write_until(self, time: float, end: bool = False) -> None:
        """Write what is heard up to a time of the pictures, seconds; ``end``: nothing comes after."""
        while self._next is not None and self._next.pts is not None:
            if float(self._next.pts * self._next.time_base) - self._start > time:
                break
            self._write(self._next)
            self._advance()
        if end and not self._copied:
            self._encode(None)
            self._target.mux(self._stream.encode(None))

    def _advance(self) -> None:
        try:
            self._next = next(self._packets, None)
        except _av().FFmpegError:  # the file breaks off
            self._next = None

    def _write(self, packet: Any) -> None:
        if not self._copied:
            for frame in _decoded(packet):
                if frame is not None:
                    frame.pts -= round(self._start / frame.time_base)
                    self._encode(frame)
            return
        shift = round(self._start / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, (packet.dts or packet.pts) - shift
        packet.stream = self._stream
        self._target.mux(packet)

    def _encode(self, frame: Any) -> None:
        """As AAC; None for what the resampler still holds."""
        for part in self._resampler.resample(frame):
            self._target.mux(self._stream.encode(part))

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()


def _open_file(path: Path) -> Any:
    require_file(path, "video")
    av = _av()
    try:
        container = av.open(os.fspath(path), options=_READ)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(f"video {path} cannot be read: {one_line(error)}") from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise ValueError(f"video {path} cannot be read: no pictures in it, or of a codec that FFmpeg does not know")
    return container


def _open_webcam(number: int) -> Any:
    av = _av()
    try:
        if sys.platform != "linux":
            raise OSError("webcams are read by Video4Linux, on Linux")
        return av.open(f"/dev/video{number}", format="v4l2")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(
            f"webcam {number} cannot be opened; expected the number of one, 0 for the first: {one_line(error)}"
        ) from error


def _decoded(packet: Any) -> list[Any]:
    """The frames that a packet completes; None in place of those that cannot be decoded."""
    try:
        return list(packet.decode())
    except _av().FFmpegError:
        return [None]


def _upright(frame: Any) -> np.ndarray:
    """The pixels, turned and mirrored as the file's display matrix says."""
    pixels = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    # a point (x, y) of the stored picture is shown at (a x + c y, b x + d y)
    a, b, _, c, d = np.frombuffer(bytes(matrix), "<i4")[:5]
    if abs(b) > abs(a):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


@functools.cache
def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError(f"videos need PyAV ({error}): {REMEDY}") from error
    av.logging.set_level(None)  # what FFmpeg prints about a broken file would stand beside our own lines
    return av
