"""Bodies pulled onto the keypoints by mion.KeypointFit: errors before and after, time, and simpler ways."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.fitting_rivals import ADAM_STEPS, Fit, adam_fit, smplify_fit
from benchmarks.markdown import table, write_page
from benchmarks.measuring import load_test_images, mean_interval, median_times
from mmengine.config import Config
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.evaluation.choice.fields import RULE_FIELDS
from mion_plugin.evaluation.choice.quality import chosen_errors
from mion_plugin.evaluation.errors import evaluation_joints, mpjpe, pa_mpjpe
from mion_plugin.fitting import FittedBodies, KeypointFit, posterior_mean
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS
from mion_plugin.samples import collect_targets

RULES = ("reprojection", "cen+reprojection")  # those before the fit that are compared
_INTERVAL = re.compile(r" \[[^]]*\]")
Errors = dict[str, np.ndarray]  # MPJPE and PA-MPJPE (S, N), mm
ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"MPJPE": mpjpe, "PA-MPJPE": pa_mpjpe}
# That of the small model; the poses of the test recordings have no part in it.
PRIOR = {"type": "mion.StartPrior", "joints": 0.15, "pool_split": "train"}
# Candidates are farther from the truth than refined bodies; the best of a few numbers on validation.
CANDIDATE_PRIOR = {"joints": 0.35, "orientation": 0.25, "betas": 0.5}
CANDIDATE_ITERATIONS = 10
SWEEP = {
    "joints": (0.15, 0.2, 0.25, 0.3, 0.4),
    "orientation": (0.1, 0.15, 0.25),
    "betas": (0.15, 0.3, 0.6, 1.0),
    "depth": (0.05, 0.1, 0.2),
    "shift": (0.05, 0.1, 0.2),
    "pool_share": (0.0, 0.5, 0.7, 0.9),
    "keypoint_noise": (0.009, 0.0135, 0.016, 0.02, 0.03),
    "cutoff": (3.0, 4.0, 6.0, 10.0),
    "iterations": (1, 2, 3, 4, 8, 16),
}


@dataclass(frozen=True)
class Collected:
    """S images with N paths each.

    Attributes:
        refined: (S, N) of stage 2, not fitted.
        candidates: (S, N) what they started from.
        keypoints2d: (S, 17, 3).
        truth: (S, 1, 14, 3) scored joints, metres.
        before: Way to choose -> (S, N) score that needs no fit; the lowest wins.
    """

    refined: Bodies
    candidates: Bodies
    keypoints2d: Tensor
    truth: Tensor
    before: dict[str, np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--config", default="configs/mion/mion_tiny_synthetic.py", help="config of a mion.MION")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2], help="evaluation seeds; validation has 1 and 11")
    parser.add_argument("--split", choices=("train", "test"), default="test", help="recordings that poses are from")
    parser.add_argument("--num-samples", type=int, default=1024, help="images per seed")
    parser.add_argument("--smplify-images", type=int, default=0, help="images that mmhuman3d's SMPLify fits too; slow")
    parser.add_argument("--sweep", action="store_true", help="vary each of the fit's numbers instead")
    parser.add_argument("--out", type=Path, help="Markdown file to write")


def run(args: argparse.Namespace) -> None:
    """Print, and write on request, the tables."""
    cfg = Config.fromfile(args.config)
    cfg.model.update(fit=None, selection="cen+reprojection")  # the bodies before any fit are wanted
    model: MultiInitializationOptimizationNetwork = MODELS.build(cfg.model).eval()
    collected = collect(model, cfg, args.seeds, args.split, args.num_samples)
    if args.sweep:
        text = sweep_table(model, collected)
    else:
        parts = [errors_table(model, collected), speed_table(model, collected, args.smplify_images)]
        if args.smplify_images:
            parts.insert(1, smplify_table(model, collected, args.smplify_images))
        text = "\n\n".join(parts)
    seeds = ", ".join(map(str, args.seeds))
    text = f"{len(collected.truth)} images (poses: {args.split}, seeds {seeds}). MPJPE / PA-MPJPE in mm.\n\n{text}\n"
    if args.out is not None:
        write_page(args.out, text)
    print(text)


def build_fit(
    model: MultiInitializationOptimizationNetwork, prior: dict[str, Any] | None = None, **options: Any
) -> Any:
    """A ``KeypointFit`` for a model's body and camera."""
    camera = model.camera
    return KeypointFit(
        model.body,
        {**PRIOR, **(prior or {})},
        focal_length=camera.focal_length,
        image_size=camera.image_size,
        **options,
    )


@torch.no_grad()
def collect(
    model: MultiInitializationOptimizationNetwork, cfg: Config, seeds: list[int], split: str, num_samples: int
) -> Collected:
    """Run a model on the images of some seeds."""
    parts: dict[str, list[Tensor]] = {}
    for seed in seeds:
        for batch in load_test_images(cfg, seed, num_samples, split=split):
            for name, value in _batch_tensors(model, model.test_step(batch)).items():
                parts.setdefault(name, []).append(value)
    joined = {name: torch.cat(values) for name, values in parts.items()}
    refined, candidates = (
        Bodies(*(joined[f"{prefix}{name}"] for name in ("pose", "betas", "transl"))) for prefix in ("", "candidate_")
    )
    first = np.tile(np.arange(joined["betas"].shape[1]), (len(joined["betas"]), 1))
    before = {"first": first} | {rule: joined[RULE_FIELDS[rule]].numpy() for rule in RULES}
    return Collected(refined, candidates, joined["keypoints2d"], joined["truth"], before)


def _batch_tensors(model: MultiInitializationOptimizationNetwork, results: list[Any]) -> dict[str, Tensor]:
    bodies, candidates = ([result.get(name) for result in results] for name in ("pred_bodies", "candidates"))
    names = ("pose", "betas", "transl", *(RULE_FIELDS[rule] for rule in RULES))
    targets = collect_targets(results, torch.device("cpu"))
    truth = model.body.pose_keypoints(targets.rotations, targets.betas, convention="h36m")
    refined = {name: torch.stack([body.get(name) for body in bodies]) for name in names}
    started = {
        f"candidate_{name}": torch.stack([each.get(name) for each in candidates])
        for name in ("pose", "betas", "transl")
    }
    return (
        refined
        | started
        | {
            "keypoints2d": torch.stack([result.keypoints2d_read for result in results]),
            "truth": evaluation_joints(truth)[:, None],
        }
    )


@torch.no_grad()
def errors_table(model: MultiInitializationOptimizationNetwork, collected: Collected) -> str:
    """A row for each set of bodies, a column for each way to choose."""
    fitted = in_batches(build_fit(model), collected.refined, collected)
    wide = build_fit(model, CANDIDATE_PRIOR, iterations=CANDIDATE_ITERATIONS)
    candidates = in_batches(wide, collected.candidates, collected)
    adam = in_batches(adam_fit(model.body, model.camera), collected.refined, collected)
    rows = [
        ["refined, before", *_cells(model.body, collected.refined, collected)],
        [f"{ADAM_STEPS} steps of Adam", *_cells(model.body, adam, collected)],
        ["KeypointFit", *_cells(model.body, fitted, collected)],
        ["stage 1's candidates, KeypointFit", *_cells(model.body, candidates, collected)],
    ]
    own = ("fit", "posterior mean")
    heading = ["bodies", *collected.before, *own, "random (mean)", "oracle"]
    return f"### Errors\n\n{table(heading, rows)}"


@torch.no_grad()
def smplify_table(model: MultiInitializationOptimizationNetwork, collected: Collected, count: int) -> str:
    """The same for SMPLify on the first images."""
    part = _first(collected, count)
    ways = {
        "SMPLify": smplify_fit({}, model.camera.image_size),
        "SMPLify as mmhuman3d weighs it": smplify_fit({}, model.camera.image_size, in_pixels=False),
    }
    fitted = in_batches(build_fit(model), part.refined, part)
    rows = [
        ["refined, before", *_cells(model.body, part.refined, part)],
        *([name, *_cells(model.body, in_batches(fit, part.refined, part), part)] for name, fit in ways.items()),
        ["KeypointFit", *_cells(model.body, fitted, part)],
    ]
    heading = ["bodies", *part.before, "fit", "posterior mean", "random (mean)", "oracle"]
    return f"### mmhuman3d's SMPLify from the same bodies, {count} images\n\n{table(heading, rows)}"


@torch.no_grad()
def sweep_table(model: MultiInitializationOptimizationNetwork, collected: Collected) -> str:
    """Errors when one number of the fit is another than its default."""
    rows = []
    for name, values in SWEEP.items():
        for value in values:
            of_fit = name in ("keypoint_noise", "cutoff", "iterations")
            fit = build_fit(model, **({name: value} if of_fit else {"prior": {name: value}}))
            fitted = in_batches(fit, collected.refined, collected)
            cells = _cells(model.body, fitted, collected)
            rows.append([name, f"{value:g}", *(_INTERVAL.sub("", cell) for cell in cells[-5:])])
    heading = ["number", "value", "cen+reprojection", "fit", "posterior mean", "random (mean)", "oracle"]
    return table(heading, rows)


@torch.no_grad()
def speed_table(model: MultiInitializationOptimizationNetwork, collected: Collected, smplify_images: int) -> str:
    """Milliseconds per image for all paths, and their ratios."""
    part = _first(collected, 32)
    ways: dict[str, tuple[Fit, int]] = {
        "KeypointFit": (build_fit(model), 15),
        f"{ADAM_STEPS} steps of Adam": (adam_fit(model.body, model.camera), 3),
    }
    if smplify_images:
        ways["mmhuman3d's SMPLify"] = (smplify_fit({}, model.camera.image_size), 1)
    times = {
        name: median_times(lambda fit=fit: fit(part.refined, part.keypoints2d), repeats) / len(part.truth)
        for name, (fit, repeats) in ways.items()
    }
    base = times["KeypointFit"][1]
    rows = [
        [name, f"{wall:.1f}", f"{processor:.1f}", f"{processor / base:.0f}"]
        for name, (wall, processor) in times.items()
    ]
    paths = part.refined.transl.shape[1]
    title = f"### Time\n\n{len(part.truth)} images, {paths} paths, {torch.get_num_threads()} CPU threads, median."
    return f"{title}\n\n{table(['way', 'ms per image', 'of processor time', 'ratio of that'], rows)}"


def in_batches(fit: Fit, bodies: Bodies, collected: Collected, size: int = 32) -> Bodies:
    """A fit of all images."""
    rows = torch.arange(len(collected.truth)).split(size)
    parts = [fit(_rows(bodies, index), collected.keypoints2d[index]) for index in rows]
    names = ("pose", "betas", "transl", *(("cost",) if isinstance(parts[0], FittedBodies) else ()))
    return type(parts[0])(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def path_errors(body: SMPLBody, bodies: Bodies, truth: Tensor) -> Errors:
    """Errors of all paths."""
    joints = evaluation_joints(body.pose_keypoints(bodies.pose, bodies.betas, convention="h36m"))
    return {name: measure(joints, truth).numpy() for name, measure in ERRORS.items()}


def _rows(bodies: Bodies, index: Tensor | slice) -> Bodies:
    """The bodies of some images."""
    return Bodies(bodies.rotations[index], bodies.betas[index], bodies.transl[index])


def _first(collected: Collected, count: int) -> Collected:
    rows = slice(count)
    return Collected(
        _rows(collected.refined, rows),
        _rows(collected.candidates, rows),
        collected.keypoints2d[rows],
        collected.truth[rows],
        {name: scores[rows] for name, scores in collected.before.items()},
    )


def _cells(body: SMPLBody, bodies: Bodies, collected: Collected) -> list[str]:
    """Errors of one set of bodies: each way to choose, the posterior mean, the mean over the paths and the best."""
    errors = path_errors(body, bodies, collected.truth)
    cells = [
        _both({name: chosen_errors(value, scores) for name, value in errors.items()})
        for scores in collected.before.values()
    ]
    if isinstance(bodies, FittedBodies):
        cost = bodies.cost.numpy()
        cells.append(_both({name: chosen_errors(value, cost) for name, value in errors.items()}))
        mean = path_errors(body, posterior_mean(bodies), collected.truth)
        cells.append(_both({name: value[:, 0] for name, value in mean.items()}))
    else:
        cells += ["", ""]
    cells += [_both({name: reduce(value, axis=1) for name, value in errors.items()}) for reduce in (np.mean, np.min)]
    return cells


def _both(errors: Errors) -> str:
    """MPJPE with its interval, and PA-MPJPE, of one body per image (S,)."""
    return f"{mean_interval(errors['MPJPE'])} / {errors['PA-MPJPE'].mean():.1f}"
