"""tools/benchmark.py tables: the numbers of made-up errors by hand, and a run on a few images."""

import benchmark
import numpy as np
import pytest
from benchmarks import tables
from mmengine.config import Config

from mion_plugin.models import load_model_config
from mion_plugin.registry import MODELS
from mion_plugin.weights import save_weights

# Two samples with six paths; CEN chooses rightly among the first five in the first sample, the worst in the second.
ERRORS = np.array([[60.0, 50.0, 40.0, 70.0, 80.0, 10.0], [40.0, 50.0, 60.0, 20.0, 80.0, 90.0]])
CEN = np.array([[5.0, 4.0, 1.0, 6.0, 7.0, 0.0], [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]])

POSING = "posing the refined bodies"


def made_up():
    scores = {name: np.tile(np.arange(6.0), (2, 1)) for name in tables.RULES} | {"cen": CEN}
    return tables.Measured({name: ERRORS.copy() for name in tables.ERRORS}, scores)


def cells(text, label):
    line = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_1():
    text = tables.table_1(made_up())
    assert cells(text, "paths")[1:7] == ["first", "reprojection", "cen", "cen+reprojection", "fit", "oracle"]
    assert cells(text, "1")[1:7] == ["50.0 / 50.0"] * 6
    assert cells(text, "5")[1:7] == [f"{mm} / {mm}" for mm in (50.0, 50.0, 60.0, 50.0, 50.0, 30.0)]
    assert cells(text, "6")[3] == "50.0 / 50.0"  # 10 and 90
    assert "MPJPE +20.0 %" in text  # from 100 to 120 in the two samples


def test_table_3():
    measured = made_up().first(5)
    text = tables.table_3(measured, [measured])
    assert cells(text, "random (expected)")[1].startswith("55.0 [")
    assert cells(text, "oracle")[1].startswith("30.0 [")
    assert cells(text, "cen")[1].startswith("60.0 [")
    assert cells(text, "cen")[3].startswith("-20 % [")  # (55 - 60) / (55 - 30)
    assert cells(text, "first")[3].startswith("20 % [")


def test_the_best_of_the_alternatives_is_compared_with_the_chosen():
    chosen = {"MPJPE": np.array([50.0, 70.0]), "PA-MPJPE": np.array([40.0, 40.0])}
    paths = {name: np.stack([values - 6, values], axis=1) for name, values in chosen.items()}
    moved = {name: np.stack([values, values - 12, values + 12], axis=1) for name, values in chosen.items()}
    text = tables.alternatives_table(tables.Alternatives(chosen, paths, moved))
    assert cells(text, "chosen")[1].startswith("60.0 [")
    assert cells(text, "best of the paths")[3].startswith("-10.0 % [")
    assert cells(text, "best of the chosen and its alternatives")[1].startswith("48.0 [")
    assert cells(text, "best of the chosen and its alternatives")[4].startswith("-30.0 % [")
    assert cells(text, "mean of these")[3].startswith("+0.0 % [")


def test_table_6_compares_the_first_path_with_the_choice():
    assert [cell.split(" ")[0] for cell in cells(tables.table_6(made_up().first(5)), "VERTEX-L2")[1:]] == [
        "50.00",
        "60.00",
        "30.00",
    ]


def test_the_harsh_table_has_every_seed_and_all():
    plain = made_up().first(5)
    half = tables.Measured(
        dict.fromkeys(tables.ERRORS, ERRORS[:1, :5] / 2), {n: v[:1] for n, v in plain.scores.items()}
    )
    same = tables.Measured(dict.fromkeys(tables.ERRORS, ERRORS[1:, :5]), {n: v[1:] for n, v in plain.scores.items()})
    text = tables.harsh_table(plain, [half, same], [7, 8])
    assert cells(text, "choice")[1:5] == ["plain", "harsh", "seed 7", "seed 8"]
    assert cells(text, "cen")[1:5] == ["60.0 / 60.0", "50.0 / 50.0", "20.0 / 20.0", "80.0 / 80.0"]
    assert cells(text, "cen")[5].startswith("-16.7 % [")
    assert cells(text, "oracle")[1:5] == ["30.0 / 30.0", "20.0 / 20.0", "20.0 / 20.0", "20.0 / 20.0"]


def test_the_grey_table_compares_the_same_samples():
    drawn = made_up().first(5)
    first = {name: values[:1] for name, values in drawn.scores.items()}
    grey = tables.Measured(dict.fromkeys(tables.ERRORS, 2 * ERRORS[:1, :5]), first)
    text = tables.grey_table(drawn, grey, 2)
    assert cells(text, "cen")[1:3] == ["40.0 / 40.0", "80.0 / 80.0"]
    assert cells(text, "cen")[3].startswith("-50.0 % [")
    assert cells(text, "oracle")[1:3] == ["40.0 / 40.0", "80.0 / 80.0"]


def test_a_run_writes_every_table(tmp_path):
    cfg = Config.fromfile("configs/mion/mion_tiny_synthetic.py")
    for part in ("refiner", "cen"):
        save_weights(MODELS.build(cfg.model[part]).state_dict(), tmp_path / f"{part}.pth")
        cfg.model[f"{part}_checkpoint"] = str(tmp_path / f"{part}.pth")
    cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.dump(tmp_path / "config.py")
    out = tmp_path / "tables.md"
    arguments = ["--config", str(tmp_path / "config.py"), "--seeds", "2", "3", "--num-samples", "4", "--out", str(out)]
    benchmark.main(["tables", *arguments])
    text = out.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Table 1: number of paths",
        "## Table 2: PNCC-PE against sinusoidal encoding",
        "## Table 3: choosing among 5 paths",
        "## Alternatives",
        "## Table 6: surface (mm) and shape",
        "## Harsh pictures",
        "## What the picture is worth",
        "## Running time",
    ]
    times = text.partition("## Running time")[2]
    assert cells(times, "backbone alone")[2] == "1.0"  # the depth reader's
    assert float(cells(times, "stage 3, depths read and compared")[1]) > 0
    assert "PNCC" not in times
    # an untrained model
    assert all(float(cells(text, str(count))[5].split(" / ")[0]) > 60 for count in range(1, 7))


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, ["backbone alone", "PNCC of the candidates", "stage 3, PNCC and CEN"]),
        ({"cen": None, "selection": "first"}, ["backbone alone", "PNCC of the candidates"]),
    ],
)
def test_running_times_of_the_form_of_the_paper(options, rows):
    model = Config.fromfile("configs/_base_/mion_tiny_image.py").model
    model.update(options)
    assert timed(model) == [rows[0], "stage 1, candidates", rows[1], "stages 1 and 2", POSING, *rows[2:]]


def test_running_times_without_an_image_part():
    cfg = Config.fromfile("configs/_base_/mion_tiny_image.py").model
    packaged = load_model_config().model
    cfg.refiner = packaged.refiner
    assert timed(cfg) == ["backbone alone", "stage 1, candidates", "stages 1 and 2", POSING, "stage 3, PNCC and CEN"]
    cfg.update(cen=None, selection="first")
    assert timed(cfg) == ["stage 1, candidates", "stages 1 and 2", POSING]


def timed(model):
    """The rows of the table of running times."""
    cfg = Config.fromfile("configs/mion/mion_tiny_synthetic.py")
    cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    text = tables.speed(MODELS.build(model).eval(), cfg, repeats=1)
    return [line.strip("| ").split(" | ")[0] for line in text.splitlines() if line.startswith("| ")][2:]
