"""Stage 2's choices under one small budget: trains each variant with several seeds and compares their errors.

Finished runs are kept in the work folder and not repeated, so that an interrupted comparison goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.markdown import table, write_page
from benchmarks.measuring import run_tool

CONFIG = "configs/mion/mrt_tiny_synthetic.py"
BATCH_SIZE = 32  # the config's
_SINE = "model.network.position_encoding.type=mion.SinePositionEncoding2D"
# Joint queries as in the paper: nothing of the candidate but PNCC-PE tells the transformer which path it is on.
_PAPER_QUERIES = (
    "model.network.queries.candidate=False",
    "model.network.queries.features=False",
    "model.network.queries.keypoints=None",
)
# Name -> options on top of the config.
VARIANTS: dict[str, tuple[str, ...]] = {
    "as configured": (),
    "as configured, sinusoidal encoding": (_SINE,),
    "as configured, absolute rotations": ("model.network.head.rotation=absolute",),
    "as configured, no keypoints in the queries": ("model.network.queries.keypoints=None",),
    "paper's queries, PNCC-PE": _PAPER_QUERIES,
    "paper's queries, sinusoidal encoding": (*_PAPER_QUERIES, _SINE),
}
STATISTICS = ("chosen", "mean", "oracle")
ERRORS = ("MPJPE", "PA-MPJPE")


@dataclass(frozen=True)
class Trained:
    """What ``tools/test.py`` reported for the S seeds of a variant: metric -> (S,), millimetres."""

    metrics: dict[str, np.ndarray]

    def cell(self, statistic: str, of: str = "body") -> str:
        """MPJPE / PA-MPJPE, with the standard deviation over the seeds where there are several."""
        return " / ".join(_mean_and_spread(self.metrics[f"{of}/{error}/{statistic}"]) for error in ERRORS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="which to train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="training seeds")
    parser.add_argument("--steps", type=int, default=400, help=f"training steps of {BATCH_SIZE} images")
    parser.add_argument("--num-samples", type=int, default=1024, help="test samples")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/ablations"), help="where the runs are kept")
    parser.add_argument("--out", type=Path, default=Path("docs/ablations.md"), help="Markdown file to write")


def run(args: argparse.Namespace) -> None:
    """Train and test what is missing, seed by seed, then write the table of all finished runs."""
    for seed in args.seeds:
        for variant in args.variants:
            if not _report_path(args, variant, seed).exists():
                train_and_test(args, variant, seed)
    text = report(args)
    write_page(args.out, text)
    print(text)


def train_and_test(args: argparse.Namespace, variant: str, seed: int) -> None:
    """One training from scratch and its test, as a user would run them.

    Raises:
        subprocess.CalledProcessError: Training or testing failed; its output tells why.
    """
    folder = _folder(args, variant, seed)
    training = [
        f"randomness.seed={seed}",
        f"train_dataloader.dataset.seed={seed}",
        f"train_dataloader.dataset.num_samples={args.steps * BATCH_SIZE}",
        "train_cfg.max_epochs=1",
        "param_scheduler.1.T_max=1",
        "val_dataloader=None",
        "val_cfg=None",
        "val_evaluator=None",
    ]
    run_tool("train.py", CONFIG, "--work-dir", folder, "--cfg-options", *training, *VARIANTS[variant])
    testing = [f"test_dataloader.dataset.num_samples={args.num_samples}", *VARIANTS[variant]]
    report_path = _report_path(args, variant, seed)
    checkpoint = folder / "epoch_1.pth"
    run_tool("test.py", CONFIG, checkpoint, "--work-dir", folder, "--out", report_path, "--cfg-options", *testing)


def report(args: argparse.Namespace) -> str:
    """All finished runs as a page of Markdown."""
    rows = []
    for variant in args.variants:
        seeds = [seed for seed in args.seeds if _report_path(args, variant, seed).exists()]
        trained = read_reports([_report_path(args, variant, seed) for seed in seeds])
        if not rows:
            rows.append(["candidates", "", *(trained.cell(statistic, "body/candidates") for statistic in STATISTICS)])
        rows.append([variant, str(len(seeds)), *(trained.cell(statistic) for statistic in STATISTICS)])
    return (
        f"# Stage 2's choices\n\nWritten by `tools/benchmark.py ablations`: `{CONFIG}`, the small model in the paper's "
        f"form and not the one that ships, for {args.steps} steps of {BATCH_SIZE} images instead of 4,000, tested on "
        f"{args.num_samples} images whose poses come from recordings that neither training nor stage 1 has seen. All "
        "but the absolute one turn the candidate's rotations, so that PNCC is not what alone tells of it, as it is in "
        "the paper: [there](results.md#what-pncc-pe-is-worth) it makes a difference. "
        "MPJPE / PA-MPJPE in mm, mean and standard deviation over training "
        f"seeds.\n\n{table(['variant', 'seeds', 'first', 'mean of 5', 'oracle (best of 5)'], rows)}\n"
    )


def read_reports(paths: list[Path]) -> Trained:
    """The files that ``tools/test.py --out`` wrote."""
    reports = [json.loads(path.read_text()) for path in paths]
    return Trained({name: np.array([report[name] for report in reports]) for name in reports[0]})


def _mean_and_spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f}" + (f" ± {values.std(ddof=1):.1f}" if len(values) > 1 and values.std() else "")


def _folder(args: argparse.Namespace, variant: str, seed: int) -> Path:
    return args.work_dir / f"{variant.replace(',', '').replace(' ', '-').replace(chr(39), '')}_{seed}"


def _report_path(args: argparse.Namespace, variant: str, seed: int) -> Path:
    return _folder(args, variant, seed) / "metrics.json"
