"""FFmpeg, by way of PyAV (extra ``[video]``): imported when first needed, and opening what it reads.

A file is read by the formats of videos alone, and nothing that it names is opened: FFmpeg also knows playlists and
scripts.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

from mion_plugin.files.npz import one_line
from mion_plugin.files.presence import require_file

REMEDY = "pip install 'mion-plugin[video]'"
_READ = {
    "format_whitelist": "avi,m4v,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo,asf",
    "protocol_whitelist": "file",
}


@functools.cache
def pyav() -> Any:
    """The module ``av``.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(f"videos need PyAV ({error}): {REMEDY}") from error
    av.logging.set_level(None)  # what FFmpeg prints about a broken file would stand beside our own lines
    return av


def plain_path(path: str | os.PathLike[str]) -> str:
    """A path that FFmpeg takes for one: ``12:30.mp4`` alone were something of the protocol ``12``."""
    return os.path.abspath(path)


def open_video(path: Path) -> Any:
    """PyAV's container of a file with pictures.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a video.
    """
    require_file(path, "video")
    av = pyav()
    try:
        container = av.open(plain_path(path), options=_READ)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(f"video {path} cannot be read: {one_line(error)}") from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise ValueError(f"video {path} cannot be read: no pictures in it, or of a codec that FFmpeg does not know")
    return container


def open_webcam(number: int) -> Any:
    """PyAV's container of a webcam; ValueError if there is none of that number."""
    av = pyav()
    try:
        if sys.platform != "linux":
            raise OSError("webcams are read by Video4Linux, on Linux")
        return av.open(f"/dev/video{number}", format="v4l2")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(
            f"webcam {number} cannot be opened; expected the number of one, 0 for the first: {one_line(error)}"
        ) from error


def decoded(packet: Any) -> list[Any]:
    """The frames that a packet completes; None in place of those that cannot be decoded."""
    try:
        return list(packet.decode())
    except pyav().FFmpegError:
        return [None]
