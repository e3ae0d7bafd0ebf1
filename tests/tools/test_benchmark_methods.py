"""tools/benchmark.py methods: the tables of made-up errors by hand, and a run of a few steps that is not repeated."""

import argparse

import benchmark
import numpy as np
import pytest
from benchmarks import methods
from mmengine.config import Config


def measured(**errors):
    """A method whose rows have these errors on two samples, the same in all measures."""
    rows = {row: {error: np.array(values) for error in methods.ERRORS} for row, values in errors.items()}
    return methods.Measured(rows, millions=4.4, milliseconds=10.0, seconds=0.5)


def cells(text, label):
    line = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_errors_have_intervals_over_the_samples():
    row = cells(methods.errors_table({"hmr": measured(HMR=[100.0, 200.0])}), "HMR")
    assert row[1] == "150.0 [100.0, 200.0]"
    assert row[4] == "150.00 [100.00, 200.00]"
    assert row[5:] == ["4.4 M", "10.0", "as above", "SMPL of all images", "0.50"]


def test_margins_are_over_spin_on_the_same_samples():
    first, lowest = methods.METHODS["mion"].rows
    text = methods.margins_table(
        {"spin": measured(SPIN=[100.0, 200.0]), "mion": measured(**{first: [90.0, 180.0], lowest: [120.0, 240.0]})}
    )
    assert cells(text, first)[1:] == ["-10.0 % [-10.0, -10.0]"] * 4  # the same share of every sample
    assert cells(text, lowest)[1:] == ["+20.0 % [+20.0, +20.0]"] * 4
    assert "| SPIN |" not in text
    assert cells(text, "the paper, MION with 5 paths")[1].startswith("-8.7 %")


def test_without_spin_there_are_no_margins():
    assert methods.margins_table({"hmr": measured(HMR=[1.0])}) == "No margins: SPIN was not among the methods."


def test_the_papers_margins_are_those_of_its_figures():
    def change(column, place):
        before, after = (float(methods.PUBLISHED[row][column].split(" / ")[place]) for row in ("SPIN", "MION, 5 paths"))
        return f"{100 * (after / before - 1):.1f}"

    assert methods.PAPER_MARGINS["MPJPE"].startswith(change(methods.HUMAN36M, 0))
    assert methods.PAPER_MARGINS["PA-MPJPE"].startswith(change(methods.PW3D, 1))
    assert methods.PAPER_MARGINS["PVE"].startswith(change("shape", 0).split(".")[0])


def test_every_method_is_tested_on_the_same_images():
    loaders = [Config.fromfile(method.config).test_dataloader for method in methods.METHODS.values()]
    assert all(loader == loaders[0] for loader in loaders)


def test_a_method_is_trained_once(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "BATCH_SIZE", 2)  # one step of two images
    monkeypatch.setattr(methods, "EPOCHS", 1)
    arguments = ["methods", "--methods", "mion", "--steps", "1", "--seeds", "2", "--num-samples", "2"]
    arguments += ["--work-dir", str(tmp_path), "--out", str(tmp_path / "methods.md")]
    benchmark.main(arguments)
    (checkpoint,) = tmp_path.glob("mion_1_0/epoch_1.pth")
    written, text = checkpoint.stat().st_mtime_ns, (tmp_path / "methods.md").read_text()
    for row in methods.METHODS["mion"].rows:
        assert float(cells(text, row)[1].split(" ")[0]) > 0
        assert float(cells(text, row)[6]) > 0  # milliseconds
        assert float(cells(text, row)[9]) > 0  # seconds a step
    again = measured(**{row: [1.0, 2.0] for row in methods.METHODS["mion"].rows})
    monkeypatch.setattr(methods, "measure", lambda args, name: again)
    benchmark.main(arguments)
    assert checkpoint.stat().st_mtime_ns == written


def test_an_interrupted_training_goes_on(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(methods, "run_tool", lambda *command: called.append(command))
    parser = argparse.ArgumentParser()
    methods.add_arguments(parser)
    args = parser.parse_args(["--work-dir", str(tmp_path)])
    methods.train(args, "hmr")
    (tmp_path / "hmr_4000_0").mkdir()
    (tmp_path / "hmr_4000_0" / "last_checkpoint").write_text("epoch_3.pth")
    methods.train(args, "hmr")
    assert ["--resume" in command for command in called] == [False, True]
    assert all(f"train_dataloader.dataset.num_samples={500 * methods.BATCH_SIZE}" in command for command in called)


def test_too_few_steps(tmp_path):
    with pytest.raises(ValueError, match="--steps 7, expected at least 8"):
        benchmark.main(["methods", "--steps", "7", "--work-dir", str(tmp_path)])
