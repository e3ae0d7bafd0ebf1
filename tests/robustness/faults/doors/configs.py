"""Configs of training, testing and the demo. A config is a program in every format; those here are merely wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from robustness.faults import documents
from robustness.faults.case import ANYTHING, REFUSED, Case
from robustness.faults.damage import Damage, hostile
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_TINY = Path(__file__).resolve().parents[4] / "configs" / "mion" / "mrt_tiny_synthetic.py"
_LOGS = ("work/*/*.log", "work/*/vis_data/*", "work/*.py")
# mmengine's messages name the value, or the class that was to be built
_NAMED = ("mion.No", "neck", "system()", "Nothing", "learning rate", "optim_wrapper")
_SETTINGS = (
    ("model", "None"),
    ("model", "3"),
    ("model", "dict(type='mion.Nothing')"),
    ("model", "dict(type='os.system')"),
    ("model", "dict(_delete_=True, type='mion.MRT', backbone=3)"),
    ("train_cfg", "dict(max_epochs='many')"),
    ("train_cfg", "dict(max_epochs=-1)"),
    ("train_cfg", "3"),
    ("optim_wrapper", "dict(optimizer=dict(lr='fast'))"),
    ("optim_wrapper", "dict(optimizer=dict(lr=-1.0))"),
    ("optim_wrapper", "dict(optimizer=3)"),
    ("optim_wrapper", "3"),
    ("train_dataloader", "dict(batch_size=0)"),
    ("train_dataloader", "dict(batch_size='a')"),
    ("train_dataloader", "dict(num_workers=-1)"),
    ("train_dataloader", "3"),
    ("custom_imports", "dict(imports=['no_such_module'], allow_failed_imports=False)"),
    ("custom_imports", "3"),
    ("default_hooks", "3"),
    ("custom_hooks", "[dict(type='mion.NoSuchHook')]"),
    ("param_scheduler", "dict(type='Nothing')"),
    ("randomness", "dict(seed='a')"),
    ("_base_", "['nothing.py']"),
    ("_base_", "['config.py']"),
    ("_base_", "3"),
    ("_base_", "['/dev/zero']"),
)


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    sound = f"_base_ = [{str(_TINY)!r}]\nmodel = dict(train_candidates=2)\n".encode()
    # cut or changed text may be a program that defines nothing, or less
    texts = [
        damage
        for damage in hostile(sound, seeds.seed)
        if damage.kind not in ("bits flipped", "wrong order") and damage.name != "99% left"
    ]
    train = [*texts, *_settings()]
    yield from file_cases(
        "train: config", "config.py", train, _train, tool="train.py: error: ", may_leave=_LOGS, mentions=_NAMED
    )
    yield from file_cases(
        "test: config",
        "config.py",
        texts[::2],
        _test(seeds),
        tool="test.py: error: ",
        may_leave=_LOGS,
        mentions=("weights.pth",),
    )
    yield from file_cases("demo: config", "config.py", texts[::2], _demo(seeds), tool="demo.py: error: ")
    document = json.dumps({"_base_": [str(_TINY)], "model": {"train_candidates": 2}}).encode()
    few = [*hostile(document, seeds.seed), *documents.hostile_texts()]
    few = [damage for damage in few if damage.kind != "bits flipped"]
    options = {"tool": "train.py: error: ", "may_leave": _LOGS}
    yield from file_cases("train: JSON config", "config.json", few, _train, **options)
    yield from file_cases("train: YAML config", "config.yaml", _yaml(), _train, **options)
    yield from file_cases(
        "train: config", "config.txt", [Damage("wrong type", "a suffix", _writes("a = 1"))], _train, **options
    )


def _writes(text: str) -> Callable[[Path], int]:
    return lambda path: path.write_text(text)


def _settings() -> Iterator[Damage]:
    for key, value in _SETTINGS:
        base = "" if key == "_base_" else f"_base_ = [{str(_TINY)!r}]\n"
        yield Damage("wrong setting", f"{key} = {value}", _writes(f"{base}{key} = {value}\n"))
    for told, text in (
        ("an endless recursion", "def f(): return f()\nf()\n"),
        ("an exception", "raise RuntimeError('no')\n"),
        ("a division by zero", "a = 1 / 0\n"),
        ("brackets 1,000 deep", "a = " + "[" * 1000 + "]" * 1000 + "\n"),
        ("a huge number", "a = 10 ** 5000\n"),
        ("NUL characters", "a = 1\0\n"),
    ):
        yield Damage("program that fails", told, _writes(text), ANYTHING if told == "a huge number" else REFUSED)


def _yaml() -> Iterator[Damage]:
    for told, text in (
        ("a tab", "a:\n\t- b\n"),
        ("an unknown tag", "a: !nothing 3\n"),
        ("an open bracket", "a: [1, 2\n"),
        ("an alias to nothing", "a: *b\n"),
        ("a list", "- 1\n- 2\n"),
        ("a text", "text\n"),
        ("nothing", ""),
        ("brackets 5,000 deep", "a: " + "[" * 5000 + "]" * 5000),
        ("an anchor that holds itself", "a: &a [*a]\n"),
    ):
        yield Damage("hostile YAML", told, _writes(text))


def _train(path: Path, out: Path) -> int:
    return tool("train").main([str(path), "--work-dir", str(out / "work")])


def _test(seeds: Seeds) -> Callable[[Path, Path], int]:
    weights = str(seeds.path("weights.pth"))
    return lambda path, out: tool("test").main([str(path), weights, "--work-dir", str(out / "work")])


def _demo(seeds: Seeds) -> Callable[[Path, Path], int]:
    photo, keypoints = str(seeds.path("photo.jpg")), str(seeds.path("keypoints.json"))
    return lambda path, out: tool("demo").main(
        [photo, "--keypoints", keypoints, "--config", str(path), "--out", str(out)]
    )
