"""The web page's part for videos."""

from __future__ import annotations

import functools
import html
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from demos.example_clip import write_example_clip
from demos.page_parts import KEEP_SECONDS, ONE_AT_A_TIME, Shown, reported
from demos.videos import MAX_FRAMES, FoundVideo, Watch, follow_bodies

from mion_plugin.inference import MIONInferencer, find_in_file
from mion_plugin.inference.frames import PeopleFinder
from mion_plugin.inference.videos import VIDEO_SUFFIXES

INTRODUCTION = f"""A video ({", ".join(VIDEO_SUFFIXES)}) of up to 100 MB. The page looks at its first {MAX_FRAMES}
pictures, half a minute at 30 a second; `mion demo VIDEO` takes any length, and goes on where it was stopped."""
FILES = "The video; each person's motion as .npz (AMASS), .bvh, .glb and .csv of joint angles; a line of JSON a picture"
_BAR = 110  # pixels that the bar of progress needs


class Stops:
    """Which visitors do not want to wait for their video any longer."""

    def __init__(self) -> None:
        self._flags: dict[str | None, threading.Event] = {}

    def begin(self, visitor: str | None) -> None:
        """A visitor has a video looked at, and no longer the one before."""
        self.end(visitor)
        self._flags[visitor] = threading.Event()

    def stopped(self, visitor: str | None) -> Callable[[], bool]:
        """What says whether to stop the video of a visitor; also that of one who has gone."""
        flag = self._flags.get(visitor)
        return flag.is_set if flag is not None else lambda: True

    def end(self, visitor: str | None) -> None:
        """Stop a visitor's video, if there is one."""
        if visitor in self._flags:
            self._flags[visitor].set()

    def forget(self, visitor: str | None) -> None:
        """Stop it, since nobody is there to see it."""
        self.end(visitor)
        self._flags.pop(visitor, None)


def add_video_tab(page: gr.Blocks, inferencer: MIONInferencer, find: PeopleFinder, folder: Path) -> None:
    """Add it to the part of the page that is being built; arguments as ``build_page``."""
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            # a plain file: what the browser cannot play may still be read here
            upload = gr.File(label="Video", height=140, elem_id="video")
            example = gr.Button("No video at hand? Take this clip", size="sm", elem_id="video_example")
            stop = gr.Button("Stop, and keep what is done", size="sm", visible=False, elem_id="video_stop")
        with gr.Column(scale=3):
            found = gr.State(time_to_live=KEEP_SECONDS, delete_callback=_delete)
            summary = gr.Markdown(elem_id="video_summary")
            player = gr.Video(label="Chosen bodies", interactive=False, elem_id="video_overlay", visible=False)
            files = gr.File(label=FILES, interactive=False, elem_id="video_files", visible=False)
    shown, stops = [found, summary, player, files, stop], Stops()
    look = functools.partial(follow_bodies, inferencer=inferencer, root=folder)
    told = functools.partial(reported, said=_said, what="This video")

    def show_upload(
        upload: dict[str, Any] | None, visitor: str | None, tell: Callable[[int, int | None], None]
    ) -> Shown:
        if not upload:
            return _clear(None)
        path, name = Path(upload["path"]), upload["orig_name"] or "video"
        return _results(look(path, name, find=find, watch=Watch(tell, stops.stopped(visitor))))

    def show_example(visitor: str | None, tell: Callable[[int, int | None], None]) -> Shown:
        video, keypoints = write_example_clip(folder)
        watch = Watch(tell, stops.stopped(visitor))
        return _results(look(video, video.name, find=find_in_file(keypoints), watch=watch))

    def on_upload(upload: dict[str, Any] | None, request: gr.Request, progress=gr.Progress()) -> Shown:  # noqa: B008
        return told(show_upload)(upload, request.session_hash, _teller(progress))

    def on_example(request: gr.Request, progress=gr.Progress()) -> Shown:  # noqa: B008  as Gradio finds it
        return told(show_example)(request.session_hash, _teller(progress))

    def begin(before: FoundVideo | None, request: gr.Request) -> Shown:
        stops.begin(request.session_hash)
        _, _, *rest, _ = _clear(before)
        return [None, gr.Markdown("", min_height=_BAR), *rest, gr.Button(visible=True)]

    def end(request: gr.Request) -> None:
        stops.end(request.session_hash)

    def leave(request: gr.Request) -> None:
        stops.forget(request.session_hash)

    clear = {"fn": begin, "inputs": found, "outputs": shown, "show_progress": "hidden"}
    options = {"show_progress_on": summary, **ONE_AT_A_TIME}
    upload.upload(**clear).then(on_upload, upload, shown, preprocess=False, **options)
    example.click(**clear).then(on_example, None, shown, **options)
    upload.clear(_clear, found, shown)
    stop.click(end, None, None)
    page.unload(leave)


def _teller(progress: gr.Progress) -> Callable[[int, int | None], None]:
    """Shows how many pictures are done."""
    return lambda done, total: progress((done, total), desc="Looking for bodies", unit="pictures")


def _results(found: FoundVideo) -> Shown:
    files = [str(path) for path in found.files]
    player, downloads = gr.Video(str(found.video), visible=True), gr.File(files, visible=True)
    summary = gr.Markdown(f"**{html.escape(found.summary)}**", min_height=0)
    return [found, summary, player, downloads, gr.Button(visible=False)]


def _said(line: str) -> Shown:
    found, _, *rest = _clear(None)
    return [found, gr.Markdown(line, min_height=0), *rest]


def _clear(found: FoundVideo | None) -> Shown:
    _delete(found)
    return [
        None,
        gr.Markdown("", min_height=0),
        gr.Video(None, visible=False),
        gr.File(None, visible=False),
        gr.Button(visible=False),
    ]


def _delete(found: FoundVideo | None) -> None:
    if found is not None:
        found.delete()
