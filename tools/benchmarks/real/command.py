"""The command: fetch, detect, triangulate, predict, and write the page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from benchmarks.markdown import write_page
from benchmarks.real.calibration import read_calibration
from benchmarks.real.clip import CALIBRATION, find_clip
from benchmarks.real.detection import Detections, detect_all
from benchmarks.real.kept_answers import kept_answers
from benchmarks.real.methods import MediaPipe, Method, Mion, build_methods
from benchmarks.real.pictures import PICTURES, REAL, show
from benchmarks.real.report import AS_VIDEO, Findings, report
from benchmarks.real.scene import reconstruct
from benchmarks.real.scoring import Errors, row_errors
from benchmarks.real.sheets import write_sheets
from benchmarks.real.video import as_video
from benchmarks.real.views import DETECTED, EXACT, Views, make_views

_SHEET_EVERY = 19  # views: ten sheets


def run(args: argparse.Namespace) -> None:
    """Fetch, detect, triangulate, predict, and write the page; ends with 2 where the clip or MediaPipe is missing."""
    try:
        if min(args.every, args.block) < 1:
            raise ValueError(f"--every {args.every} and --block {args.block}, expected at least 1")
        clip = find_clip(args.work_dir, args.wheel, args.clip)
        cameras = read_calibration(clip / CALIBRATION)
        detections = detect_all(clip, args.work_dir)
    except (OSError, ValueError, ImportError) as error:
        print(f"benchmark real: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    scene = reconstruct(cameras, detections)
    views = make_views(scene.truth, detections, args.every)
    model = Mion(args.model, args.device)
    methods = build_methods(model)
    errors = {
        source: {kind: measure(methods, one, kind, clip, detections, args.work_dir) for kind in PICTURES}
        for source, one in views.items()
    }
    video = make_views(scene.truth, as_video(detections), args.every)[DETECTED]
    in_video = measure([model, MediaPipe()], video, REAL, clip, detections, args.work_dir)
    with_depths: dict[str, Errors] = {}
    in_video_with_depths: Errors = {}
    if model.reads_depths:
        told = [Mion(args.model, args.device, use_depths=True)]
        in_video_with_depths = measure(told, video, REAL, clip, detections, args.work_dir)
        with_depths = {name: measure(told, one, REAL, clip, detections, args.work_dir) for name, one in views.items()}
    as_given: dict[str, Errors] = {}
    if model.corrects_keypoints:
        uncorrected = [Mion(args.model, args.device, correct_keypoints=False)]
        shown = {**views, AS_VIDEO: video}
        as_given = {
            name: measure(uncorrected, one, REAL, clip, detections, args.work_dir) for name, one in shown.items()
        }
    draw(model, views, clip, detections, args.work_dir)
    frames = views[DETECTED].frames
    asked = sum(len(range(0, len(one.keypoints2d), args.every)) for one in detections)
    text = report(
        Findings(
            errors=errors,
            with_depths=with_depths,
            in_video=in_video,
            in_video_with_depths=in_video_with_depths,
            as_given=as_given,
            selection=model.selection,
            blocks=frames // args.block,
            frames_per_block=args.block,
            left_out=asked - len(frames),
            scene=scene,
            model=f"`{args.model}`" if args.model else "the package's model",
        )
    )
    write_page(args.out, text)
    print(text)


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

    def pictures() -> Iterator[np.ndarray]:
        return show(REAL, detected, clip, detections)

    answers = kept_answers(method, detected, REAL, pictures, work_dir)
    write_sheets(detected, views[EXACT], answers, pictures(), work_dir / "sheets", _SHEET_EVERY)
