"""Build the free stand-in body, or write it in the files that smplx and mmhuman3d read.

python tools/build_body_model.py                          # rebuild the shipped file (needs the extra "body")
python tools/build_body_model.py --export-dir data/body   # SMPL_*.pkl and regressors from the shipped file
python tools/build_body_model.py --preview outputs        # pictures of the shipped file
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from cli import OneLineParser

from mion_plugin.body.export import export_body
from mion_plugin.body.stand_in import STAND_IN_GENDERS, STAND_IN_PATH, load_stand_in, save_stand_in


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line, see ``--help``."""
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, help=f"the .npz file to build (default: {STAND_IN_PATH})")
    parser.add_argument("--seed", type=int, default=0, help="of the sampled shapes and poses (default: 0)")
    parser.add_argument(
        "--export-dir",
        type=Path,
        help="write SMPL_*.pkl and J_regressor_*.npy here from the shipped file; builds nothing",
    )
    parser.add_argument(
        "--preview", type=Path, metavar="DIR", help="write pictures of the shipped file here; builds nothing"
    )
    parser.add_argument(
        "--gender", choices=[*STAND_IN_GENDERS, "all"], default="all", help="what to export or preview (default: all)"
    )
    options = parser.parse_args(arguments)
    if options.out is not None and (options.export_dir or options.preview):
        parser.error("--out builds; --export-dir and --preview read the shipped file: give one or the other")
    if options.out is not None and options.out.suffix != ".npz":
        parser.error(f"--out {options.out} must end in .npz")
    if options.seed < 0:
        parser.error(f"--seed {options.seed} must not be negative")
    return options


def build(out: Path, seed: int) -> None:
    """Build all genders and write them to ``out``."""
    from mion_plugin.asset_building.body.build import build_stand_in

    started = time.monotonic()

    def progress(line: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {line}", flush=True)

    bodies, surface, report = build_stand_in(seed, progress)
    save_stand_in(out, bodies, surface)
    progress(f"wrote {out}, {out.stat().st_size / 1e6:.2f} MB")
    print(f"height {report.heights[0]:.3f} m, standard deviation {report.heights[1]:.3f} m")
    print("joints on held-out shapes, mm: mean {:.1f}, 99 % {:.1f}, largest {:.1f}".format(*report.joint_error))
    print("variance in ten directions: " + ", ".join(f"{k} {v:.2%}" for k, v in report.explained.items()))
    print("keypoints on held-out poses, mm: " + ", ".join(f"{k} {v:.1f}" for k, v in report.keypoint_error.items()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code, 2 for bad input."""
    options = parse_arguments(arguments)
    genders = STAND_IN_GENDERS if options.gender == "all" else (options.gender,)
    try:
        if options.export_dir is None and options.preview is None:
            build(options.out or STAND_IN_PATH, options.seed)
        for gender in genders:
            if options.export_dir is not None:
                for path in export_body(load_stand_in(gender), options.export_dir, gender):
                    print(f"wrote {path}")
            if options.preview is not None:
                from mion_plugin.asset_building.body.preview import save_preview

                path = options.preview / f"stand_in_{gender}.png"
                save_preview(load_stand_in(gender), path)
                print(f"wrote {path}")
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
