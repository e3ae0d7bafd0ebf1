"""From a source of photographs or a video to their people's bodies, for the demo and the web page."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from mion_plugin.inference import (
    Frame,
    FramePeople,
    FrameSource,
    KeypointTracker,
    MIONInferencer,
    SideSwapGuard,
    infer_frames,
)
from mion_plugin.inference.frames import PeopleFinder, number_in_order
from mion_plugin.inference.partial_lines import PartialLines
from mion_plugin.inference.video_results import resume_frames

BATCH_SIZE = 8  # images, and people, at once


def infer_source(
    source: FrameSource,
    inferencer: MIONInferencer,
    find: PeopleFinder,
    lines: PartialLines,
    person: int | None = None,
    max_frames: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[FramePeople]:
    """The bodies of each frame's people; a video's keep their numbers, and their left and right.

    Args:
        source: Photographs or a video.
        inferencer: Finds the bodies.
        find: Finds the people.
        lines: Those that were kept of an earlier run are not inferred again.
        person: Number of the only one to look at; None for all.
        max_frames: Stop after so many; None for all.
        batch_size: Frames, and people, at once.

    Raises:
        ValueError: ``batch_size`` is below 1, or a line is of another frame.
    """
    tracker = None if source.frame_rate is None else KeypointTracker(frame_rate=source.frame_rate)
    # needs later frames, which a webcam has not
    sides = None if source.live or tracker is None else SideSwapGuard(frame_rate=source.frame_rate)

    def infer(frames: Iterable[Frame]) -> Iterator[FramePeople]:
        at_once = 1 if source.live else batch_size  # a webcam's batch would wait for its last frame
        return infer_frames(inferencer, frames, find, tracker or number_in_order, person, at_once, sides)

    frames = itertools.islice(source.frames, max_frames)
    return resume_frames(lines.kept, frames, inferencer.body, tracker, infer, sides)


def expected_count(source: FrameSource, max_frames: int | None) -> int | None:
    """How many frames to expect, for a bar of progress; the most where the source cannot tell, None without a limit."""
    known = [count for count in (source.count, max_frames) if count is not None]
    return min(known, default=None)
