"""From photographs and videos to bodies, and to files that show them."""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import warnings
from pathlib import Path

from cli import program
from demos.candidates import write_candidates
from demos.chosen import choose_finder, last_stage, make_config
from demos.results import Wishes, watched, write_bodies_of_video, write_one, write_photographs
from rich.console import Console
from rich.progress import Progress

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.inference import (
    BodySmoother,
    FrameSource,
    KeypointTracker,
    MIONInferencer,
    SideSwapGuard,
    infer_frames,
    open_source,
)
from mion_plugin.inference.frames import number_in_order

NUM_CANDIDATES = 5
# What OpenCV and FFmpeg print about a broken video would stand beside our own lines.
QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
FALL_BACK = {
    1: "no trained weights come with the package: stage 1 alone, the candidates",
    2: "no trained consistency network comes with the package: stages 1 and 2, and the first path is taken",
}


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit code."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module=r"google\.protobuf")
    if args.max_frames is not None and args.max_frames < 1:
        raise ValueError(f"--max-frames is {args.max_frames}, expected at least 1")
    args.out.mkdir(parents=True, exist_ok=True)
    stage, source = choose_stage(args), open_source(args.input)
    files = run_candidates(args, source) if stage == 1 else run_bodies(args, source, stage)
    print(f"written: {', '.join(str(file) for file in files)}")
    return 0


def choose_stage(args: argparse.Namespace) -> int:
    """The last stage to run; says so where it is not the last that there is."""
    stage = last_stage(args, args.stage)
    if stage in FALL_BACK and args.stage is None:
        print(FALL_BACK[stage])
    return stage


def mesh_formats(args: argparse.Namespace) -> tuple[str, ...]:
    """The formats of the meshes to write, if any."""
    return tuple(args.mesh_format) if args.save_mesh else ()


def run_candidates(args: argparse.Namespace, source: FrameSource) -> list[Path]:
    """Stage 1 for one person; the files written."""
    if not source.single:
        raise ValueError(f"stage 1 alone draws the candidates of one photograph, but {args.input} is not one")
    (frame,) = source.frames
    if frame.pixels is None:
        raise ValueError(frame.problem)
    people, number = choose_finder(args, source.paths)(frame), args.person or 0
    if not 0 <= number < len(people):
        raise ValueError(f"--person {number}: {frame.name} has {len(people)} people, numbered from 0")
    body = SMPLBody(args.body_model)
    count = NUM_CANDIDATES if args.num_candidates is None else args.num_candidates
    selector = CandidateSelector(args.pool, num_candidates=count, body_model=args.body_model)
    return write_candidates(frame, people[number], number, selector, body, args.out, mesh_formats(args))


def run_bodies(args: argparse.Namespace, source: FrameSource, stage: int) -> list[Path]:
    """Stages 1 to 2 or 3; the files written."""
    find = choose_finder(args, source.paths)
    inferencer = MIONInferencer(
        make_config(args, stage), args.checkpoint, device=args.device, amp=args.amp, use_depths=not args.no_depths
    )
    smooth = BodySmoother(inferencer.model.body, args.smooth)
    results = infer_frames(
        inferencer,
        itertools.islice(source.frames, args.max_frames),
        find,
        number_in_order if source.frame_rate is None else KeypointTracker(),
        args.person,
        batch_size=1 if source.live else args.batch_size,  # a webcam's batch would wait for its last frame
        sides=None if source.live or source.frame_rate is None else SideSwapGuard(),  # needs later frames, too
    )
    wishes = Wishes(args.out, mesh_formats(args), args.turntable, args.overlay_camera)
    with Progress(console=Console(stderr=True), disable=source.single) as progress:
        results = watched(results, source.single, functools.partial(print_problem, progress.console))
        if source.single:
            return write_one(next(iter(list(results))), inferencer, wishes)
        results = progress.track(results, source.count, description=source.name)
        if source.frame_rate is None:
            return write_photographs(results, source.name, inferencer, wishes)
        return write_bodies_of_video(results, source, inferencer, smooth, wishes)


def print_problem(console: Console, problem: str) -> None:
    """Say on standard error what was left out."""
    console.print(f"{program('demo.py')}: {problem}", markup=False, highlight=False, soft_wrap=True)
