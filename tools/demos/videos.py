"""What the web page shows of one video, without the page: the demo's results, in a folder of their own."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demos.inferring import expected_count, infer_source
from demos.results import PeopleOfVideo, Wishes, watched, write_bodies_of_video

from mion_plugin.constants import MOTION_FORMATS
from mion_plugin.inference import FramePeople, FrameSource, MIONInferencer, open_source
from mion_plugin.inference.frames import NobodyError, PeopleFinder
from mion_plugin.inference.partial_lines import PartialLines
from mion_plugin.inference.videos import VIDEO_SUFFIXES

MAX_FRAMES = 900  # half a minute at 30 pictures a second: who waits for more takes tools/demo.py, which can go on


@dataclass(frozen=True)
class FoundVideo:
    """A video with the bodies over it, and the files beside it.

    Attributes:
        video: The file to look at.
        files: All files, the video first.
        summary: What was found, in a line.
        folder: Where they are.
    """

    video: Path
    files: list[Path]
    summary: str
    folder: Path

    def delete(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Watch:
    """Sees a video's results pass, and may end them.

    Attributes:
        tell: Is given the number of pictures done, and of all or None.
        stopped: Says whether to end before the next picture; what is done is kept.
        limit: Of pictures; a longer video is cut.
        done: Pictures.
        empty: Those without a body.
        people: Whom they show.
        cut: Whether it was stopped.
    """

    tell: Callable[[int, int | None], None]
    stopped: Callable[[], bool]
    limit: int = MAX_FRAMES
    done: int = 0
    empty: int = 0
    people: PeopleOfVideo = field(default_factory=PeopleOfVideo)
    cut: bool = False

    def __call__(self, results: Iterable[FramePeople], count: int | None) -> Iterator[FramePeople]:
        """Pass the results of ``count`` pictures on, if so many are known.

        Raises:
            NobodyError: It was stopped before the first.
        """
        results = iter(results)
        while not self.stopped():
            self.tell(self.done, count)
            result = next(results, None)
            if result is None:
                return
            self.done, self.empty = self.done + 1, self.empty + (not result.people)
            self.people.see(result)
            yield result
        self.cut = True
        if not self.done:
            raise NobodyError("It was stopped before the first picture.")

    def summary(self, source: FrameSource) -> str:
        """What was found, in a line."""
        parts = [self.people.told(f"{self.done} pictures")]
        if self.empty:
            parts.append(f"nobody in {self.empty} of them")
        if self.cut:
            parts.append("stopped: the rest was not looked at")
        elif self.done == self.limit and (source.count is None or source.count > self.limit):
            parts.append(f"the page looks at the first {self.limit}; tools/demo.py takes any length")
        return "; ".join(parts)


def follow_bodies(
    path: Path, name: str, inferencer: MIONInferencer, find: PeopleFinder, root: Path, watch: Watch
) -> FoundVideo:
    """Find the people of a video and their bodies, by what ``tools/demo.py VIDEO`` does.

    Args:
        path: The file.
        name: What the user calls it.
        inferencer: Finds the bodies.
        find: Finds the people.
        root: Folder in which the result gets one of its own.
        watch: Sees the results pass.

    Raises:
        ValueError: No video that can be read.
        NobodyError: Nobody in it, or in what was looked at.
        ImportError: PyAV is not installed.
    """
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        source = _open(path, name)
        lines = PartialLines(folder / f"{source.name}.jsonl", {})
        results = infer_source(source, inferencer, find, lines, max_frames=watch.limit)
        results = watch(results, expected_count(source, watch.limit))
        results = watched(results, single=False, tell=lambda problem: None)  # the summary counts them
        wishes = Wishes(folder, motion_formats=MOTION_FORMATS)
        files = write_bodies_of_video(results, source, lines, inferencer, None, wishes)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FoundVideo(files[0], files, watch.summary(source), folder)


def _open(path: Path, name: str) -> FrameSource:
    """The video under the user's name for it; its path means nothing to them."""
    if Path(name).suffix.lower() not in VIDEO_SUFFIXES:
        raise ValueError(f"{name} is no video by its ending; expected {', '.join(VIDEO_SUFFIXES)}")
    try:
        return dataclasses.replace(open_source(str(path)), name=Path(name).stem)
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(error).replace(str(path), name)}") from error
