"""The comment at the head of a config: its commands start, and its files, epochs and options are there."""

import argparse
import importlib.util
import itertools
import re
import shlex
from pathlib import Path

import pytest
from launching import load_config
from mmengine.config import Config
from support.config_options import accepts

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
PATHS = sorted(CONFIGS.rglob("*.py"))
EXECUTABLE = [path for path in PATHS if path.parent.name != "_base_"]
HOST = "mmhuman3d"  # its tools, from a checkout of it
LAUNCHERS = {"dist_train.sh": ("train", 1), "dist_test.sh": ("test", 2)}  # the arguments before the number of GPUs
STOPPED = ("mrt_tiny_lifting_corrected", "11")  # before its end: docs/training.md
NOTHING = {"launcher": "none", "work_dir": None, "cfg_options": None}


@pytest.fixture(autouse=True)
def in_the_clone(monkeypatch):
    monkeypatch.chdir(ROOT)


def comments(path: Path) -> str:
    """All comment lines of a file, without their sign."""
    return "\n".join(line[1:] for line in path.read_text().splitlines() if line.startswith("#"))


def commands(path: Path) -> list[list[str]]:
    """The indented lines that begin with a program, continued ones joined; without remarks in brackets behind them."""
    lines = re.sub(r"\\\n\s+", "", comments(path)).splitlines()
    shown = (re.sub(r" {3,}\(.*\)$", "", line.strip()) for line in lines if re.match(r" {3}\S", line))
    return [shlex.split(line) for line in shown if re.match(r"(python |tools/|mim |PYTHONPATH)", line)]


def parsed(words: list[str]) -> argparse.Namespace:
    """What the tool's own parser makes of the command, as the launcher hands it on."""
    words = words[1:] if words[0] == "python" else words
    name, arguments = Path(words[0]).name, words[1:]
    assert Path(words[0]).is_file(), words[0]
    if name in LAUNCHERS:
        tool, before = LAUNCHERS[name]
        assert int(arguments[before]) >= 1
        name, arguments = f"{tool}.py", arguments[:before] + arguments[before + 1 :]
    spec = importlib.util.spec_from_file_location(f"{Path(name).stem}_tool", ROOT / "tools" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.parse_args(arguments)


@pytest.mark.parametrize("path", EXECUTABLE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_its_commands_are_read_by_the_tools(path):
    shown = commands(path)
    assert shown
    for words in shown:
        if path.parent.name == HOST or words[0] == "mim":
            continue
        args = parsed(words)
        if hasattr(args, "config"):
            assert Path(args.config).is_file()
            if path.parent.name != "mmpose":  # whose configs need mmpose 1.x to be read
                load_config(argparse.Namespace(**{**NOTHING, **vars(args)}))


@pytest.mark.parametrize("path", EXECUTABLE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_options_that_it_names_are_read(path):
    if path.parent.name in (HOST, "mmpose"):
        return
    cfg, text = Config.fromfile(path), comments(path)
    replaced = re.findall(r"(\S+)\._delete_=True", text)  # whose options are those of what takes the place
    for key in re.findall(r"\b((?:model|test_dataloader)(?:\.\w+)+)=", text):
        assert accepts(cfg, key) or key.startswith(tuple(replaced)), key


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_files_that_it_names_are_there(path):
    """Those of this repository; a name without a folder is that of a config."""
    for name in re.findall(r"(?<!its )(?<![\w./-])[\w./{},-]+\.(?:py|md|sh)\b(?! there)", comments(path)):
        for each in expand(name):
            assert (ROOT / each).is_file() or ("/" not in each and any(CONFIGS.rglob(each))), each


def expand(name: str) -> list[str]:
    """What a shell makes of names in braces."""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return ["".join(each) for each in itertools.product(*parts)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_checkpoints_are_the_last_of_their_trainings(path):
    for name, epoch in re.findall(r"work_dirs/([\w.-]+)/epoch_(\d+)\.pth", path.read_text()):
        if name == "mion":  # --work-dir in the headers of the configs for mmhuman3d
            last = Config.fromfile(CONFIGS / HOST / "mion_r50_56x56_mixed.py").runner.max_epochs
        else:
            last = Config.fromfile(CONFIGS / "mion" / f"{name}.py").train_cfg.max_epochs
        assert int(epoch) == last or (name, epoch) == STOPPED, name
