"""The Slurm scripts hand srun what was asked for, and the tools what they understand; srun itself is a stub."""

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest
import train as train_tool

# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

TOOLS = Path(train_tool.__file__).parent


@pytest.fixture
def srun(tmp_path):
    """A function running a script with srun replaced; returns srun's own options and the command it would start."""
    stub = tmp_path / "srun"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    stub.chmod(0o755)

    def run(script: str, *arguments: str, **environment: str) -> tuple[list[str], list[str]]:
        path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
        subprocess.run([str(TOOLS / script), *arguments], env={"PATH": path} | environment, check=True, timeout=60)
        given = (tmp_path / "arguments").read_text().splitlines()
        start = given.index("python")
        return given[:start], given[start:]

    return run


def test_training(srun):
    options, command = srun(
        "slurm_train.sh", "gpu", "mrt", "my config.py", "work", "--amp", GPUS="16", SRUN_ARGS="-x n1"
    )
    assert {"--partition=gpu", "--job-name=mrt", "--ntasks=16", "--ntasks-per-node=8", "--gres=gpu:8"} < set(options)
    assert options[-2:] == ["-x", "n1"]
    assert command[:3] == ["python", "-u", str(TOOLS / "train.py")]
    args = train_tool.parse_args(command[3:])
    assert (args.config, args.work_dir, args.launcher, args.amp) == ("my config.py", "work", "slurm", True)


def test_testing(srun):
    options, command = srun("slurm_test.sh", "gpu", "mrt", "config.py", "epoch_1.pth", "--out", "m.json", GPUS="2")
    assert {"--ntasks=2", "--ntasks-per-node=2", "--gres=gpu:2", "--cpus-per-task=5"} < set(options)
    assert command[2] == str(TOOLS / "test.py")
    args = test_tool.parse_args(command[3:])
    assert (args.config, args.checkpoint, args.launcher, str(args.out)) == (
        "config.py",
        "epoch_1.pth",
        "slurm",
        "m.json",
    )
