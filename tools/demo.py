"""MION on photographs and videos: several 3D bodies for each person, refined, and the best of them.

    python tools/demo.py                      # the photograph that comes with the package
    python tools/demo.py photo.jpg            # or a folder, 'photos/*.jpg', video.mp4, or 0 for the first webcam

People and their 2D keypoints come from --keypoints; or from mmpose, with --pose-config and --pose-checkpoint; or from
the light detector of the extra [detect]. Of a photograph it writes the bodies over it (NAME_overlay.jpg), and of each
person N a picture with the chosen body from the side and the rejected ones (NAME_personN.png), the numbers (.json) and
the parameters with their cameras (.npz). Of a video: the same with the bodies over it (NAME_overlay.mp4) and a line of
JSON for each frame (NAME.jsonl), where people keep their numbers. With --stage 1, or where no trained weights come with
the package: one person's candidates.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import sys
import warnings
from pathlib import Path

from cli import OneLineParser, report_errors
from demos.candidates import write_candidates
from demos.options import (
    add_model_arguments,
    add_people_arguments,
    choose_finder,
    last_stage,
    make_config,
)
from demos.results import Wishes, watched, write_bodies_of_video, write_one, write_photographs
from rich.console import Console
from rich.progress import Progress

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import (
    BodySmoother,
    FrameSource,
    KeypointTracker,
    MIONInferencer,
    infer_frames,
    open_source,
)
from mion_plugin.inference.frames import number_in_order
from mion_plugin.inference.meshes import FORMATS
from mion_plugin.inference.overlay import CAMERAS

NUM_CANDIDATES = 5
# What OpenCV and FFmpeg print about a broken video would stand beside our own lines.
QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
FALL_BACK = {
    1: "no trained weights come with the package: stage 1 alone, the candidates",
    2: "no trained consistency network comes with the package: stages 1 and 2, and the first path is taken",
}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    _add_input(parser.add_argument_group("what to look at"))
    _add_model(parser.add_argument_group("the model"))
    _add_output(parser.add_argument_group("what to write"))
    args = parser.parse_args(arguments)
    if args.input is not None and args.image is not None:
        parser.error(f"INPUT {args.input} and --image {args.image} are two inputs; give one")
    args.input = args.input or args.image or str(PHOTO)
    if args.keypoints is None and args.input == str(PHOTO) and not (args.pose_config or args.pose_checkpoint):
        args.keypoints = KEYPOINTS
    return args


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument("input", nargs="?", metavar="INPUT", help="image, folder, glob, video or number of a webcam")
    group.add_argument("--image", help="the same as INPUT")
    add_people_arguments(group)
    group.add_argument("--person", type=int, help="number of the only person to look at; default: everyone")
    group.add_argument("--max-frames", type=int, help="stop after so many images")


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--stage", type=int, choices=[1, 2, 3], help="last stage to run; default: all that are trained")
    add_model_arguments(group)
    group.add_argument("--batch-size", type=int, default=8, help="images, and people, at once (default: 8)")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the results (default: outputs)")
    group.add_argument("--save-mesh", action="store_true", help="write the chosen body's surface")
    group.add_argument("--mesh-format", nargs="+", choices=FORMATS, default=["obj"], help="format of it, or several")
    group.add_argument("--turntable", action="store_true", help="write a GIF of the chosen body, turning")
    group.add_argument(
        "--overlay-camera",
        choices=CAMERAS,
        default="crop",
        help="draw bodies by each crop's camera in the image (exact; default) or by the one camera of the image",
    )
    group.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="STRENGTH",
        help="videos: keep this share, 0 to below 1, of the body of the frame before (default: 0)",
    )


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
    people, number = choose_finder(args)(frame), args.person or 0
    if not 0 <= number < len(people):
        raise ValueError(f"--person {number}: {frame.name} has {len(people)} people, numbered from 0")
    body = SMPLBody(args.body_model)
    count = NUM_CANDIDATES if args.num_candidates is None else args.num_candidates
    selector = CandidateSelector(args.pool, num_candidates=count, body_model=args.body_model)
    return write_candidates(frame, people[number], number, selector, body, args.out, mesh_formats(args))


def run_bodies(args: argparse.Namespace, source: FrameSource, stage: int) -> list[Path]:
    """Stages 1 to 2 or 3; the files written."""
    find = choose_finder(args)
    inferencer = MIONInferencer(make_config(args, stage), args.checkpoint, device=args.device, amp=args.amp)
    smooth = BodySmoother(inferencer.model.body, args.smooth)
    results = infer_frames(
        inferencer,
        itertools.islice(source.frames, args.max_frames),
        find,
        number_in_order if source.frame_rate is None else KeypointTracker(),
        args.person,
        batch_size=1 if source.live else args.batch_size,  # a webcam's batch would wait for its last frame
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
    console.print(f"demo.py: {problem}", markup=False, highlight=False, soft_wrap=True)


@report_errors("demo.py")
def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 2 on bad input."""
    args = parse_args(arguments)
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


if __name__ == "__main__":
    sys.exit(main())
