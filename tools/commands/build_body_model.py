"""Building, exporting and drawing the free stand-in body."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from mion_plugin.body.export import export_body
from mion_plugin.body.stand_in import STAND_IN_GENDERS, STAND_IN_PATH, load_stand_in, save_stand_in


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; returns the exit code, 2 for bad input."""
    genders = STAND_IN_GENDERS if args.gender == "all" else (args.gender,)
    try:
        if args.export_dir is None and args.preview is None:
            build(args.out or STAND_IN_PATH, args.seed)
        for gender in genders:
            if args.export_dir is not None:
                for path in export_body(load_stand_in(gender), args.export_dir, gender):
                    print(f"wrote {path}")
            if args.preview is not None:
                from mion_plugin.asset_building.body.preview import save_preview

                path = args.preview / f"stand_in_{gender}.png"
                save_preview(load_stand_in(gender), path)
                print(f"wrote {path}")
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


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
