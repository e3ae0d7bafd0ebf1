"""Multi-start against single-start: errors against the number of candidates, and against how ambiguous a picture is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.curves import pyplot_for_svg, save_svg
from benchmarks.markdown import table
from benchmarks.measuring import mean_interval, relative_change
from benchmarks.methods.people import AMBIGUITIES, MESH_ERRORS, ambiguity, load_people, measure_errors
from mmengine.config import Config

from mion_plugin.evaluation import MeshMetric
from mion_plugin.evaluation.choice.quality import bootstrap_interval, chosen_errors
from mion_plugin.mion import MultiInitializationOptimizationNetwork

CURVES = "candidate-numbers"
NUMBERS = (1, 2, 3, 5, 10, 25)
DEFAULT_NUMBER = 5
SECONDS = 0.25  # of one CPU thread for a person, for the estimate
FIRST, DEFAULT, ORACLE = "first", "default rule", "oracle"
_SCORES, _AMBIGUITY = "scores", "ambiguity"
_ERRORS = ("MPJPE", "PA-MPJPE")
_PARTS = 3  # of the people, by each measure
Arrays = Mapping[str, np.ndarray]


@torch.no_grad()
def measure_numbers(
    model: MultiInitializationOptimizationNetwork, cfg: Config, seed: int, count: int
) -> dict[str, np.ndarray]:
    """Errors and the default rule's scores of 25 paths (S, 25), and the ambiguities (S, 3).

    The first n of them are what the model gives when asked for n candidates: stage 1 chooses one after the other.
    """
    selector, metric = model.selector, MeshMetric(MESH_ERRORS, ("mean",))
    before, selector.num_candidates = selector.num_candidates, max(NUMBERS)
    parts: list[dict[str, np.ndarray]] = []
    try:
        for batch in load_people(cfg, seed, count):
            output = model.estimate(batch.image, batch.keypoints2d)
            errors = measure_errors(metric, model.body, model.camera, batch, output.bodies)
            part = {name: errors[name] for name in _ERRORS}
            parts.append(part | {_SCORES: output.selection_scores.numpy(), _AMBIGUITY: ambiguity(model.body, batch)})
    finally:
        selector.num_candidates = before
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def answers(arrays: Arrays, number: int, error: str = "MPJPE") -> dict[str, np.ndarray]:
    """Way to choose -> error (S,) of the answer among the first ``number`` paths."""
    errors, scores = arrays[error][:, :number], arrays[_SCORES][:, :number]
    return {FIRST: errors[:, 0], DEFAULT: chosen_errors(errors, scores), ORACLE: errors.min(axis=1)}


@dataclass(frozen=True)
class Part:
    """A third of the people by how ambiguous their pictures are.

    Attributes:
        measure: By what.
        low, high: Its range.
        rows: (S,) bool, who.
    """

    measure: str
    low: float
    high: float
    rows: np.ndarray


def parts_of(arrays: Arrays) -> list[Part]:
    """The thirds of every measure; equal values stay together."""
    found = []
    for measure, values in zip(AMBIGUITIES, arrays[_AMBIGUITY].T, strict=True):
        cuts = np.unique(np.quantile(values, np.arange(1, _PARTS) / _PARTS))
        index = np.searchsorted(cuts, values, side="left")
        for part in np.unique(index):
            rows = index == part
            found.append(Part(measure, float(values[rows].min()), float(values[rows].max()), rows))
    return found


def numbers_table(arrays: Arrays) -> str:
    """A row for each number of candidates."""
    rows = []
    for number in NUMBERS:
        pa = answers(arrays, number, "PA-MPJPE")
        cells = [f"{mean_interval(value)} / {pa[way].mean():.1f}" for way, value in answers(arrays, number).items()]
        rows.append([str(number), *cells])
    return table(["candidates", FIRST, DEFAULT, ORACLE], rows)


def ambiguity_table(arrays: Arrays) -> str:
    """A row for each third of the people by each measure."""
    five, most = answers(arrays, DEFAULT_NUMBER), answers(arrays, max(NUMBERS))
    rows = []
    for part in parts_of(arrays):
        first = five[FIRST][part.rows]
        rows.append(
            [
                part.measure,
                f"{part.low:.2g} to {part.high:.2g} {AMBIGUITIES[part.measure]}",
                str(part.rows.sum()),
                f"{first.mean():.1f}",
                relative_change(first, five[DEFAULT][part.rows]),
                relative_change(first, five[ORACLE][part.rows]),
                relative_change(first, most[DEFAULT][part.rows]),
            ]
        )
    heading = [
        *("by", "range", "people", "MPJPE of the first path"),
        *(f"change by {way} of {number}" for number, way in ((5, DEFAULT), (5, ORACLE), (25, DEFAULT))),
    ]
    return table(heading, rows)


def verdict(arrays: Arrays) -> str:
    """Where several initialisations pay, and where not, in words."""
    five, most = answers(arrays, DEFAULT_NUMBER), answers(arrays, max(NUMBERS))
    sentences = [
        f"From 1 to {DEFAULT_NUMBER} candidates the default rule changes MPJPE by "
        f"{relative_change(five[FIRST], five[DEFAULT])}, from 1 to {max(NUMBERS)} by "
        f"{relative_change(most[FIRST], most[DEFAULT])}; the best of {DEFAULT_NUMBER} would change it by "
        f"{relative_change(five[FIRST], five[ORACLE])}, the best of {max(NUMBERS)} by "
        f"{relative_change(most[FIRST], most[ORACLE])} (the paper's five with CEN: -8.7 %)."
    ]
    pays, not_clear = [], []
    for part in parts_of(arrays):
        gain = (five[DEFAULT] - five[FIRST])[part.rows]
        _, high = bootstrap_interval(gain, five[FIRST][part.rows], np.random.default_rng(0))
        where = f"{part.measure} {part.low:.2g} to {part.high:.2g}"
        (pays if high < 0 else not_clear).append(where)
    sentences.append(
        f"Five with the default rule pay where the interval is below zero: {'; '.join(pays) or 'nowhere'}."
    )
    sentences.append(f"No gain is shown for {'; '.join(not_clear) or 'no other part'}.")
    return " ".join(sentences)


def draw(arrays: Arrays, path: Path) -> None:
    """The curves: errors against the number of candidates, and the change by five against each ambiguity."""
    colors = {FIRST: "#0072b2", DEFAULT: "#e69f00", ORACLE: "#009e73"}  # Okabe and Ito's, for all eyes
    figure, axes = pyplot_for_svg().subplots(1, 1 + len(AMBIGUITIES), figsize=(4 * (1 + len(AMBIGUITIES)), 3.4))
    for way, color in colors.items():
        means = [answers(arrays, number)[way].mean() for number in NUMBERS]
        axes[0].plot(NUMBERS, means, color=color, marker="o", markersize=3, label=way)
    axes[0].set(xscale="log", xlabel="candidates", ylabel="MPJPE, mm")
    axes[0].set_xticks(NUMBERS, [str(number) for number in NUMBERS])
    axes[0].minorticks_off()
    five, parts = answers(arrays, DEFAULT_NUMBER), parts_of(arrays)
    for axis, measure in zip(axes[1:], AMBIGUITIES, strict=True):
        own = [part for part in parts if part.measure == measure]
        middles = [float(arrays[_AMBIGUITY][part.rows, list(AMBIGUITIES).index(measure)].mean()) for part in own]
        for way in (DEFAULT, ORACLE):
            changes = np.array([_change(five[FIRST][part.rows], five[way][part.rows]) for part in own]).T
            spread = np.abs(changes[1:] - changes[0])
            axis.errorbar(middles, changes[0], spread, color=colors[way], marker="o", markersize=3, capsize=3)
        axis.axhline(0.0, color="#999999", linewidth=0.8)
        axis.set(xlabel=f"{measure}, {AMBIGUITIES[measure]}", ylabel="change from the first path, %")
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    save_svg(figure, path)


def _change(before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """Relative change in per cent, and its 95 % interval."""
    low, high = bootstrap_interval(after - before, before, np.random.default_rng(0))
    return 100 * float((after - before).sum() / before.sum()), 100 * low, 100 * high
