"""The web page's part in which a person's keypoints are corrected by clicks."""

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
from demos.page_parts import KEEP_SECONDS, ONE_AT_A_TIME, Shown
from demos.uploads import Found

from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.frames import PeopleFinder

NEAR, WHOLE = "the person", "the whole photograph"
KEYPOINT, BOX = "a keypoint", "a box"
HELP = """Click a keypoint, then where it belongs; mark as absent what cannot be seen; then find the bodies anew. The
person's left side is orange, the right side blue. What you set counts as certain, as keypoints from a file do."""
GONE = "The results were kept for an hour; drop the photograph again."
HELP_BOX = " With a box you show the detector where to look for somebody whom it got wrong or missed."


@dataclass(frozen=True)
class Panel:
    """Its components.

    Attributes:
        state: A ``Correction``.
        told: What the next click does.
        picture: To click into.
        keypoint: Which keypoint the next click puts down.
        show: How much of the photograph to show.
        clicks: What clicks make, or None where no detector could look in a box.
    """

    state: gr.State
    told: gr.Markdown
    picture: gr.Image
    keypoint: gr.Dropdown
    show: gr.Radio
    clicks: gr.Radio
    absent: gr.Button
    undo: gr.Button
    look: gr.Button
    another: gr.Button
    anew: gr.Button

    @property
    def shown(self) -> list[Any]:
        """Those that tell of the correction."""
        return [self.state, self.told, self.picture, self.keypoint, self.show, self.clicks, self.look]


def lay_out_panel(detects: bool) -> Panel:
    """Add it to what is being built; ``detects``: there is a detector to look in boxes with."""
    with gr.Accordion("Wrong keypoints? Correct them", open=False, elem_id="correction"):
        gr.Markdown(HELP + HELP_BOX * detects)
        state = gr.State(time_to_live=KEEP_SECONDS)
        with gr.Row():
            with gr.Column(scale=3, min_width=280):
                told = gr.Markdown(elem_id="told")
                picture = gr.Image(
                    show_label=False, interactive=False, buttons=["fullscreen"], format="jpeg", elem_id="keypoints"
                )
            with gr.Column(scale=1, min_width=240):
                clicks = gr.Radio(
                    [KEYPOINT, BOX], value=KEYPOINT, label="Clicks set", visible=detects, elem_id="clicks"
                )
                keypoint = gr.Dropdown([], label="Keypoint", filterable=False, elem_id="keypoint")
                with gr.Row():
                    absent = gr.Button("It is absent", size="sm", min_width=90, elem_id="absent")
                    undo = gr.Button("Undo", size="sm", min_width=90, elem_id="undo")
                show = gr.Radio([NEAR, WHOLE], value=NEAR, label="Show", elem_id="show")
                look = gr.Button("Look for a person in the box", size="sm", visible=False, elem_id="look")
                another = gr.Button("Somebody is missing: add a person", size="sm", elem_id="another")
                anew = gr.Button("Find the bodies anew", variant="primary", elem_id="anew")
    return Panel(state, told, picture, keypoint, show, clicks, absent, undo, look, another, anew)


def connect_panel(
    panel: Panel,
    found: gr.State,
    outputs: list[Any],
    results: Callable[[Found, int], Shown],
    inferencer: MIONInferencer,
    detect: PeopleFinder | None,
    folder: Path,
) -> None:
    """Say what follows what a user does in it.

    Args:
        panel: It.
        found: A ``Found``.
        outputs: The page's components that show results.
        results: Their values, from what was found and the number of the person to show.
        inferencer: Finds the bodies.
        detect: Looks in boxes.
        folder: For files.
    """

    def find_anew(before: Found | None, correction: Correction | None) -> Shown:
        if before is None or correction is None:
            return _instead(outputs, panel, GONE)
        try:
            after = correct_bodies(before, correction, inferencer, folder)
        except ValueError as error:
            return _instead(outputs, panel, f"**No body was found.** {html.escape(str(error))}")
        shown = results(after, correction.number)
        before.delete()
        done = f"**Person {correction.number}.** The bodies above are found anew, by these keypoints."
        return [done if part is panel.told else value for part, value in zip(outputs, shown, strict=True)]

    def add(before: Found | None) -> Shown:
        if before is None:
            return _instead(panel.shown, panel, GONE)
        number = len(known_keypoints(before.result))
        return show_correction(Correction.of_nobody(before.pixels, number).draw_box(detect is not None))

    def show_step(step: Callable[..., Correction], correction: Correction | None, *values: Any) -> Shown:
        if correction is None:
            return _instead(panel.shown, panel, GONE)
        try:
            return show_correction(step(correction, *values))
        except ValueError as error:
            return _instead(panel.shown, panel, html.escape(str(error)))

    def click(correction: Correction | None, event: gr.SelectData) -> Shown:
        return show_step(Correction.click, correction, *event.index)

    def steps(listener: Callable[..., Any], step: Callable[..., Correction], *inputs: Any, **options: Any) -> None:
        listener(functools.partial(show_step, step), [panel.state, *inputs], panel.shown, **options)

    quick = {"show_progress": "hidden"}
    panel.picture.select(click, panel.state, panel.shown, **quick)
    steps(panel.keypoint.input, Correction.choose, panel.keypoint, **quick)
    steps(panel.absent.click, Correction.absent, **quick)
    steps(panel.undo.click, Correction.undo, **quick)
    steps(panel.show.input, lambda before, show: dataclasses.replace(before, whole=show == WHOLE), panel.show, **quick)
    steps(panel.clicks.input, lambda before, clicks: before.draw_box(clicks == BOX), panel.clicks, **quick)
    panel.another.click(add, found, panel.shown, **quick)
    if detect is not None:
        steps(panel.look.click, lambda before: before.look_in_box(detect), **ONE_AT_A_TIME)
    panel.anew.click(find_anew, [found, panel.state], outputs, **ONE_AT_A_TIME)


def show_correction(correction: Correction | None) -> Shown:
    """The values of ``Panel.shown``."""
    if correction is None:
        return [None, "", None, gr.Dropdown([], value=None), NEAR, KEYPOINT, gr.Button(visible=False)]
    return [
        correction,
        f"**Person {correction.number}.** {correction.told()}",
        correction.picture(),
        gr.Dropdown(correction.choices(), value=correction.chosen),
        WHOLE if correction.whole else NEAR,
        BOX if correction.boxing else KEYPOINT,
        gr.Button(visible=correction.box is not None),
    ]


def correction_of(found: Found, number: int) -> Correction:
    """A new one of a person, nothing corrected yet."""
    return Correction.of(found.pixels, found.person(number))


def _instead(parts: list[Any], panel: Panel, line: str) -> Shown:
    """The values of ``parts`` that change nothing, but for a line where the next click is told."""
    return [line if part is panel.told else gr.skip() for part in parts]
