"""The learning rate that is best for a method: short trainings at each, and their validation errors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.markdown import table
from benchmarks.measuring import run_tool
from mmengine.config import Config

ERROR = "body/MPJPE/chosen"
_CHECKPOINT = "epoch_{}.pth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("config", type=Path, help="config of the method")
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3, 1e-3, 3e-4, 1e-4], help="rates to try")
    parser.add_argument("--images", type=int, default=9600, help="training images in an epoch: a part of the set")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of each training")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/rates"), help="where the trainings are kept")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="further options for tools/train.py")


def run(args: argparse.Namespace) -> None:
    """Train at every rate, but for what an earlier run has finished, and print the errors.

    Raises:
        ValueError: A rate that is not positive.
    """
    if wrong := [rate for rate in args.rates if not rate > 0]:
        raise ValueError(f"--rates has {wrong[0]:g}, expected positive numbers")
    cfg = Config.fromfile(args.config)
    steps = args.images // cfg.train_dataloader.batch_size * args.epochs
    print(f"{len(args.rates)} trainings of {steps} steps of {cfg.train_dataloader.batch_size} images", flush=True)
    errors = {rate: train(args, rate) for rate in args.rates}
    best = min(errors, key=lambda rate: errors[rate])
    print(table(["learning rate", ERROR], [[f"{rate:g}", f"{error:.1f}"] for rate, error in errors.items()]))
    print(f"the best: {best:g}")


def train(args: argparse.Namespace, rate: float) -> float:
    """Validation error after a short training at a rate; infinite where it diverged.

    Raises:
        subprocess.CalledProcessError: Training failed; its output tells why.
    """
    # a mixture draws its epochs, a single set is cut
    length = "num_samples" if "num_samples" in Config.fromfile(args.config).train_dataloader.dataset else "indices"
    folder = args.work_dir / f"{args.config.stem}_{rate:g}_{args.images}_{args.epochs}"
    if not (folder / _CHECKPOINT.format(args.epochs)).is_file():
        options = [
            f"optim_wrapper.optimizer.lr={rate}",
            f"train_dataloader.dataset.{length}={args.images}",
            f"train_cfg.max_epochs={args.epochs}",
            *args.cfg_options,
        ]
        run_tool("train.py", args.config, "--work-dir", folder, "--cfg-options", *options)
    return lowest_error(folder)


def lowest_error(folder: Path) -> float:
    """The lowest validation error that a training logged.

    Raises:
        ValueError: It logged none.
    """
    logged = [json.loads(line) for path in folder.rglob("scalars.json") for line in path.read_text().splitlines()]
    found = [entry[ERROR] for entry in logged if ERROR in entry]
    if not found:
        raise ValueError(f"{folder} has no log with {ERROR}, expected a training that was validated")
    return min(found)
