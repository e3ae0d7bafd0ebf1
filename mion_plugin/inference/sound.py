"""The sound of a video on its way into another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mion_plugin.inference.ffmpeg import decoded, open_video, pyav

_PLAYED = ("aac", "mp3", "opus", "flac")  # sound that browsers play out of an MP4 file
_AAC_RATE, _AAC_FRAME = 48000, 1024  # of other sound: samples a second, and at once


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
            self._resampler = pyav().AudioResampler("fltp", layout, _AAC_RATE, _AAC_FRAME)
        self._packets = source.demux(stream)
        self._next: Any = next(self._packets, None)

    @classmethod
    def of(cls, path: Path, target: Any) -> Sound | None:
        """The sound of a file, None where it has none that can be read."""
        source = open_video(path)
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
        except pyav().FFmpegError:  # the file breaks off
            self._next = None

    def _write(self, packet: Any) -> None:
        if not self._copied:
            for frame in decoded(packet):
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
