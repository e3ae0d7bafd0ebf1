"""The paper's tables 1, 3 and 6 and the running time, on synthetic test people; table 2 is the ablations'."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.markdown import table, write_page
from benchmarks.measuring import load_test_images, mean_interval, median_ms, relative_change
from benchmarks.stages import Stages
from mmengine.config import Config

from mion_plugin.consistency import DepthConsistency
from mion_plugin.evaluation import MeshMetric
from mion_plugin.evaluation.choice.fields import RULE_FIELDS
from mion_plugin.evaluation.choice.quality import chosen_errors, selection_statistics
from mion_plugin.evaluation.metrics import CHOOSERS
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS
from mion_plugin.samples import input_keypoints

ERRORS = ("MPJPE", "PA-MPJPE", "VERTEX-L2", "PVE-PELVIS", "SHAPE-L2")
NUM_PATHS = 6  # table 1 goes that far
MAIN_PATHS = 5  # the paper's number in all other tables
RULES = tuple(RULE_FIELDS)  # those that need no labels
PAPER_TABLE_1 = ("62.31 / 45.48", "61.59 / 44.75", "59.98 / 42.81", "58.78 / 41.86", "56.88 / 41.59", "58.71 / 42.02")
PAPER_TABLE_3 = {"random": "62.47 / 44.71", "cen": "56.88 / 41.59", "oracle": "52.17 / 39.82"}
PAPER_GAP_CLOSED = "54 %"
TABLE_2 = (
    "## Table 2: PNCC-PE against sinusoidal encoding\n\nIt takes a training of stage 2 for each row: "
    "[ablations](ablations.md), by `tools/benchmark.py ablations`."
)


@dataclass(frozen=True)
class Measured:
    """Errors of every path of S samples.

    Attributes:
        errors: Name -> (S, N), millimetres (``SHAPE-L2``: no unit).
        scores: Way to choose -> (S, N), the lowest wins.
    """

    errors: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]

    def first(self, count: int) -> Measured:
        """The first ``count`` paths, which are what stage 1 gives when asked for so many."""
        return Measured(*({k: v[:, :count] for k, v in part.items()} for part in (self.errors, self.scores)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--config", default="configs/mion/mion_tiny_synthetic.py", help="config of a mion.MION")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4], help="evaluation seeds")
    parser.add_argument("--num-samples", type=int, default=1024, help="test samples per seed")
    parser.add_argument(
        "--grey-samples", type=int, default=512, help="samples of the first seed also measured without their picture"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/tables.md"), help="Markdown file to write")


def run(args: argparse.Namespace) -> None:
    """Evaluate and write the tables."""
    cfg = Config.fromfile(args.config)
    cfg.model.num_candidates = NUM_PATHS
    model: MultiInitializationOptimizationNetwork = MODELS.build(cfg.model).eval()
    others = alternatives(cfg, args.seeds, args.num_samples)
    parts = [measure(model, cfg, seed, args.num_samples) for seed in args.seeds]
    both = _joined(parts)
    harsh = [measure(model, cfg, seed, args.num_samples, looks="harsh").first(MAIN_PATHS) for seed in args.seeds]
    grey = measure(model, cfg, args.seeds[0], min(args.grey_samples, args.num_samples), grey=True)
    text = "\n\n".join(
        [
            f"# The paper's tables on synthetic people\n\nWritten by `tools/benchmark.py tables` with "
            f"`{args.config}`: {len(args.seeds)} seeds ({', '.join(map(str, args.seeds))}) of {args.num_samples} "
            "images, poses from recordings that neither training nor stage 1 has seen. MPJPE / PA-MPJPE in mm unless "
            "said otherwise; in brackets 95 % bootstrap intervals over all images. The paper's figures are those on "
            "Human3.6M: only the shape of the tables compares.",
            table_1(both),
            TABLE_2,
            table_3(both.first(MAIN_PATHS), [part.first(MAIN_PATHS) for part in parts]),
            *([] if others is None else [alternatives_table(others)]),
            table_6(both.first(MAIN_PATHS)),
            harsh_table(both.first(MAIN_PATHS), harsh, args.seeds),
            grey_table(parts[0].first(MAIN_PATHS), grey.first(MAIN_PATHS), args.seeds[0]),
            speed(model, cfg),
        ]
    )
    write_page(args.out, text + "\n")
    print(text)


@torch.no_grad()
def measure(
    model: MultiInitializationOptimizationNetwork,
    cfg: Config,
    seed: int,
    num_samples: int,
    grey: bool = False,
    looks: str | None = None,
) -> Measured:
    """Errors and scores of all paths on the test images of a seed, in other looks on request.

    With ``grey`` the model sees the mean colour in place of every picture, which normalised is zero, and has the
    keypoints alone to go by.
    """
    metric = MeshMetric(ERRORS, ("mean",), choosers=RULES)
    options = {} if looks is None else {"looks": {"recipe": looks}}
    for batch in load_test_images(cfg, seed, num_samples, **options):
        if grey:
            batch["inputs"] = [torch.zeros_like(image) for image in batch["inputs"]]
        metric.process(batch, [sample.to_dict() for sample in model.test_step(batch)])
    paths = [result["pred_bodies"] for result in metric.results]
    return Measured(
        {name: np.stack([path[name] for path in paths]) for name in ERRORS},
        {name: np.stack([path[CHOOSERS][name] for path in paths]) for name in RULES if name in paths[0][CHOOSERS]},
    )


@dataclass(frozen=True)
class Alternatives:
    """Errors of S samples in millimetres, ``MPJPE`` and ``PA-MPJPE``.

    Attributes:
        chosen: (S,) of the chosen path.
        paths: (S, N) of all paths.
        moved: (S, N) of the chosen path and the alternatives to it.
    """

    chosen: dict[str, np.ndarray]
    paths: dict[str, np.ndarray]
    moved: dict[str, np.ndarray]


def alternatives(cfg: Config, seeds: Sequence[int], num_samples: int) -> Alternatives | None:
    """Of the paper's number of paths; None for a model that gives none."""
    errors = ("MPJPE", "PA-MPJPE")
    metric = MeshMetric(errors, ("chosen",), choosers=("chosen",))
    model = MODELS.build({**cfg.model, "num_candidates": MAIN_PATHS}).eval()
    if not model.gives_alternatives:
        return None
    for seed in seeds:
        for batch in load_test_images(cfg, seed, num_samples):
            metric.process(batch, [sample.to_dict() for sample in model.test_step(batch)])
    paths, moved = (
        {name: np.stack([result[field][name] for result in metric.results]) for name in errors}
        for field in ("pred_bodies", "alternatives")
    )
    scores = np.stack([result["pred_bodies"][CHOOSERS]["chosen"] for result in metric.results])
    return Alternatives({name: chosen_errors(paths[name], scores) for name in errors}, paths, moved)


def alternatives_table(measured: Alternatives) -> str:
    """How far the best of what people are given lies below what is chosen."""
    rows = []
    for name, values in (
        ("chosen", measured.chosen),
        ("best of the paths", {error: paths.min(axis=1) for error, paths in measured.paths.items()}),
        (
            "best of the chosen and its alternatives",
            {error: all_.min(axis=1) for error, all_ in measured.moved.items()},
        ),
        ("mean of these", {error: all_.mean(axis=1) for error, all_ in measured.moved.items()}),
    ):
        changes = [relative_change(measured.chosen[error], values[error]) for error in values]
        rows.append([name, *(mean_interval(value) for value in values.values()), *changes])
    heading = ["body", "MPJPE", "PA-MPJPE", "MPJPE, from the chosen", "PA-MPJPE, from the chosen"]
    return (
        f"## Alternatives\n\n{MAIN_PATHS} paths. A fit brings them near each other; the alternatives are moved along "
        "what the keypoints leave open (`mion.KeypointFit.alternatives`), the chosen one stays.\n\n"
        f"{table(heading, rows)}"
    )


def table_1(measured: Measured) -> str:
    """Numbers of paths."""
    rows = []
    for count in range(1, NUM_PATHS + 1):
        part = measured.first(count)
        cells = [_both(part, scores) for scores in part.scores.values()]
        rows.append([str(count), *cells, _both(part, None), PAPER_TABLE_1[count - 1]])
    one, five = measured.first(1), measured.first(MAIN_PATHS)
    gains = [_gain(one, five, five.scores["cen"], error) for error in ("MPJPE", "PA-MPJPE")]
    heading = ["paths", *measured.scores, "oracle", "paper"]
    return (
        f"## Table 1: number of paths\n\n{table(heading, rows)}\n\n"
        f"From 1 to {MAIN_PATHS} paths with the rule `cen`: MPJPE {gains[0]}, PA-MPJPE {gains[1]} "
        "(paper: -8.7 %, -8.6 %)."
    )


def _correlation(report: Mapping[str, float]) -> str:
    """Spearman's with its interval; nothing where a rule gives all paths of every sample the same score."""
    if "spearman" not in report:
        return ""
    return "{:.2f} [{:.2f}, {:.2f}]".format(*(report[f"spearman{end}"] for end in ("", "_low", "_high")))


def table_3(measured: Measured, seeds: Sequence[Measured]) -> str:
    """Ways to choose among five paths."""
    errors = measured.errors["MPJPE"]
    rows = [["random (expected)", mean_interval(errors.mean(axis=1)), _pa(measured, None, np.mean), "0", "", ""]]
    for name, scores in measured.scores.items():
        report = selection_statistics(errors, scores)
        by_seed = [selection_statistics(seed.errors["MPJPE"], seed.scores[name], num_resamples=0) for seed in seeds]
        rows.append(
            [
                name,
                mean_interval(chosen_errors(errors, scores)),
                _pa(measured, scores),
                "{:.0f} % [{:.0f}, {:.0f}]".format(
                    *(100 * report[f"gap_closed{end}"] for end in ("", "_low", "_high"))
                ),
                ", ".join(f"{100 * one['gap_closed']:.0f}" for one in by_seed),
                _correlation(report),
            ]
        )
    rows.append(["oracle", mean_interval(errors.min(axis=1)), _pa(measured, None, np.min), "100 %", "", ""])
    heading = ["choice", "MPJPE", "PA-MPJPE", "random-to-best gap closed", "by seed, %", "Spearman within a sample"]
    paper = ", ".join(f"{name} {value}" for name, value in PAPER_TABLE_3.items())
    return (
        f"## Table 3: choosing among {MAIN_PATHS} paths\n\n{table(heading, rows)}\n\n"
        f"Paper: {paper}; cen closes {PAPER_GAP_CLOSED}."
    )


def table_6(measured: Measured) -> str:
    """Surface and shape errors of one path and of five."""
    rows = []
    for error in ("VERTEX-L2", "PVE-PELVIS", "SHAPE-L2"):
        values = measured.errors[error]
        chosen = chosen_errors(values, measured.scores["cen"])
        rows.append([error, *(mean_interval(column, 2) for column in (values[:, 0], chosen, values.min(axis=1)))])
    heading = ["error", "1 path", f"{MAIN_PATHS} paths, cen", f"oracle of {MAIN_PATHS}"]
    return (
        f"## Table 6: surface (mm) and shape\n\n{table(heading, rows)}\n\n"
        "Paper: the shape error of 5 paths is 40 % below that of 1."
    )


def harsh_table(measured: Measured, seeds: Sequence[Measured], numbers: Sequence[int]) -> str:
    """The same people as cheap cameras show them, in every seed and in all."""
    harsh, rows = _joined(seeds), []
    for name in (*harsh.scores, "oracle"):
        cells = [_both(part, part.scores.get(name)) for part in (measured, harsh, *seeds)]
        rows.append([name, *cells, *(_change(measured, harsh, name, error) for error in ("MPJPE", "PA-MPJPE"))])
    heading = ["choice", "plain", "harsh", *(f"seed {number}" for number in numbers), "change of MPJPE", "of PA-MPJPE"]
    return (
        f"## Harsh pictures\n\nThe people of the other tables, {MAIN_PATHS} paths, by the recipe `harsh` "
        "(`configs/mion/mion_tiny_synthetic_harsh.py`): photographs behind them, things in front of them, blur, noise, "
        f"JPEG, other colours, cameras held at any angle.\n\n{table(heading, rows)}"
    )


def grey_table(measured: Measured, grey: Measured, seed: int) -> str:
    """What the picture is worth: the same samples with a grey one in its place."""
    count = len(grey.errors["MPJPE"])
    drawn = Measured(*({k: v[:count] for k, v in part.items()} for part in (measured.errors, measured.scores)))
    rows = [
        [name, *(_both(part, part.scores.get(name)) for part in (drawn, grey))] for name in (*grey.scores, "oracle")
    ]
    for row in rows:
        row += [_change(grey, drawn, row[0], error) for error in ("MPJPE", "PA-MPJPE")]
    heading = ["choice", "picture as drawn", "grey picture", "change of MPJPE by the picture", "of PA-MPJPE"]
    return (
        f"## What the picture is worth\n\n{count} of the samples of seed {seed}, {MAIN_PATHS} paths, with their "
        f"pictures and with grey ones, which leave nothing but the 2D keypoints.\n\n{table(heading, rows)}"
    )


@torch.no_grad()
def speed(model: MultiInitializationOptimizationNetwork, cfg: Config, repeats: int = 7) -> str:
    """Milliseconds per image of each stage, and their ratios to an image backbone, where a stage has one."""
    batch = next(iter(load_test_images(cfg, 0, cfg.test_dataloader.batch_size)))
    image = torch.stack(batch["inputs"])
    keypoints2d = input_keypoints(batch["data_samples"], model.keypoints2d_convention, image.device)
    on_batch = Stages(model, image, keypoints2d)
    bodies, backbone = on_batch.refined, reference_backbone(model, image)
    stages: dict[str, Callable[[], object]] = {} if backbone is None else {"backbone alone": backbone}
    if on_batch.corrects:
        stages["keypoints corrected by the picture"] = on_batch.correct
    stages["stage 1, candidates"] = on_batch.select
    if model.refiner.uses_pncc:
        stages["PNCC of the candidates"] = lambda: model.refiner.render_pncc(on_batch.candidates)
    stages["stages 1 and 2"] = lambda: on_batch.refine(on_batch.select())
    stages["posing the refined bodies"] = lambda: model.body(bodies.pose, bodies.betas, bodies.transl).vertices
    if model.fit is not None:
        stages["fit onto the keypoints"] = on_batch.fit
    if model.cen is not None:
        what = "depths read and compared" if isinstance(model.cen, DepthConsistency) else "PNCC and CEN"
        stages[f"stage 3, {what}"] = on_batch.score
    times = {name: median_ms(call, repeats) / len(image) for name, call in stages.items()}
    base = times.get("backbone alone")
    rows = [[name, f"{value:.2f}", "" if base is None else f"{value / base:.1f}"] for name, value in times.items()]
    title = (
        f"## Running time\n\nBatch of {len(image)}, {NUM_PATHS} paths, {torch.get_num_threads()} CPU threads, median."
    )
    return f"{title}\n\n{table(['part', 'ms per image', 'ratio to the backbone'], rows)}"


def reference_backbone(
    model: MultiInitializationOptimizationNetwork, image: torch.Tensor
) -> Callable[[], object] | None:
    """A run of the image backbone of the first stage that has one, on images (B, 3, H, W); None if none has."""
    refiner, cen = model.refiner, model.cen
    if refiner.backbone is not None:
        return lambda: refiner.backbone(image)
    if isinstance(cen, DepthConsistency):
        # in the blocks in which the stage runs it, which are faster
        return lambda: [cen.reader.backbone(block) for block in cen.reader.blocks(image)]
    if cen is None:
        return None
    picture = torch.cat([image, image], dim=1)  # a mion.CEN's, of image and PNCC
    return lambda: cen.backbone(picture)


def _joined(parts: Sequence[Measured]) -> Measured:
    """All samples of several seeds."""
    dicts = ([getattr(part, name) for part in parts] for name in ("errors", "scores"))
    return Measured(*({name: np.concatenate([one[name] for one in group]) for name in group[0]} for group in dicts))


def _pa(measured: Measured, scores: np.ndarray | None, reduce: Callable = np.min) -> str:
    errors = measured.errors["PA-MPJPE"]
    return mean_interval(reduce(errors, axis=1) if scores is None else chosen_errors(errors, scores))


def _both(measured: Measured, scores: np.ndarray | None) -> str:
    """MPJPE / PA-MPJPE of the chosen path, or of the best (oracle)."""
    values = [
        (errors.min(axis=1) if scores is None else chosen_errors(errors, scores)).mean()
        for errors in (measured.errors["MPJPE"], measured.errors["PA-MPJPE"])
    ]
    return " / ".join(f"{value:.1f}" for value in values)


def _change(before: Measured, after: Measured, name: str, error: str) -> str:
    """Relative change of the error of one way to choose, or of the best (oracle)."""
    old, new = (
        part.errors[error].min(axis=1) if name == "oracle" else chosen_errors(part.errors[error], part.scores[name])
        for part in (before, after)
    )
    return relative_change(old, new)


def _gain(one: Measured, many: Measured, scores: np.ndarray, error: str) -> str:
    before, after = one.errors[error][:, 0], chosen_errors(many.errors[error], scores)
    return relative_change(before, after)
