"""From photographs and videos to bodies, and to files that show them."""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

from cli import program
from demos.candidates import write_candidates
from demos.chosen import choose_finder, last_stage, make_config
from demos.inferring import expected_count, infer_source
from demos.results import Wishes, watched, write_bodies_of_video, write_one, write_photographs
from rich.console import Console
from rich.progress import Progress

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.constants import MESH_FORMATS, NEUTRAL, OVERLAY_CAMERAS, SMOOTH_BETA
from mion_plugin.files.hashing import lengths_digest, told_by_content
from mion_plugin.inference import BodySmoother, FrameSource, MIONInferencer, open_source
from mion_plugin.inference.frames import person_missing
from mion_plugin.inference.partial_lines import PartialLines

NUM_CANDIDATES = 5
# Options on which the results depend, besides the input.
RESULT_OPTIONS = (
    *("person", "max_frames", "keypoints", "no_depths", "no_correction"),
    *("pose_config", "pose_checkpoint", "person_checkpoint"),
    *("config", "checkpoint", "num_candidates", "body_model", "gender", "pool", "amp", "batch_size"),
)
FALL_BACK = {
    1: "no trained weights come with the package: stage 1 alone, the candidates",
    2: "no trained consistency network comes with the package: stages 1 and 2, and the first path is taken",
}


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit code."""
    if args.max_frames is not None and args.max_frames < 1:
        raise ValueError(f"--max-frames is {args.max_frames}, expected at least 1")
    stage, source = choose_stage(args), open_source(args.input)
    refuse_idle_options(args, source, stage)
    args.out.mkdir(parents=True, exist_ok=True)
    files = run_candidates(args, source) if stage == 1 else run_bodies(args, source, stage)
    print(f"written: {', '.join(str(file) for file in files)}")
    return 0


def refuse_idle_options(args: argparse.Namespace, source: FrameSource, stage: int) -> None:
    """Raise ValueError for an option that would do nothing with this input."""
    video = source.frame_rate is not None
    for idle, option, reason in (
        (video and args.save_mesh, "--save-mesh", "writes a photograph's bodies; a video's: --save-motion"),
        (video and args.turntable, "--turntable", "draws a photograph's bodies"),
        (not video and args.smooth is not None, "--smooth", "steadies a video's bodies"),
        (not video and args.save_motion, "--save-motion", "writes the motion in a video"),
        (args.resume and (source.single or source.live), "--resume", "goes on with a folder or a video file"),
        (stage == 1 and args.turntable, "--turntable", "draws the chosen body, and stage 1 alone chooses none"),
        (stage == 1 and args.gender, "--gender", "is of the chosen body, and stage 1 alone chooses none"),
        (stage == 1 and args.config, "--config", "is of stages 2 and 3; stage 1 alone has --pool"),
        (stage == 1 and args.no_correction, "--no-correction", "is of stage 3's reader; stage 1 alone corrects none"),
        (stage == 1 and args.amp, "--amp", "is for networks, and stage 1 has none"),
        (stage == 1 and args.overlay_camera, "--overlay-camera", "is for bodies over the image, not for stage 1 alone"),
    ):
        if idle:
            raise ValueError(f"{option} would do nothing with {args.input}: it {reason}")


def choose_stage(args: argparse.Namespace) -> int:
    """The last stage to run; says so where it is not the last that there is."""
    stage = last_stage(args, args.stage)
    if stage in FALL_BACK and args.stage is None:
        print(FALL_BACK[stage])
    return stage


def mesh_formats(args: argparse.Namespace) -> tuple[str, ...]:
    """The formats of the meshes to write, if any."""
    return tuple(args.mesh_format or MESH_FORMATS[:1]) if args.save_mesh else ()


def run_candidates(args: argparse.Namespace, source: FrameSource) -> list[Path]:
    """Stage 1 for one person; the files written."""
    if not source.single:
        raise ValueError(f"stage 1 alone draws the candidates of one photograph, but {args.input} is not one")
    (frame,) = source.frames
    if frame.pixels is None:
        raise ValueError(frame.problem)
    people, number = choose_finder(args, source.names())(frame), args.person or 0
    if not 0 <= number < len(people):
        raise ValueError(person_missing(number, frame, range(len(people))))
    body = SMPLBody(args.body_model)
    count = NUM_CANDIDATES if args.num_candidates is None else args.num_candidates
    selector = CandidateSelector(args.pool, num_candidates=count, body_model=args.body_model)
    chosen = "" if args.person is None else f"_person{number}"
    stem = f"{Path(frame.name).stem}{chosen}_candidates"
    return write_candidates(frame, people[number], number, selector, body, args.out, mesh_formats(args), stem)


def run_bodies(args: argparse.Namespace, source: FrameSource, stage: int) -> list[Path]:
    """Stages 1 to 2 or 3; the files written."""
    find = choose_finder(args, source.names())
    inferencer = MIONInferencer(
        make_config(args, stage),
        args.checkpoint,
        device=args.device,
        amp=args.amp,
        use_depths=not args.no_depths,
        gender=args.gender or NEUTRAL,
    )
    smooth = make_smoother(args, inferencer)
    lines = PartialLines(
        args.out / f"{source.name}.jsonl",
        run_settings(args, source, stage),
        args.resume,
        max(args.batch_size, 1),
        named=smooth is None,
    )
    if lines.partial.exists() and not args.resume and not source.single:
        print(f"{lines.partial} is of a run that was stopped and is written anew; --resume would have gone on with it")
    results = infer_source(source, inferencer, find, lines, args.person, args.max_frames, args.batch_size)
    overlay_camera = args.overlay_camera or OVERLAY_CAMERAS[0]
    wishes = Wishes(
        args.out, mesh_formats(args), args.turntable, overlay_camera, tuple(args.save_motion), args.person is None
    )
    with progress_bar(source) as progress:
        results = watched(results, source.single, functools.partial(print_problem, progress.console))
        if source.single:
            return write_one(next(iter(list(results))), inferencer, wishes)
        results = progress.track(results, expected_count(source, args.max_frames), description=source.name)
        if source.frame_rate is None:
            return write_photographs(results, lines, inferencer, wishes)
        return write_bodies_of_video(results, source, lines, inferencer, smooth, wishes)


@contextlib.contextmanager
def progress_bar(source: FrameSource) -> Iterator[Progress]:
    """A bar on standard error where there are several images; after an error it is gone."""
    with Progress(console=Console(stderr=True), disable=source.single) as progress:
        try:
            yield progress
        except Exception:
            progress.live.transient = True
            raise


def make_smoother(args: argparse.Namespace, inferencer: MIONInferencer) -> BodySmoother | None:
    """The filter of a video's bodies, if one is wanted."""
    if args.smooth is None:
        return None
    beta = SMOOTH_BETA if args.smooth_beta is None else args.smooth_beta
    return BodySmoother(inferencer.body, args.smooth, beta)


def run_settings(args: argparse.Namespace, source: FrameSource, stage: int) -> dict[str, str | int | None]:
    """What the lines of JSON depend on, which a resumed run must share."""
    chosen = {name: getattr(args, name) for name in RESULT_OPTIONS}
    given = {"input": args.input, "images": source.count, "photographs": lengths_digest(Path(), source.paths)}
    length = None if source.video is None else source.video.stat().st_size
    told = {name: None if value is None else told_by_content(str(value)) for name, value in chosen.items()}
    return {**told, **given, "stage": stage, "bytes": length}


def print_problem(console: Console, problem: str) -> None:
    """Say on standard error what was left out."""
    console.print(f"{program('demo.py')}: {problem}", markup=False, highlight=False, soft_wrap=True)
