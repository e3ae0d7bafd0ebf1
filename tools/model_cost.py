"""Compute what a config's networks cost: parameters, operations, and what a backward pass keeps in memory.

    python tools/model_cost.py configs/mion/mrt_r50_56x56_mixed.py configs/mion/cen_r34_224.py

Nothing is timed. Operations are counted by torch while one image runs through the networks on the CPU (a
multiplication with its addition is two); memory is that of the tensors that autograd keeps, with attention fused.
Dropout is switched off: on a GPU its masks add a byte for each number that it may drop. SMPL, candidate pools and
checkpoints that the configs name are not needed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("configs", nargs="+", type=Path, metavar="CONFIG", help="configs of stages 2 and 3")
    return parser.parse_args(arguments)


@report_errors("model_cost.py")
def main(arguments: list[str] | None = None) -> int:
    """Print a row for each network of the configs; 2 on bad input."""
    return run_command("model_cost", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
