"""What is written about a video: the frames with the bodies over them, and a line of JSON for every frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.files import atomic_path
from mion_plugin.inference.frames import FramePeople
from mion_plugin.inference.videos import VideoWriter


def describe_frame(result: FramePeople, frame_rate: float | None) -> dict[str, Any]:
    """A frame and its people, ready for a line of JSON.

    ``frame`` is its index, ``time`` in seconds as the video's time stamps have it (null of photographs),
    ``image`` its name, ``num_people`` how many were found, ``people`` a list of ``PersonBodies.describe_selected``,
    ``problems`` a list of what was left out and why.
    """
    index, time = result.frame.index, result.frame.time
    if time is None and frame_rate is not None:
        time = index / frame_rate
    return {
        "frame": index,
        "time": None if time is None else round(time, 6),
        "image": result.frame.name,
        "num_people": len(result.people),
        "people": [person.describe_selected() for person in result.people],
        "problems": result.problems,
    }


def write_video(
    results: Iterable[FramePeople],
    video_path: Path,
    lines_path: Path,
    frame_rate: float,
    draw: Callable[[FramePeople], np.ndarray],
    live: bool = False,
) -> list[Path]:
    """Write the video and its JSON lines; both appear at the end, whole, or not at all.

    Args:
        results: Of every frame. One that could not be read has its line, but no picture in the video.
        video_path: Ends in ``.mp4``. Not written where no frame could be read.
        lines_path: Of the JSON lines.
        frame_rate: Frames per second.
        draw: The picture (H, W, 3) uint8 of a frame, of one size for all.
        live: Of a webcam: Ctrl-C ends the video, and what was done until then is kept.

    Returns:
        The files written.
    """
    with ExitStack() as stack:
        lines = stack.enter_context(stack.enter_context(atomic_path(lines_path)).open("w", encoding="utf-8"))
        writer: VideoWriter | None = None
        try:
            for result in results:
                lines.write(json.dumps(describe_frame(result, frame_rate), allow_nan=False) + "\n")
                if result.frame.pixels is None:
                    continue
                picture = draw(result)
                if writer is None:
                    temporary = stack.enter_context(atomic_path(video_path))
                    size = (picture.shape[1], picture.shape[0])
                    writer = stack.enter_context(VideoWriter(temporary, frame_rate, size))
                writer.write(picture)
        except KeyboardInterrupt:
            if not live:
                raise
    return [lines_path] if writer is None else [video_path, lines_path]
