"""What is written about a video: the frames with the bodies over them, and a line of JSON for every frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mion_plugin.body import SMPLBody
from mion_plugin.files import atomic_path
from mion_plugin.inference.frame_lines import describe_frame, read_frame
from mion_plugin.inference.frames import FramePeople
from mion_plugin.inference.partial_lines import PartialLines
from mion_plugin.inference.side_swaps import SideSwapGuard, tells_sides
from mion_plugin.inference.sources import Frame, FrameSource
from mion_plugin.inference.tracking import KeypointTracker
from mion_plugin.inference.videos import VideoWriter


def write_video(
    results: Iterable[FramePeople],
    path: Path,
    frame_rate: float,
    draw: Callable[[FramePeople], np.ndarray],
    source: FrameSource | None = None,
) -> list[Path]:
    """Write the video; it appears at the end, whole, or not at all.

    Args:
        results: Of every frame. One that could not be read has no picture in the video.
        path: Ends in ``.mp4``. Not written where no frame could be read.
        frame_rate: Frames per second.
        draw: The picture (H, W, 3) uint8 of a frame, of one size for all.
        source: Whose time stamps and sound the video gets. Of a webcam, Ctrl-C ends the video, and what was done until
            then is kept.

    Returns:
        The files written.
    """
    clock, sound, live = (None, None, False) if source is None else (source.clock, source.video, source.live)
    with ExitStack() as stack:
        writer: VideoWriter | None = None
        try:
            for result in results:
                if result.frame.pixels is None:
                    continue
                picture = draw(result)
                if writer is None:
                    temporary = stack.enter_context(atomic_path(path))
                    size = (picture.shape[1], picture.shape[0])
                    writer = stack.enter_context(VideoWriter(temporary, frame_rate, size, clock, sound, path))
                writer.write(picture, result.frame.time)
        except KeyboardInterrupt:
            if not live:
                raise
    return [] if writer is None else [path]


def note_results(
    results: Iterable[FramePeople], lines: PartialLines, frame_rate: float | None, body: SMPLBody
) -> Iterator[FramePeople]:
    """Write each result's line, and pass on what the line says: as a resumed run will read it, to the last digit."""
    for number, result in enumerate(results):
        if number < len(lines.kept):  # read from its line already; again would round again
            yield result
            continue
        line = describe_frame(result, frame_rate)
        lines.write(line)
        yield read_frame(line, result.frame, body)


def write_lines(results: Iterable[FramePeople], file: TextIO, frame_rate: float) -> Iterator[FramePeople]:
    """Write each result's line into a file, and pass the result on."""
    for result in results:
        file.write(json.dumps(describe_frame(result, frame_rate), allow_nan=False) + "\n")
        yield result


def resume_frames(
    kept: Sequence[dict[str, Any]],
    frames: Iterable[Frame],
    body: SMPLBody,
    tracker: KeypointTracker | None,
    infer: Callable[[Iterable[Frame]], Iterable[FramePeople]],
    sides: SideSwapGuard | None = None,
) -> Iterator[FramePeople]:
    """The results of all frames, the first ones from the lines of an earlier run.

    Args:
        kept: Those lines, of frames 0, 1, ...
        frames: All frames.
        body: The body model of that run.
        tracker: Goes on with the numbers of that run; None for photographs, whose people are not followed.
        infer: From the other frames to their results.
        sides: Goes on with what that run saw of the people's sides; None where it had none.

    Raises:
        ValueError: A line is of another frame.
    """
    rest = iter(frames)
    for line, frame in zip(kept, rest, strict=False):  # takes no frame after the last line
        result = read_frame(line, frame, body)
        found = result.others | {one.person: one.keypoints2d for one in result.people}
        for number, order in result.exchanged.items():
            if number not in result.others:
                found[number] = found[number][order]  # exchanging pairs again undoes it
        if tracker is not None:
            tracker.recall(found, frame.index)
        if sides is not None:
            _recall_sides(sides, found, result)
        yield result
    yield from infer(rest)


def _recall_sides(sides: SideSwapGuard, found: Mapping[int, np.ndarray], result: FramePeople) -> None:
    for number, keypoints2d in found.items():
        if tells_sides(keypoints2d):
            order = result.exchanged.get(number, slice(None))
            sides.recall(result.frame.index, number, keypoints2d[order])
