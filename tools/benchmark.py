"""Measure the parts of MION against named alternatives in the same run.

    python tools/benchmark.py NAME [options]    (--help lists the names)

Timings are the median of several runs; machines are noisy, so the ratios are what to quote.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from cli import OneLineParser

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # where the suites of robustness are

# Name -> module, and what its docstring begins with: importing them all takes seconds.
BENCHMARKS = {
    "selection": (
        "benchmarks.selection",
        "Candidate selection: the selector against exhaustive forms of the same fit, and on ordinary people.",
    ),
    "thresholds": (
        "benchmarks.thresholds",
        "Stage 1's threshold: on the loss as it is weighted by confidences, and per unit of confidence.",
    ),
    "rasterizer": (
        "benchmarks.rasterizer",
        "Speed of the rasteriser's backends: PNCC images of posed bodies, colours included, against pytorch3d.",
    ),
    "synthesis": (
        "benchmarks.synthesis",
        "Speed of the synthesis in one process, against pytorch3d's rasteriser alone on the same bodies.",
    ),
    "pncc": (
        "benchmarks.pncc",
        "How much stage 2 uses PNCC: errors with each path's own PNCC image, a sibling's, a blank one, "
        "another person's.",
    ),
    "ablations": (
        "benchmarks.ablations",
        "Stage 2's choices under one small budget: trains each variant with several seeds and compares their errors.",
    ),
    "tables": (
        "benchmarks.tables",
        "The paper's tables 1, 3 and 6 and the running time, on synthetic test people; table 2 is the ablations'.",
    ),
    "combining": (
        "benchmarks.combining",
        "How much the 2D error counts best beside the score of CEN: the gap that each weight closes on training poses.",
    ),
    "fitting": (
        "benchmarks.fitting",
        "Bodies pulled onto the keypoints by mion.KeypointFit: errors before and after, time, and simpler ways.",
    ),
    "real": (
        "benchmarks.real",
        "Every way to an answer on a calibrated real clip with 3D truth, with its picture and without, into "
        "docs/real.md.",
    ),
    "places": (
        "benchmarks.places",
        "Where MediaPipe puts its keypoints on synthetic people, against where the body model has those of the same "
        "names.",
    ),
    "predict": (
        "benchmarks.predict",
        "Many photographs: people per second, work outside the networks and memory, against the demo's loop.",
    ),
    "methods": (
        "benchmarks.methods",
        "HMR, SPIN, CLIFF, SMPLify, a lifter and MION on the same evidence, each row with the hash of what made it.",
    ),
    "rates": (
        "benchmarks.learning_rates",
        "The learning rate that is best for a method: short trainings at each, and their validation errors.",
    ),
    "growth": (
        "benchmarks.growth",
        "How time and memory of each stage grow with images, paths and the pool, into docs/growth.md.",
    ),
    "latency": (
        "benchmarks.latency",
        "Processor time of one image and of a batch: HMR, MION with several paths, its stages, and its networks by "
        "runtime.",
    ),
    "pool": (
        "benchmarks.pool",
        "Pools from large collections: time and memory against the number of frames, and coverage by mini-batches.",
    ),
    "loader": (
        "benchmarks.loader",
        "Images per second and core of the training loader: as first shipped, crop first, and from cached crops.",
    ),
    "handover": (
        "benchmarks.handover",
        "What it costs the training process to take a batch over from a loader's worker: one tensor for all, or each "
        "alone.",
    ),
    "faults": (
        "robustness.fault_run",
        "Hostile input through every public door, and what becomes of it.",
    ),
    "kills": (
        "robustness.kills",
        "Kill commands at random moments, read every file that they leave, start them again, and compare the results.",
    ),
    "memory": (
        "robustness.memory",
        "Resident memory over long runs: a training, the demo on a folder of images, and a run over many photographs.",
    ),
}


class _BenchmarkParser(OneLineParser):
    """The parser of one benchmark, which is imported when its options are to be read or shown.

    Args:
        module: The benchmark's.
        **options: See ``ArgumentParser``.
    """

    def __init__(self, *, module: str, **options: Any) -> None:
        super().__init__(**options)
        self._module: str | None = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._module is not None:
            importlib.import_module(self._module).add_arguments(self)
            self._module = None
        return super().parse_known_args(args, namespace)


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, help="CPU threads of torch")
    commands = parser.add_subparsers(dest="benchmark", required=True, parser_class=_BenchmarkParser)
    for name, (module, description) in BENCHMARKS.items():
        commands.add_parser(name, help=description, module=module)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark that the first argument names."""
    args = parse_args(arguments)
    import torch  # seconds, which a wrong option should not cost

    threads = torch.get_num_threads()
    torch.set_num_threads(threads if args.threads is None else args.threads)
    try:
        importlib.import_module(BENCHMARKS[args.benchmark][0]).run(args)
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
