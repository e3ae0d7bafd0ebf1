"""Measure the parts of MION against named alternatives in the same run.

    python tools/benchmark.py NAME [options]    (--help lists the names)

Timings are the median of several runs; machines are noisy, so the ratios are what to quote.
"""

from __future__ import annotations

import torch
from benchmarks import (
    ablations,
    combining,
    faults,
    fitting,
    kills,
    memory,
    methods,
    pncc,
    rasterizer,
    selection,
    synthesis,
    tables,
)
from cli import OneLineParser

BENCHMARKS = {
    "selection": selection,
    "rasterizer": rasterizer,
    "synthesis": synthesis,
    "pncc": pncc,
    "ablations": ablations,
    "tables": tables,
    "combining": combining,
    "methods": methods,
    "fitting": fitting,
    "faults": faults,
    "kills": kills,
    "memory": memory,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark that the first argument names."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, module in BENCHMARKS.items():
        module.add_arguments(commands.add_parser(name, help=(module.__doc__ or "").split("\n")[0]))
    args = parser.parse_args(arguments)
    threads = torch.get_num_threads()
    torch.set_num_threads(args.threads)
    try:
        BENCHMARKS[args.benchmark].run(args)
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
