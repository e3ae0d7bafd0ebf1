"""MION as a web page: drop a photograph, see its bodies, all paths with their scores, the mesh in 3D; download them.

    python tools/app.py             # then open the address that it prints
    python tools/app.py --help

Needs the extra [app]. Everything is served from this machine, and works offline; nothing is sent anywhere. People and
their 2D keypoints come from where tools/demo.py has them from. Ctrl-C ends it and removes its files.
"""

from __future__ import annotations

import argparse
import sys

from cli import OneLineParser, report_errors, run_command
from demos.options import add_gender_argument, add_model_arguments, add_people_arguments

LAST_PORT = 65535


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    page = parser.add_argument_group("the page")
    page.add_argument(
        "--host", default="127.0.0.1", help="address to serve at (default: 127.0.0.1, this machine alone)"
    )
    page.add_argument("--port", type=int, default=7860, help="port to serve at (default: 7860)")
    add_people_arguments(parser.add_argument_group("who is in a photograph; default: who MediaPipe finds"))
    model = parser.add_argument_group("the model")
    add_model_arguments(model)
    add_gender_argument(model)
    args = parser.parse_args(arguments)
    if not 1 <= args.port <= LAST_PORT:
        parser.error(f"--port is {args.port}, expected 1 to {LAST_PORT}")
    return args


@report_errors("app.py")
def main(arguments: list[str] | None = None) -> int:
    """Serve the page; 2 on bad input."""
    return run_command("app", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
