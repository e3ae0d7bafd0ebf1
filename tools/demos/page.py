"""The web page: its parts, and what happens when one of them is used. All of it is served from this machine."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from demos.correction_panel import Anew, Panel, connect_panel, lay_out_panel, show_correction
from demos.corrections import Correction
from demos.keypoint_picture import CSS as KEYPOINT_CSS
from demos.page_parts import KEEP_SECONDS, ONE_AT_A_TIME, SWEEP_SECONDS, Shown, reported
from demos.uploads import COLUMNS, Found, find_again, find_bodies
from demos.video_tab import add_video_tab

from mion_plugin.constants import STAND_IN_GENDERS
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import MIONInferencer, find_in_file
from mion_plugin.inference.frames import PeopleFinder

INTRODUCTION = """# MION: several bodies for one photograph
Drop a photograph of people: each gets several 3D bodies that explain the same 2D keypoints, and the best is chosen.
Nothing leaves this machine."""
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
CSS = (
    KEYPOINT_CSS
    + """
.gradio-container {max-width: 1500px !important; margin: 0 auto}
#pictures .grid-wrap {min-height: 0}
#video_overlay video {max-height: 75vh}
#pictures .thumbnail-lg {aspect-ratio: 1 / 2}
#pictures .caption-label {max-width: 100%}
#pictures, #pictures .grid-wrap {height: auto !important; max-height: none !important}
@media (max-width: 700px) {
    .gradio-container {padding: 8px !important; width: 100% !important; max-width: 100vw !important}
    .gradio-container main, .gradio-container .wrap, .gradio-container .main {max-width: 100%; min-width: 0}
    .gradio-container main {padding: 0 !important}
    .gradio-container .row {flex-direction: column !important}
    .gradio-container .row > *, .gradio-container .column {min-width: 0 !important; width: 100%; max-width: 100%}
    #pictures .grid-container {grid-template-columns: repeat(2, minmax(0, 1fr)) !important}
    #overlay, #photograph {height: auto !important}
    #mesh {height: 340px !important}
    #rows {overflow-x: auto; font-size: 12px}
    #rows * {white-space: normal !important; min-width: 0 !important}
}
"""
)


@dataclass(frozen=True)
class Parts:
    """The page's components that show results.

    ``stale`` are the results whose bodies are still shown, and whose files can be downloaded until new ones are drawn.
    """

    found: gr.State
    stale: gr.State
    summary: gr.Markdown
    views: gr.Row
    overlay: gr.Image
    person: gr.Radio
    reason: gr.Markdown
    gender: gr.Radio
    pictures: gr.Gallery
    rows: gr.Dataframe
    mesh: gr.Model3D
    files: gr.File
    details: gr.Column
    panel: Panel

    @property
    def drawn(self) -> list[Any]:
        """Those that show one person's bodies."""
        return [self.reason, self.gender, self.pictures, self.rows, self.mesh, self.files]

    @property
    def of_person(self) -> list[Any]:
        """Those that show one person."""
        return [*self.drawn, *self.panel.shown]

    @property
    def all(self) -> list[Any]:
        """All that results change."""
        return [self.found, self.summary, self.views, self.overlay, self.person, self.details, *self.of_person]

    @property
    def anew(self) -> list[Any]:
        """Those that change at once when someone's bodies are found anew."""
        return [self.found, self.stale, self.summary, self.overlay, self.person]


def build_page(
    inferencer: MIONInferencer, find: PeopleFinder, folder: Path, detect: PeopleFinder | None = None
) -> gr.Blocks:
    """The page.

    Args:
        inferencer: Finds the bodies.
        find: Finds the people.
        folder: For files; they are removed an hour after they were last used.
        detect: Finds people in a part of a photograph that a user shows; None where keypoints come from a file.
    """
    others = functools.cache(inferencer.in_gender)

    def in_gender(gender: str | None) -> MIONInferencer:
        return inferencer if gender in (None, inferencer.gender) else others(gender)

    look = functools.partial(find_bodies, inferencer=inferencer, root=folder)
    with gr.Blocks(title="mion_plugin", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEEP_SECONDS)) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Tab("Photograph"):
            with gr.Row():
                with gr.Column(scale=1, min_width=280):
                    photograph, example = _lay_out_input()
                with gr.Column(scale=3):
                    parts = _lay_out_results(detect is not None)
            _connect(photograph, example, parts, look, find)
            redraw = _redraw_after(parts)
            anew = Anew(parts.found, parts.stale, parts.anew, _found_anew, redraw)
            connect_panel(parts.panel, anew, in_gender, detect, folder)
            redraw(_connect_gender(parts, in_gender, folder))
        with gr.Tab("Video"):
            add_video_tab(page, inferencer, find, folder)
    return page


def _lay_out_input() -> tuple[gr.Image, gr.Examples]:
    photograph = gr.Image(
        type="filepath",
        image_mode=None,  # the file as it is
        sources=["upload", "clipboard"],
        label="Photograph",
        height=360,
        elem_id="photograph",
    )
    example = gr.Examples([[str(PHOTO)]], photograph, label="No photograph at hand? Click this one.", elem_id="example")
    return photograph, example


def _lay_out_results(detects: bool) -> Parts:
    found = gr.State(time_to_live=KEEP_SECONDS, delete_callback=_delete)
    stale = gr.State(())
    summary = gr.Markdown(elem_id="summary")
    person = gr.Radio(label="Person", visible=False, elem_id="person")
    with gr.Row() as views:
        overlay = gr.Image(
            label="Chosen bodies", interactive=False, height=420, buttons=["download", "fullscreen"], elem_id="overlay"
        )
        mesh = gr.Model3D(label="3D", interactive=False, height=420, clear_color=(0.97, 0.97, 0.97, 1), elem_id="mesh")
    with gr.Column(visible=False) as details:
        reason = gr.Markdown(elem_id="reason")
        gender = gr.Radio(list(STAND_IN_GENDERS), label="This person's body", elem_id="gender")
        panel = lay_out_panel(detects)
        gr.Markdown(
            "**Paths**: the chosen one first, above in the image, below from the side. The others are red where they "
            "lie nearer to the camera than the chosen one, blue where they lie farther, and have its outline around "
            "them. Click one to turn it in 3D."
        )
        pictures = gr.Gallery(
            label="Paths",
            show_label=False,
            columns=5,
            height="auto",
            object_fit="contain",
            interactive=False,
            preview=False,
            allow_preview=False,
            buttons=[],
            elem_id="pictures",
        )
        rows = gr.Dataframe(
            headers=list(COLUMNS), label="Scores; the lowest is chosen", interactive=False, elem_id="rows"
        )
        files = gr.File(
            label="The chosen body as a mesh; all paths' numbers and parameters; everyone's keypoints",
            interactive=False,
            elem_id="files",
        )
    return Parts(
        found, stale, summary, views, overlay, person, reason, gender, pictures, rows, mesh, files, details, panel
    )


def _connect(
    photograph: gr.Image, example: gr.Examples, parts: Parts, look: Callable[..., Found], find: PeopleFinder
) -> None:
    """Say what follows what a user does; results of the photograph before go first."""
    example_find = find_in_file(KEYPOINTS)

    told = functools.partial(reported, said=_said, what="This photograph")

    @told
    def show_upload(upload: dict[str, Any] | None) -> Shown:
        if not upload:
            return _clear(None)
        return _results(look(Path(upload["path"]), upload["orig_name"] or "photograph", find=find))

    @told
    def show_example() -> Shown:
        return _results(look(PHOTO, PHOTO.name, find=example_find))

    clear = {"fn": _clear, "inputs": parts.found, "outputs": parts.all, "show_progress": "hidden"}
    # preprocess=False: Gradio would decode the file by itself and fail on a bad one with a traceback
    photograph.upload(**clear).then(show_upload, photograph, parts.all, preprocess=False, **ONE_AT_A_TIME)
    example.load_input_event.then(**clear).then(show_example, None, parts.all, **ONE_AT_A_TIME)
    photograph.clear(**clear)
    parts.person.input(_show_person, [parts.found, parts.person], parts.of_person)
    parts.pictures.select(_show_mesh, [parts.found, parts.person], parts.mesh)


def _said(line: str) -> Shown:
    """Empty values of ``Parts.all`` but for a line."""
    found, _, _, *rest = _clear(None)
    return [found, gr.Markdown(line), gr.Row(visible=False), *rest]


def _results(found: Found) -> Shown:
    """The values of ``Parts.all``, with the first person."""
    number = found.numbers[0]
    people = gr.Radio(found.numbers, value=number, visible=len(found.numbers) > 1)
    return [
        found,
        _summary(found),
        gr.Row(visible=True),
        found.overlay(),
        people,
        gr.Column(visible=True),
        *_show_person(found, number),
    ]


def _show_person(found: Found | None, number: int) -> Shown:
    """The values of ``Parts.of_person``."""
    if found is None:
        raise _gone()
    return [*_draw_person(found, number), *show_correction(Correction.of(found, number))]


def _draw_person(found: Found, number: int) -> Shown:
    """The values of ``Parts.drawn``."""
    files = [str(path) for path in found.files(number)]
    return [
        html.escape(found.reason(number)),
        found.gender(number),
        found.pictures(number),
        found.rows(number),
        _mesh_view(found, number, 0),
        files,
    ]


def _connect_gender(parts: Parts, in_gender: Callable[[str | None], MIONInferencer], folder: Path) -> Any:
    """Let one person get another body; the event of it."""

    def switch(before: Found | None, number: int, gender: str, stale: tuple[Found, ...]) -> Shown:
        if before is None:
            raise _gone()
        try:
            after = find_again(before, number, before.known[number], in_gender(gender), folder)
        except (OSError, ValueError) as error:  # no such body beside the neutral one
            line = f"**Person {number} keeps the {before.gender(number)} body.** {html.escape(str(error))}"
            return [line, before.gender(number), *(gr.skip() for _ in parts.anew)]
        return [gr.skip(), gr.skip(), *_found_anew(before, after, number, stale)]

    inputs, outputs = [parts.found, parts.person, parts.gender, parts.stale], [parts.reason, parts.gender, *parts.anew]
    return parts.gender.input(switch, inputs, outputs, trigger_mode="multiple", **ONE_AT_A_TIME)


def _found_anew(before: Found, after: Found, number: int, stale: tuple[Found, ...]) -> Shown:
    """The values of ``Parts.anew``; who was shown before stays, but for somebody new."""
    numbers = after.numbers
    people = gr.skip() if number in before.numbers else gr.Radio(numbers, value=number, visible=len(numbers) > 1)
    return [after, (*stale, before), _summary(after), after.overlay(), people]


def _summary(found: Found) -> gr.Markdown:
    return gr.Markdown(f"**{html.escape(found.summary())}**")


def _redraw_after(parts: Parts) -> Callable[[Any], None]:
    """What lets ``Parts.drawn`` follow an event in which someone's bodies may have been found anew."""

    def redraw(stale: tuple[Found, ...], found: Found | None, number: int) -> Shown:
        if not stale or found is None:
            return [(), *(gr.skip() for _ in parts.drawn)]
        drawn = _draw_person(found, number)
        for before in stale:
            before.delete()
        return [(), *drawn]

    inputs, outputs = [parts.stale, parts.found, parts.person], [parts.stale, *parts.drawn]
    return lambda event: event.then(redraw, inputs, outputs, trigger_mode="multiple", **ONE_AT_A_TIME)


def _show_mesh(found: Found | None, number: int, event: gr.SelectData) -> gr.Model3D:
    if found is None:
        raise _gone()
    return _mesh_view(found, number, event.index)


def _mesh_view(found: Found, number: int, place: int) -> gr.Model3D:
    mesh, name = found.mesh(number, place)
    return gr.Model3D(str(mesh), label=f"3D: path {name}; drag to turn")


def _clear(found: Found | None) -> Shown:
    """Empty values of ``Parts.all``."""
    _delete(found)
    of_person = ["", None, None, None, gr.Model3D(None, label="3D"), None, *show_correction(None)]
    return [None, "", gr.Row(visible=True), None, gr.Radio(visible=False), gr.Column(visible=False), *of_person]


def _delete(found: Found | None) -> None:
    if found is not None:
        found.delete()


def _gone() -> gr.Error:
    return gr.Error("The results were kept for an hour; drop the photograph again.", print_exception=False)
