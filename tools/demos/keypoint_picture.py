"""A person's keypoints over the photograph as an SVG whose handles ``drag_keypoints.js`` moves.

Its units are the photograph's pixels, as of keypoints2d: what the browser says of a place needs no conversion here.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from demos.corrections import NAMES, Correction
from PIL import Image

from mion_plugin.datasets.keypoint_layouts import COCO_17
from mion_plugin.visualization.drawing import bones, side_color

SCRIPT = Path(__file__).with_name("drag_keypoints.js").read_text(encoding="utf-8")
CSS = """
#keypoints, #keypoints > * {padding: 0}
#keypoints svg {display: block; width: 100%; max-height: 80vh; user-select: none; -webkit-user-select: none}
#keypoints svg.boxing {cursor: crosshair}
#keypoints svg * {vector-effect: non-scaling-stroke}
#keypoints image, #keypoints line, #keypoints rect {pointer-events: none}
#keypoints line {stroke-width: 4px}
#keypoints .handle {cursor: grab}
#keypoints .handle .dot {stroke: #141414; stroke-width: 1px}
#keypoints .boxing .keypoint {pointer-events: none}
#keypoints .handle:focus {outline: none}
#keypoints .handle:focus .dot, #keypoints .chosen .dot {stroke: #ff3cc8; stroke-width: 4px}
#keypoints .absent {display: none}
#keypoints .box {fill: none; stroke: #ff3cc8; stroke-width: 3px}
#keypoints .corner .dot {fill: #ff3cc8}
"""
_LONGEST = 1000  # pixels of the picture that is sent


def draw_keypoint_picture(correction: Correction) -> str:
    """The SVG of a correction as it is now."""
    left, top, right, bottom = correction.view
    width, height = right - left, bottom - top
    radius = max(width, height) / 90
    chosen = "" if correction.chosen is None else correction.chosen
    return (
        f'<svg viewBox="{left} {top} {width} {height}" class="{"boxing" if correction.boxing else ""}" '
        f'data-chosen="{chosen}">'
        f'<image x="{left}" y="{top}" width="{width}" height="{height}" preserveAspectRatio="none" '
        f'href="{_encode(correction.pixels[top:bottom, left:right])}"/>'
        f"{_draw_bones(correction.keypoints2d)}{_draw_keypoints(correction, radius)}"
        f"{_draw_box(correction, radius) if correction.boxing else ''}</svg>"
    )


def _encode(pixels: np.ndarray) -> str:
    """As an address that holds the picture itself."""
    picture, file = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((_LONGEST, _LONGEST))
    picture.save(file, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _draw_bones(keypoints2d: np.ndarray) -> str:
    lines = []
    for a, b in bones("coco"):
        (ax, ay, a_seen), (bx, by, b_seen) = keypoints2d[a], keypoints2d[b]
        color = _hex(side_color(COCO_17[a], COCO_17[b]))
        state = "" if a_seen > 0 and b_seen > 0 else ' class="absent"'
        lines.append(
            f'<line data-from="{a}" data-to="{b}" stroke="{color}"{state} '
            f'x1="{ax:.3f}" y1="{ay:.3f}" x2="{bx:.3f}" y2="{by:.3f}"/>'
        )
    return "".join(lines)


def _draw_keypoints(correction: Correction, radius: float) -> str:
    """All of them, so that the browser keeps its elements, and with them the keyboard's place, in the next SVG."""
    drawn = []
    for index, (x, y, confidence) in enumerate(correction.keypoints2d):
        state = " chosen" if index == correction.chosen else ""
        state += "" if confidence > 0 else " absent"
        head = f'class="handle keypoint{state}" data-keypoint="{index}" tabindex="0" aria-label="{NAMES[index]}"'
        drawn.append(_draw_handle(head, x, y, radius, _hex(side_color(COCO_17[index])), NAMES[index]))
    return "".join(drawn)


def _draw_box(correction: Correction, radius: float) -> str:
    left, top, right, bottom = correction.box or (correction.view[0], correction.view[1]) * 2
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    state = "" if correction.box else " absent"
    box = f'<rect class="box" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
    return box + "".join(
        _draw_handle(f'class="handle corner{state}" data-corner="{index}"', x, y, radius, "#ff3cc8", "drag the corner")
        for index, (x, y) in enumerate(corners)
    )


def _draw_handle(head: str, x: float, y: float, radius: float, color: str, title: str) -> str:
    dot = f'<title>{title}</title><circle class="dot" r="{radius:.2f}" fill="{color}"/>'
    return f'<g {head} transform="translate({x:.3f} {y:.3f})">{dot}</g>'


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
