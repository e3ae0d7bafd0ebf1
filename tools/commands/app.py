"""Serving the web page."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from demos.chosen import choose_finder, last_stage, make_config

from mion_plugin.constants import NEUTRAL
from mion_plugin.inference import MIONInferencer

MAX_UPLOAD = "100mb"
# Gradio and the hub client that it imports would report their use.
SILENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}


def run(args: argparse.Namespace) -> int:
    """Serve the page; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder is removed then, too
    with tempfile.TemporaryDirectory(prefix="mion_app_", ignore_cleanup_errors=True) as folder:
        serve(args, Path(folder))
    return 0


def past_proxies(host: str) -> dict[str, str]:
    """Variables that keep requests to this machine from a proxy: Gradio asks its own page whether it is there."""
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = ",".join(dict.fromkeys([*filter(None, told.split(",")), "localhost", "127.0.0.1", host]))
    return {"no_proxy": names, "NO_PROXY": names}


def check_address(host: str, port: int) -> None:
    """Raise an OSError that says what to do if nothing can be served at this address; Gradio finds out late."""
    try:
        with socket.socket(socket.AF_INET) as served:  # Gradio knows no IPv6
            served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            served.bind((host, port))
    except OSError as error:
        raise OSError(f"cannot serve at {host}, port {port} ({error.strerror}): see --port and --host") from error


def serve(args: argparse.Namespace, folder: Path) -> None:
    """Show the page until the process is told to end.

    Args:
        args: Of the command line.
        folder: For the page's files.

    Raises:
        ImportError: Gradio is not installed.
        OSError: The port is taken, or not to be had.
    """
    # Gradio reads these when it is imported
    os.environ.update(SILENT, GRADIO_TEMP_DIR=str(folder), **past_proxies(args.host))
    try:
        from demos import page
    except ImportError as error:
        raise ImportError(f"the web page needs gradio ({error}): pip install 'mion-plugin[app]'") from error
    check_address(args.host, args.port)
    find = choose_finder(args)
    config = make_config(args, max(2, last_stage(args)))
    inferencer = MIONInferencer(
        config,
        args.checkpoint,
        device=args.device,
        amp=args.amp,
        use_depths=not args.no_depths,
        gender=args.gender or NEUTRAL,
    )
    blocks = page.build_page(inferencer, find, folder, detect=None if args.keypoints is not None else find)
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
