"""What the parts of the web page share."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from typing import Any

from mion_plugin.inference.frames import NobodyError

ONE_AT_A_TIME = {"concurrency_id": "model", "concurrency_limit": 1}  # the model and the detector
SWEEP_SECONDS, KEEP_SECONDS = 600, 3600  # how often what Gradio stored is looked through, and how long it stays
Shown = list[Any]
"""Values of several of the page's components, in their order."""


def reported(show: Callable[..., Shown], said: Callable[[str], Shown], what: str) -> Callable[..., Shown]:
    """Let bad input end in one line on the page, in place of Gradio's red boxes.

    Args:
        show: Gives what to show.
        said: From the line, as Markdown, to what to show instead.
        what: What cannot be used then.
    """

    @functools.wraps(show)
    def wrapped(*arguments: Any, **options: Any) -> Shown:
        try:
            return show(*arguments, **options)
        except NobodyError as error:
            return said(f"**Nobody found.** {html.escape(str(error))}")
        except (OSError, ValueError, ImportError) as error:
            return said(f"**{what} cannot be used.** {html.escape(str(error))}")

    return wrapped
