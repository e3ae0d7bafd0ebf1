"""HMR, SPIN and MION with one backbone, data and number of steps, on synthetic test people (paper, tables 4 to 6).

Finished trainings are kept in the work folder and not repeated; an interrupted one goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.markdown import table, write_page
from benchmarks.measuring import load_test_images, mean_interval, median_ms, relative_change, run_tool
from mmengine.config import Config
from torch import nn

from mion_plugin.evaluation import MeshMetric
from mion_plugin.evaluation.choice.fields import RULE_FIELDS
from mion_plugin.evaluation.choice.quality import chosen_errors
from mion_plugin.evaluation.metrics import CHOOSERS
from mion_plugin.registry import MODELS
from mion_plugin.weights import load_weights

BATCH_SIZE = 32  # the configs'
EPOCHS = 8  # a checkpoint after each, to go on from
ERRORS = ("MPJPE", "PA-MPJPE", "PVE", "SHAPE-L2")
REFERENCE = "SPIN"  # what the paper's margins are over
CHOICES = tuple(RULE_FIELDS)  # the rules that need no labels


@dataclass(frozen=True)
class Method:
    """A model to train and test, or to test alone.

    Attributes:
        config: Its config.
        rows: Row of the table -> rule by which the path is chosen.
        labels: What the training images come with.
        budget: What it was trained with, if that is not done here.
    """

    config: str
    rows: dict[str, str]
    labels: str = "SMPL of all images"
    budget: str | None = None


METHODS = {
    "hmr": Method("configs/baselines/hmr_tiny_synthetic.py", {"HMR": "first"}),
    "spin": Method("configs/baselines/spin_tiny_synthetic.py", {REFERENCE: "first"}),
    "spin-fits": Method(
        "configs/baselines/spin_tiny_synthetic_half-2d.py",
        {"SPIN, SMPLify in the loop": "first"},
        labels="SMPL of half, 2D keypoints of all",
    ),
    "mion": Method(
        "configs/mion/mrt_tiny_synthetic.py",
        {"MION, stages 1 and 2, first": "first", "MION, stages 1 and 2, reprojection": "reprojection"},
    ),
    "mion-shipped": Method(
        "configs/mion/mion_tiny_synthetic.py",
        {"MION as shipped, cen": "cen", "MION as shipped, fit": "fit"},
        labels="SMPL of all bodies and images",
        budget="6,500 of 512 bodies (stage 2), 4,496 of 64 images (stage 3)",
    ),
}
HUMAN36M, PW3D = "Human3.6M, MPJPE / PA-MPJPE", "3DPW, MPJPE / PA-MPJPE"
PUBLISHED = {
    "HMR": {HUMAN36M: "88.0 / 56.8", PW3D: "- / 81.3", "mmhuman3d": "112.34 / 67.53"},
    "SPIN": {HUMAN36M: "62.3 / 41.1", PW3D: "- / 59.2", "mmhuman3d": "94.11 / 57.54", "shape": "0.116 / 4.398"},
    "PARE": {"mmhuman3d": "81.79 / 49.35"},
    "HybrIK": {"mmhuman3d": "81.08 / 49.02"},
    "CLIFF": {"mmhuman3d": "76.49 / 48.65"},
    "MION, 1 path": {HUMAN36M: "62.31 / 45.48", "shape": "0.142 / 5.383"},
    "MION, 5 paths": {HUMAN36M: "56.88 / 41.59", PW3D: "81.98 / 52.34", "shape": "0.094 / 3.227"},
}
PAPER_MARGINS = {
    "MPJPE": "-8.7 % (Human3.6M)",
    "PA-MPJPE": "-11.6 % (3DPW)",
    "PVE": "-19 % (3DPW)",
    "SHAPE-L2": "-27 %",
}
NOTES = """\
- MION reads 2D keypoints, here the true ones with 1.5 px of noise; HMR and SPIN read the image alone, and from scratch
  need far more steps than MION to find the body's orientation in it. The paper's SPIN is trained to the end.
- HMR is trained without its adversarial part. SMPL labels take the place of SMPLify's fits in SPIN, as in mmhuman3d:
  where all images have them, SMPLify has nothing to do and is not run.
- `SPIN, SMPLify in the loop` has neither SMPL nor 3D keypoints for half of its images, so that SMPLify fits them; 5
  and 10 iterations in place of mmhuman3d's 50 and 50, for which a CPU has no time.
- MION trains on 4 candidates of each image in a step."""


@dataclass(frozen=True)
class Measured:
    """One method on S test samples.

    Attributes:
        errors: Row of the table -> error -> (S,), millimetres (``SHAPE-L2``: no unit).
        millions: Parameters.
        milliseconds: Per image.
        seconds: Per training step; None if it was not trained here.
    """

    errors: dict[str, dict[str, np.ndarray]]
    millions: float
    milliseconds: float
    seconds: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="which")
    parser.add_argument("--steps", type=int, default=4000, help=f"training steps of {BATCH_SIZE} images")
    parser.add_argument("--train-seed", type=int, default=0, help="seed of the training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4], help="evaluation seeds")
    parser.add_argument("--num-samples", type=int, default=1024, help="test samples per seed")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/methods"), help="where the trainings are kept")
    parser.add_argument("--out", type=Path, default=Path("docs/methods.md"), help="Markdown file to write")


def run(args: argparse.Namespace) -> None:
    """Train what is missing, test all, and write the page.

    Raises:
        ValueError: Fewer steps than epochs.
    """
    if args.steps < EPOCHS:
        raise ValueError(f"--steps {args.steps}, expected at least {EPOCHS}, one for each epoch")
    for name in args.methods:
        if METHODS[name].budget is None and not checkpoint_path(args, name).exists():
            train(args, name)
    measured = {name: measure(args, name) for name in args.methods}
    text = report(args, measured)
    write_page(args.out, text)
    print(text)


def checkpoint_path(args: argparse.Namespace, name: str) -> Path:
    """Where a finished training leaves its weights."""
    return _folder(args, name) / f"epoch_{EPOCHS}.pth"


def train(args: argparse.Namespace, name: str) -> None:
    """Train a method, from its last checkpoint if there is one, as a user would.

    Raises:
        subprocess.CalledProcessError: Training failed; its output tells why.
    """
    options = [
        f"randomness.seed={args.train_seed}",
        f"train_dataloader.dataset.seed={args.train_seed}",
        f"train_dataloader.dataset.num_samples={args.steps // EPOCHS * BATCH_SIZE}",
        f"train_cfg.max_epochs={EPOCHS}",
        f"param_scheduler.1.T_max={EPOCHS}",
        *("val_dataloader=None", "val_cfg=None", "val_evaluator=None"),
    ]
    command = [METHODS[name].config, "--work-dir", _folder(args, name), "--cfg-options", *options]
    if (_folder(args, name) / "last_checkpoint").exists():
        command.insert(1, "--resume")
    run_tool("train.py", *command)


def measure(args: argparse.Namespace, name: str) -> Measured:
    """Errors, size and speed of a method."""
    method = METHODS[name]
    cfg = Config.fromfile(method.config)
    model = MODELS.build(cfg.model).eval()
    if method.budget is None:
        model.load_state_dict(load_weights(checkpoint_path(args, name)))
    parts = [path_errors(model, cfg, seed, args.num_samples, method.rows) for seed in args.seeds]
    errors = {
        row: {error: np.concatenate([part[row][error] for part in parts]) for error in ERRORS} for row in method.rows
    }
    return Measured(
        errors,
        sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        milliseconds_per_image(model, cfg),
        None if method.budget is not None else seconds_per_step(_folder(args, name)),
    )


@torch.no_grad()
def path_errors(
    model: nn.Module, cfg: Config, seed: int, num_samples: int, rows: dict[str, str]
) -> dict[str, dict[str, np.ndarray]]:
    """Row -> error -> (S,) of the chosen paths on the test images of a seed."""
    metric = MeshMetric(ERRORS, ("mean",), choosers=CHOICES)
    for batch in load_test_images(cfg, seed, num_samples):
        metric.process(batch, [sample.to_dict() for sample in model.test_step(batch)])
    paths = [result["pred_bodies"] for result in metric.results]
    errors = {error: np.stack([path[error] for path in paths]) for error in ERRORS}
    scores = {choice: np.stack([path[CHOOSERS][choice] for path in paths]) for choice in set(rows.values())}
    return {
        row: {error: chosen_errors(values, scores[choice]) for error, values in errors.items()}
        for row, choice in rows.items()
    }


@torch.no_grad()
def milliseconds_per_image(model: nn.Module, cfg: Config, repeats: int = 7) -> float:
    """Median time from a batch of images and keypoints to bodies' parameters, the batch's size divided out."""
    batch = next(iter(load_test_images(cfg, 0, cfg.test_dataloader.batch_size)))
    image, samples = torch.stack(batch["inputs"]), batch["data_samples"]
    return median_ms(lambda: model(image, samples), repeats) / len(image)


def seconds_per_step(folder: Path) -> float | None:
    """Median of the times that the training logged, waiting for images included; None without a log."""
    logged = [
        json.loads(line).get("time") for path in folder.rglob("scalars.json") for line in path.read_text().splitlines()
    ]
    times = [value for value in logged if value is not None]
    return statistics.median(times) if times else None


def report(args: argparse.Namespace, measured: dict[str, Measured]) -> str:
    """The page."""
    seeds = ", ".join(map(str, args.seeds))
    opening = (
        f"Written by `tools/benchmark.py methods`: {args.steps // EPOCHS * EPOCHS} training steps of {BATCH_SIZE} "
        f"images of 112 x 112 px, the same for all (seed {args.train_seed}), and the first three stages of a ResNet-18 "
        f"without pretraining. Tested on {len(args.seeds)} x {args.num_samples} images (seeds {seeds}) whose poses "
        "come from recordings that neither training nor stage 1 has seen. Millimetres; in brackets 95 % bootstrap "
        "intervals over the test images: they do not hold the chance of training, which was done once. Times: "
        f"{torch.get_num_threads()} CPU threads, batches of {BATCH_SIZE}, from image and keypoints to the parameters "
        "of bodies."
    )
    parts = [opening, errors_table(measured), NOTES, margins_table(measured), published_table()]
    return "# HMR, SPIN and MION on synthetic people\n\n" + "\n\n".join(parts) + "\n"


def errors_table(measured: dict[str, Measured]) -> str:
    """A row for each way to an answer."""
    rows = []
    for name, one in measured.items():
        method = METHODS[name]
        for row, errors in one.errors.items():
            rows.append(
                [
                    row,
                    *(mean_interval(errors[error], 2 if error == "SHAPE-L2" else 1) for error in ERRORS),
                    f"{one.millions:.1f} M",
                    f"{one.milliseconds:.1f}",
                    method.budget or "as above",
                    method.labels,
                    "" if one.seconds is None else f"{one.seconds:.2f}",
                ]
            )
    heading = [*("method", *ERRORS), *("parameters", "ms per image", "steps", "labels in training", "s per step")]
    return f"## Errors\n\n{table(heading, rows)}"


def margins_table(measured: dict[str, Measured]) -> str:
    """How far each row is below SPIN, on the same images."""
    errors = {row: values for one in measured.values() for row, values in one.errors.items()}
    if REFERENCE not in errors:
        return f"No margins: {REFERENCE} was not among the methods."
    rows = [
        [row, *(relative_change(errors[REFERENCE][error], values[error]) for error in ERRORS)]
        for row, values in errors.items()
        if row != REFERENCE
    ]
    rows.append(["the paper, MION with 5 paths", *(PAPER_MARGINS[error] for error in ERRORS)])
    return f"## Change from {REFERENCE}\n\n{table(['method', *ERRORS], rows)}"


def published_table() -> str:
    """The figures of the paper and of mmhuman3d, which are on real images."""
    columns = (HUMAN36M, PW3D, "mmhuman3d", "shape")
    rows = [[name, *(figures.get(column, "") for column in columns)] for name, figures in PUBLISHED.items()]
    heading = [
        "method",
        f"paper: {HUMAN36M}",
        f"paper: {PW3D}",
        f"mmhuman3d's own: {PW3D}",
        "paper: 3DPW, vertices in m / betas",
    ]
    return (
        f"## Published, on real images\n\n{table(heading, rows)}\n\nOnly the order of the methods compares with the "
        "tables above. The paper's running time: SPIN 59 ms, MION 128 ms on a Titan X."
    )


def _folder(args: argparse.Namespace, name: str) -> Path:
    return args.work_dir / f"{name}_{args.steps}_{args.train_seed}"
