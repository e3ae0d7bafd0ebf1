"""MION on photographs and videos: several 3D bodies for each person, refined, and the best of them.

    python tools/demo.py                      # the photograph that comes with the package
    python tools/demo.py photo.jpg            # or a folder, 'photos/*.jpg', video.mp4, or 0 for the first webcam

People and their 2D keypoints come from --keypoints; or from mmpose, with --pose-config and --pose-checkpoint; or from
RTMPose in ONNX, with --pose-config rtmpose and the extra [rtmpose]; or from the light detector of the extra [detect].
Of a photograph it writes the bodies over it (NAME_overlay.jpg), and of each person N a picture with the chosen body
from the side and the rejected ones (NAME_personN.png), the numbers (.json) and the parameters with their cameras
(.npz). Of a video: the same with the bodies over it (NAME_overlay.mp4) and a line of JSON for each frame (NAME.jsonl),
where people keep their numbers; with --save-motion, also everyone's motion (NAME_personN_motion.npz and so on). While
it works the lines are in NAME.partial.jsonl; after a kill, --resume goes on from there. With --stage 1, or where no
trained weights come with the package: one person's candidates.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command
from demos.options import add_gender_argument, add_model_arguments, add_people_arguments

from mion_plugin.constants import MESH_FORMATS, MOTION_FORMATS, OVERLAY_CAMERAS, SMOOTH_BETA, SMOOTH_MIN_CUTOFF
from mion_plugin.demo_data import KEYPOINTS, PHOTO


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
    _refuse_idle(parser, args)
    if (
        args.keypoints is None
        and args.input == str(PHOTO)
        and not (args.pose_config or args.pose_checkpoint or args.person_checkpoint)
    ):
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
    add_gender_argument(group)
    group.add_argument("--batch-size", type=int, default=8, help="images, and people, at once (default: 8)")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the results (default: outputs)")
    group.add_argument("--resume", action="store_true", help="videos, folders: go on where a killed run was")
    group.add_argument("--save-mesh", action="store_true", help="photographs: write the chosen body's surface")
    group.add_argument("--mesh-format", nargs="+", choices=MESH_FORMATS, help="format of it, or several (default: obj)")
    group.add_argument("--turntable", action="store_true", help="photographs: write a GIF of the chosen body, turning")
    group.add_argument(
        "--save-motion",
        nargs="+",
        choices=MOTION_FORMATS,
        default=[],
        help="videos: write each person's motion: AMASS's .npz, .bvh, animated .glb, .csv of joint angles, or several",
    )
    group.add_argument(
        "--overlay-camera",
        choices=OVERLAY_CAMERAS,
        help="draw bodies by each crop's camera in the image (exact; default) or by the one camera of the image",
    )
    group.add_argument(
        "--smooth",
        type=float,
        nargs="?",
        const=SMOOTH_MIN_CUTOFF,
        metavar="HZ",
        help="videos: steady the bodies by a one-euro filter, whose cut-off frequency at rest this is "
        f"(default: {SMOOTH_MIN_CUTOFF:g}; lower is steadier)",
    )
    group.add_argument(
        "--smooth-beta",
        type=float,
        metavar="BETA",
        help="Hz by which it rises per radian a second, and thrice that per metre a second across the picture "
        f"(default: {SMOOTH_BETA:g}; higher lags less)",
    )


def _refuse_idle(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with an error where an option would do nothing because of another; the input's kind is looked at later."""
    for idle, option, missing, other in (
        (args.mesh_format and not args.save_mesh, "--mesh-format", "without", "--save-mesh"),
        (args.smooth_beta is not None and args.smooth is None, "--smooth-beta", "without", "--smooth"),
        (args.keypoints and args.pose_config, "--pose-config", "beside", "--keypoints"),
        (args.keypoints and args.pose_checkpoint, "--pose-checkpoint", "beside", "--keypoints"),
        (args.keypoints and args.person_checkpoint, "--person-checkpoint", "beside", "--keypoints"),
    ):
        if idle:
            parser.error(f"{option} does nothing {missing} {other}")


@report_errors("demo.py")
def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 2 on bad input."""
    return run_command("demo", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
