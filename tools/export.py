"""Write the networks of stages 2 and 3 for other runtimes, each file checked against the network.

    python tools/export.py --out exported                        # the small model of the package
    python tools/export.py --config CONFIG --checkpoint FILE --out exported --formats onnx

It writes mrt.onnx, mrt.pt2, reader.onnx, reader.pt2 (of a mion.CEN: cen.onnx, cen.pt2) and export.json, which tells
inputs, outputs, the largest difference, and how a score follows from the depths that are read. Stage 1, projection and
rendering are steps before the networks; see mion_plugin/export/networks.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command

from mion_plugin.constants import EXPORT_FORMATS as FORMATS


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--config", type=Path, help="config of a mion.MION; default: the small model of the package")
    parser.add_argument("--checkpoint", type=Path, help="weights of the config's whole model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--formats", nargs="+", choices=sorted(FORMATS), default=sorted(FORMATS), help="which to write")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="largest difference allowed (default: 1e-3)")
    args = parser.parse_args(arguments)
    if args.checkpoint is not None and args.config is None:
        parser.error(f"--checkpoint {args.checkpoint} needs --config, which says of what model")
    if args.tolerance <= 0:
        parser.error(f"--tolerance {args.tolerance}, expected a positive number")
    return args


@report_errors("export.py")
def main(arguments: list[str] | None = None) -> int:
    """Export; 2 on bad input or where a file does not give what the network gives."""
    return run_command("export", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
