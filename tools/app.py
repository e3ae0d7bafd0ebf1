"""MION as a web page: drop a photograph, see its bodies, all paths with their scores, the mesh in 3D; download them.

    python tools/app.py             # then open the address that it prints
    python tools/app.py --help

Needs the extra [app]. Everything is served from this machine, and works offline; nothing is sent anywhere. People and
their 2D keypoints come from where tools/demo.py has them from. Ctrl-C ends it and removes its files.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path

from cli import OneLineParser, report_errors
from demos.options import add_model_arguments, add_people_arguments, choose_finder, last_stage, make_config

from mion_plugin.inference import MIONInferencer

MAX_UPLOAD = "100mb"
LAST_PORT = 65535
# Gradio and the hub client that it imports would report their use.
SILENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    page = parser.add_argument_group("the page")
    page.add_argument(
        "--host", default="127.0.0.1", help="address to serve at (default: 127.0.0.1, this machine alone)"
    )
    page.add_argument("--port", type=int, default=7860, help="port to serve at (default: 7860)")
    add_people_arguments(parser.add_argument_group("who is in a photograph; default: who MediaPipe finds"))
    add_model_arguments(parser.add_argument_group("the model"))
    args = parser.parse_args(arguments)
    if not 1 <= args.port <= LAST_PORT:
        parser.error(f"--port is {args.port}, expected 1 to {LAST_PORT}")
    return args


def serve(args: argparse.Namespace, folder: Path) -> None:
    """Show the page until the process is told to end.

    Args:
        args: Of ``parse_args``.
        folder: For the page's files.

    Raises:
        ImportError: Gradio is not installed.
        OSError: The port is taken.
    """
    os.environ.update(SILENT, GRADIO_TEMP_DIR=str(folder))  # Gradio reads them when it is imported
    try:
        from demos import page
    except ImportError as error:
        raise ImportError(f"the web page needs gradio ({error}): pip install 'mion-plugin[app]'") from error
    find = choose_finder(args)
    config = make_config(args, max(2, last_stage(args)))
    inferencer = MIONInferencer(config, args.checkpoint, device=args.device, amp=args.amp)
    blocks = page.build_page(inferencer, find, folder)
    blocks.launch(
        server_name=args.host,
        server_port=args.port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        run_history=False,
        enable_monitoring=False,
        footer_links=[],
        max_file_size=MAX_UPLOAD,
        theme=page.THEME,
        css=page.CSS,
    )
    print(f"open {blocks.local_url}", flush=True)
    blocks.block_thread()


@report_errors("app.py")
def main(arguments: list[str] | None = None) -> int:
    """Serve the page; 2 on bad input."""
    args = parse_args(arguments)
    warnings.filterwarnings("ignore", module=r"google\.protobuf")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder is removed then, too
    with tempfile.TemporaryDirectory(prefix="mion_app_", ignore_cleanup_errors=True) as folder:
        serve(args, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
