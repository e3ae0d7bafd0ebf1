"""tools/train.py and tools/test.py on the tiny config, cut down to a few steps."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import train as train_tool
from commands.train import make_config
from mmengine.runner import Runner

# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

CONFIG = "configs/mion/mrt_tiny_synthetic.py"
SMALL = [
    "--cfg-options",
    "train_dataloader.dataset.num_samples=8",
    "train_dataloader.batch_size=4",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
    "val_dataloader.dataset.num_samples=4",
    "val_dataloader.num_workers=0",
    "val_dataloader.persistent_workers=False",
    "test_dataloader.dataset.num_samples=4",
    "test_dataloader.num_workers=0",
    "test_dataloader.persistent_workers=False",
    "train_cfg.val_interval=1",
]


def train(work_dir, *options):
    assert train_tool.main([CONFIG, "--work-dir", str(work_dir), *options, *SMALL, "train_cfg.max_epochs=2"]) == 0


def weights(work_dir, epoch):
    return torch.load(work_dir / f"epoch_{epoch}.pth", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("whole")
    train(work_dir)
    return work_dir


def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(uninterrupted, tmp_path):
    """kill -9 after the first of the second epoch's two iterations, with a data-loader worker at work."""
    config = tmp_path / "killed.py"
    config.write_text(
        f"""_base_ = ["{Path(CONFIG).resolve()}"]
custom_imports = dict(imports=["mion_plugin", "support.training_hooks"], allow_failed_imports=False)
custom_hooks = [*_base_.custom_hooks, dict(type="KillHook", iteration=2)]
"""
    )
    options = ["train_cfg.max_epochs=2", "train_dataloader.num_workers=1", "train_dataloader.persistent_workers=True"]
    killed = subprocess.run(
        [sys.executable, train_tool.__file__, str(config), "--work-dir", str(tmp_path), *SMALL, *options],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.DEVNULL,  # not a pipe, which the orphaned worker would keep open
        stderr=subprocess.DEVNULL,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_1.pth"]
    train(tmp_path, "--resume")
    expected, resumed = weights(uninterrupted, 2), weights(tmp_path, 2)
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name


def test_training_changes_the_weights_and_stores_no_body_or_pool(uninterrupted):
    first, second = weights(uninterrupted, 1), weights(uninterrupted, 2)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert not any("body" in name or "pool" in name or "keypoints3d" in name for name in second)


def test_the_checkpoint_is_evaluated(uninterrupted, tmp_path):
    out, pictures = tmp_path / "metrics.json", tmp_path / "pictures"
    arguments = [CONFIG, str(uninterrupted / "epoch_2.pth"), "--work-dir", str(tmp_path), "--out", str(out)]
    assert test_tool.main([*arguments, "--show-dir", str(pictures), *SMALL]) == 0
    metrics = json.loads(out.read_text())
    assert metrics["body/num_samples"] == 4
    assert 20 < metrics["body/MPJPE/oracle"] <= metrics["body/MPJPE/mean"] < 500
    assert len(list(pictures.glob("*.png"))) == 4


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        (train_tool, ["none.py"], "config none.py does not exist"),
        (train_tool, ["pyproject.toml"], "config pyproject.toml: Only py/yml/yaml/json type are supported"),
        (train_tool, [CONFIG, "--resume", "none.pth"], "checkpoint of --resume none.pth does not exist"),
        (train_tool, [CONFIG, "--cfg-options", "model.type=mion.MTR"], "MTR is not in the"),
        (train_tool, [CONFIG, "--cfg-options", "model.depth=3"], "depth"),
        (train_tool, [CONFIG, "--amp"], "--amp needs a GPU"),
        (test_tool, [CONFIG, "none.pth"], "checkpoint none.pth does not exist"),
        (test_tool, [CONFIG, CONFIG, "--out", "metrics.txt"], "expected a name that ends in .json"),
        (test_tool, [CONFIG, CONFIG], "is not a checkpoint that can be read safely"),
    ],
)
def test_bad_input_ends_with_one_line(tool, arguments, message, capsys, tmp_path):
    if "--amp" in arguments and torch.cuda.is_available():
        pytest.skip("--amp works here")
    assert tool.main([*arguments, "--work-dir", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


CEN_CONFIG = "configs/mion/cen_tiny_synthetic.py"


@pytest.mark.parametrize(
    ("capability", "options", "advice"),
    [
        (
            "AVX2",
            [],
            ["cen.bfloat16_features", "refiner.bfloat16_features", "refiner.transformer.bfloat16"],
        ),
        ("AVX2", ["model.cen.bfloat16_features=False", "model.refiner=None"], []),
        ("AVX512", [], []),
    ],
)
def test_advises_a_cpu_without_bfloat16_instructions(monkeypatch, capsys, tmp_path, capability, options, advice):
    """The options it names are those of the config, and it is silent where there is nothing to gain."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    monkeypatch.setattr(Runner, "from_cfg", lambda cfg: SimpleNamespace(train=lambda: None))
    cfg_options = ["--cfg-options", *options] if options else []
    assert train_tool.main([CEN_CONFIG, "--work-dir", str(tmp_path), *cfg_options]) == 0
    printed = capsys.readouterr().err
    assert sorted(printed.partition("--cfg-options ")[2].split()) == [f"model.{name}=False" for name in advice]
    assert bool(printed) == bool(advice)


@pytest.mark.parametrize(
    "hooks",
    ["[dict(type='EMAHook')]", "[]", "None", "[dict(type='mion.PlainCheckpointHook'), dict(type='EMAHook')]"],
)
def test_hooks_of_ones_own_do_not_take_away_what_resuming_needs(tmp_path, hooks):
    config = tmp_path / "own.py"
    config.write_text(f'_base_ = ["{Path(CONFIG).resolve()}"]\ncustom_hooks = {hooks}\n')
    cfg = make_config(train_tool.parse_args([str(config)]))
    types = [hook["type"] for hook in cfg.custom_hooks]
    needed = {f"mion.{name}Hook" for name in ("EpochSeed", "PlainCheckpoint", "BodyFingerprint", "StopOnInvalidLoss")}
    assert needed <= set(types)
    assert len(types) == len(set(types))
    assert ("EMAHook" in types) == ("EMAHook" in hooks)


def test_resuming_before_the_first_checkpoint_starts_from_the_weights_that_the_config_names(tmp_path):
    """A training that was killed in its first epoch: random weights would be another training."""
    options = ["--work-dir", str(tmp_path), "--resume", "--cfg-options", "load_from=start.pth"]
    cfg = make_config(train_tool.parse_args([CONFIG, *options]))
    assert (cfg.resume, cfg.load_from) == (False, "start.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_1.pth"))
    cfg = make_config(train_tool.parse_args([CONFIG, *options]))
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_a_training_does_not_start_from_weights_of_which_it_takes_none(tmp_path, capsys):
    """mmengine would log it and train from random weights; init_cfg of the part takes the part's file."""
    start = tmp_path / "start.pth"
    torch.save({"state_dict": {"head.bias": torch.zeros(3)}}, start)
    init_cfg = "model.network.init_cfg"
    for options in ([f"load_from={start}"], [f"{init_cfg}.type=Pretrained", f"{init_cfg}.checkpoint={start}"]):
        assert train_tool.main([CONFIG, "--work-dir", str(tmp_path), *SMALL, *options]) == 2
        assert "start.pth would change nothing: this " in capsys.readouterr().err.strip().splitlines()[-1]
