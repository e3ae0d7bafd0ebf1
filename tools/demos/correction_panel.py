"""The web page's part in which a person's keypoints are corrected by dragging them."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from demos.corrections import Correction, correct_bodies
from demos.keypoint_file import known_keypoints
from demos.keypoint_picture import SCRIPT, draw_keypoint_picture
from demos.page_parts import KEEP_SECONDS, ONE_AT_A_TIME, Shown
from demos.uploads import Found

from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.frames import PeopleFinder

NEAR, WHOLE = "the person", "the whole photograph"
KEYPOINT, BOX = "keypoints", "a box"
HELP = """Drag a keypoint to where it belongs: the bodies follow. Or click it, then the place; by the keyboard, tab to
it and press the arrows. Mark as absent what cannot be seen. The person's left side is orange, the right side blue. What
you set counts as certain, as keypoints from a file do."""
GONE = "The results were kept for an hour; drop the photograph again."
HELP_BOX = " In a box that you draw, the detector looks for somebody whom it got wrong or missed."


@dataclass(frozen=True)
class Panel:
    """Its components.

    Attributes:
        state: A ``Correction``.
        told: What to do next.
        picture: To drag in.
        keypoint: Which keypoint the next click puts down.
        show: How much of the photograph to show.
        drags: What dragging moves, for where a detector could look in a box.
    """

    state: gr.State
    told: gr.Markdown
    picture: gr.HTML
    keypoint: gr.Dropdown
    show: gr.Radio
    drags: gr.Radio
    absent: gr.Button
    undo: gr.Button
    another: gr.Button

    @property
    def shown(self) -> list[Any]:
        """Those that tell of the correction."""
        return [self.state, self.told, self.picture, self.keypoint, self.show, self.drags]


def lay_out_panel(detects: bool) -> Panel:
    """Add it to what is being built; ``detects``: there is a detector to look in boxes with."""
    with gr.Accordion("Wrong keypoints? Correct them", open=False, elem_id="correction"):
        gr.Markdown(HELP + HELP_BOX * detects)
        state = gr.State(time_to_live=KEEP_SECONDS)
        with gr.Row():
            with gr.Column(scale=3, min_width=280):
                picture = gr.HTML("", js_on_load=SCRIPT, elem_id="keypoints")
                told = gr.Markdown(elem_id="told")  # beneath: the picture must not move when the line gets longer
            with gr.Column(scale=1, min_width=240):
                drags = gr.Radio([KEYPOINT, BOX], value=KEYPOINT, label="Drag", visible=detects, elem_id="drags")
                keypoint = gr.Dropdown([], label="Keypoint", filterable=False, elem_id="keypoint")
                with gr.Row():
                    absent = gr.Button("It is absent", size="sm", min_width=90, elem_id="absent")
                    undo = gr.Button("Undo", size="sm", min_width=90, elem_id="undo")
                show = gr.Radio([NEAR, WHOLE], value=NEAR, label="Show", elem_id="show")
                another = gr.Button("Somebody is missing: add a person", size="sm", elem_id="another")
    return Panel(state, told, picture, keypoint, show, drags, absent, undo, another)


@dataclass(frozen=True)
class Anew:
    """How the page shows bodies that were found anew.

    Attributes:
        found: A ``Found``.
        stale: What was found before and is still shown.
        outputs: What changes at once.
        values: Theirs, from what was found before, what is found now, the number of the person, and ``stale``.
        redraw: Makes what shows one person follow an event, if bodies were found anew in it.
    """

    found: gr.State
    stale: gr.State
    outputs: list[Any]
    values: Callable[[Found, Found, int, tuple[Found, ...]], Shown]
    redraw: Callable[[Any], None]


def connect_panel(
    panel: Panel,
    anew: Anew,
    in_gender: Callable[[str | None], MIONInferencer],
    detect: PeopleFinder | None,
    folder: Path,
) -> None:
    """Say what follows what a user does in it.

    Args:
        panel: It.
        anew: Shows bodies that were found anew.
        in_gender: Finds bodies of a gender; of None, as people who are new get them.
        detect: Looks in boxes.
        folder: For files.
    """

    def find_anew(before: Found | None, correction: Correction | None, stale: tuple[Found, ...]) -> Shown:
        if before is None or correction is None:
            return [GONE, *_unchanged(anew.outputs)]
        number = correction.number
        try:
            if correction.is_empty or before.is_known(number, correction.keypoints2d):  # then there is nothing to do
                return [gr.skip(), *_unchanged(anew.outputs)]
            after = correct_bodies(before, correction, in_gender(before.gender(number)), folder)
        except ValueError as error:
            line = f"**No body was found.** {html.escape(str(error))}. {correction.told()}"
            return [line, *_unchanged(anew.outputs)]
        line = f"**Person {number}.** The bodies above are found anew, by these keypoints. {correction.told()}"
        return [line, *anew.values(before, after, number, stale)]

    def add(before: Found | None) -> Shown:
        if before is None:
            return _instead(panel, GONE)
        number = len(known_keypoints(before.result))
        return show_correction(Correction.of_nobody(before.pixels, number).draw_box(detect is not None))

    def show_step(step: Callable[..., Correction], correction: Correction | None, *values: Any) -> Shown:
        if correction is None:
            return _instead(panel, GONE)
        try:
            return show_correction(step(correction, *values))
        except ValueError as error:
            return _instead(panel, html.escape(str(error)))

    def put(correction: Correction | None, event: gr.EventData) -> Shown:
        return show_step(Correction.put, correction, event.keypoint, event.point)

    def choose(correction: Correction | None, event: gr.EventData) -> Shown:
        return show_step(Correction.choose, correction, event.keypoint)

    def set_box(correction: Correction | None, event: gr.EventData) -> Shown:
        return show_step(Correction.set_box, correction, event.box)

    def steps(listener: Callable[..., Any], step: Callable[..., Correction], *inputs: Any, **options: Any) -> Any:
        return listener(functools.partial(show_step, step), [panel.state, *inputs], panel.shown, **options)

    def find_after(event: Any) -> None:
        inputs, outputs = [anew.found, panel.state, anew.stale], [panel.told, *anew.outputs]
        anew.redraw(event.then(find_anew, inputs, outputs, trigger_mode="multiple", **ONE_AT_A_TIME))

    quick = {"show_progress": "hidden", "trigger_mode": "multiple"}
    find_after(panel.picture.input(put, panel.state, panel.shown, **quick))
    panel.picture.select(choose, panel.state, panel.shown, **quick)
    steps(panel.keypoint.input, Correction.choose, panel.keypoint, **quick)
    find_after(steps(panel.absent.click, Correction.absent, **quick))
    find_after(steps(panel.undo.click, Correction.undo, **quick))
    steps(panel.show.input, lambda before, show: dataclasses.replace(before, whole=show == WHOLE), panel.show, **quick)
    steps(panel.drags.input, lambda before, drags: before.draw_box(drags == BOX), panel.drags, **quick)
    panel.another.click(add, anew.found, panel.shown, **quick)
    if detect is not None:
        drawn = panel.picture.release(set_box, panel.state, panel.shown, **quick)
        look = functools.partial(steps, step=lambda before: before.look_in_box(detect))
        find_after(look(drawn.then, trigger_mode="multiple", **ONE_AT_A_TIME))


def show_correction(correction: Correction | None) -> Shown:
    """The values of ``Panel.shown``."""
    if correction is None:
        return [None, "", "", gr.Dropdown([], value=None), NEAR, KEYPOINT]
    return [
        correction,
        f"**Person {correction.number}.** {correction.told()}",
        draw_keypoint_picture(correction),
        gr.Dropdown(correction.choices(), value=correction.chosen),
        WHOLE if correction.whole else NEAR,
        BOX if correction.boxing else KEYPOINT,
    ]


def _unchanged(parts: list[Any]) -> Shown:
    return [gr.skip() for _ in parts]


def _instead(panel: Panel, line: str) -> Shown:
    """The values of ``Panel.shown`` that change nothing, but for a line."""
    return [line if part is panel.told else gr.skip() for part in panel.shown]
