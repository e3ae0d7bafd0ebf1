"""tools/benchmark.py ablations: a training of one step, and the table of finished runs."""

import argparse
import functools
import json

import benchmark
from benchmarks import ablations
from mmengine.config import Config


def finished_run(folder, variant, seed, error):
    """What tools/test.py leaves of a run whose errors are all ``error``, the candidates' 10 times that."""
    args = benchmark_arguments(folder, variant)
    path = ablations._report_path(args, variant, seed)
    path.parent.mkdir(parents=True)
    metrics = {
        f"{of}/{name}/{statistic}": error * factor
        for of, factor in (("body", 1), ("body/candidates", 10))
        for name in ablations.ERRORS
        for statistic in ablations.STATISTICS
    }
    path.write_text(json.dumps(metrics))


def benchmark_arguments(folder, *variants):
    parser = argparse.ArgumentParser()
    ablations.add_arguments(parser)
    return parser.parse_args(
        ["--work-dir", str(folder / "work"), "--out", str(folder / "out.md"), "--variants", *variants]
    )


def test_every_option_is_one_of_the_config():
    config = Config.fromfile(ablations.CONFIG)
    for options in ablations.VARIANTS.values():
        for name, value in (option.split("=") for option in options):
            if name != "model.network.position_encoding.type":  # the default is not written out
                assert str(functools.reduce(lambda part, key: part[key], name.split("."), config)) != value


def test_a_variant_is_trained_and_tested_once(tmp_path):
    arguments = ["ablations", "--steps", "1", "--num-samples", "4", "--seeds", "3", "--variants"]
    arguments += ["paper's queries, sinusoidal encoding", "--work-dir", str(tmp_path), "--out", str(tmp_path / "t.md")]
    benchmark.main(arguments)
    (report,) = tmp_path.glob("*/metrics.json")
    written, metrics = report.stat().st_mtime_ns, json.loads(report.read_text())
    assert metrics["body/num_samples"] == 4
    config = Config.fromfile(next(report.parent.glob("*.py")))
    assert config.model.network.position_encoding.type == "mion.SinePositionEncoding2D"
    benchmark.main(arguments)
    assert report.stat().st_mtime_ns == written
    row = (tmp_path / "t.md").read_text().splitlines()[-1]
    assert f"{metrics['body/MPJPE/oracle']:.1f} / {metrics['body/PA-MPJPE/oracle']:.1f}" in row


def test_the_table_has_mean_and_spread(tmp_path):
    for seed, error in enumerate((100.0, 103.0, 106.0)):
        finished_run(tmp_path, "as configured", seed, error)
    finished_run(tmp_path, "as configured, absolute rotations", 0, 200.0)
    args = benchmark_arguments(tmp_path, "as configured", "as configured, absolute rotations")
    lines = ablations.report(args).splitlines()
    assert lines[-2].startswith("| as configured | 3 | 103.0 ± 3.0 / 103.0 ± 3.0 |")
    assert lines[-1].startswith("| as configured, absolute rotations | 1 | 200.0 / 200.0 |")
    assert lines[-3].startswith("| candidates |  | 1030.0 ± 30.0 /")
