"""tools/benchmark.py rates: finished trainings are not repeated, and the lowest validation error decides."""

import json
from pathlib import Path

import benchmark
import pytest
from benchmarks import learning_rates

CONFIG = "configs/mion/mrt_tiny_synthetic.py"


def log(folder, *errors):
    (folder / "vis_data").mkdir(parents=True)
    lines = [{"loss": 3.0, "step": 1}, *({learning_rates.ERROR: error, "step": 2} for error in errors)]
    (folder / "vis_data" / "scalars.json").write_text("\n".join(map(json.dumps, lines)))


def test_the_lowest_error_of_finished_trainings(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(learning_rates, "run_tool", lambda *_: pytest.fail("trained again"))
    for rate, errors in ((1e-3, (140.0, 130.0)), (3e-4, (150.0, 120.0))):
        folder = tmp_path / f"mrt_tiny_synthetic_{rate:g}_64_2"
        log(folder, *errors)
        (folder / "epoch_2.pth").touch()
    sweep = ["rates", CONFIG, "--rates", "0.001", "0.0003", "--images", "64", "--work-dir", str(tmp_path)]
    benchmark.main(sweep)
    printed = capsys.readouterr().out
    assert "| 0.001 | 130.0 |" in printed
    assert printed.strip().endswith("the best: 0.0003")


@pytest.mark.parametrize(
    ("config", "length"), [(CONFIG, "num_samples"), ("configs/mion/reader_tiny_synthetic.py", "indices")]
)
def test_an_unfinished_training_is_started_at_its_rate(config, length, tmp_path, monkeypatch):
    """An epoch of the asked length: synthetic people are as many as one wants, of a written set it is a part."""
    called = []

    def train(*command):
        called.append(command)
        log(tmp_path / f"{Path(config).stem}_0.002_64_1", 99.0)

    monkeypatch.setattr(learning_rates, "run_tool", train)
    sweep = ["--rates", "0.002", "--images", "64", "--epochs", "1", "--work-dir", str(tmp_path)]
    benchmark.main(["rates", config, *sweep])
    ((tool, trained, *options),) = called
    assert (tool, str(trained)) == ("train.py", config)
    assert "optim_wrapper.optimizer.lr=0.002" in options
    assert f"train_dataloader.dataset.{length}=64" in options


def test_a_rate_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="--rates has -1, expected positive numbers"):
        benchmark.main(["rates", CONFIG, "--rates", "-1", "--work-dir", str(tmp_path)])


def test_a_training_without_validation(tmp_path):
    log(tmp_path)
    with pytest.raises(ValueError, match="has no log with body/MPJPE/chosen"):
        learning_rates.lowest_error(tmp_path)
