"""The table of deviations: every switch that it names is one, and switches."""

import functools
import inspect
import re
from pathlib import Path

import pytest
import train as train_tool
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from support.built_settings import settings
from support.config_options import accepts, reader
from support.real_layout import write_real_layout
from torch import nn

from mion_plugin.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]
SECTIONS = re.split(r"^## ", (ROOT / "docs" / "fidelity.md").read_text(), flags=re.M)[1:]
# section -> the config whose entries its switches are
TABLES = {
    "Stage 1": "mrt_r50_56x56_mixed",
    "Stage 2": "mrt_r50_56x56_mixed",
    "Stage 3": "cen_r34_224",
    "Together": "mion_r50_56x56_h36m-test",
}
# table row of what the paper says -> the entry that the paper's config must have
AS_PRINTED = {
    "model.selector.distance": "axis_angle",
    "model.loss.smpl": "printed",
    "model.network.transformer.num_encoder_layers": 2,
    "model.network.position_encoding.frequency_scale": 1.0,
    "model.keypoints2d_target": "annotated",
}


def rows(section: str) -> list[list[str]]:
    (text,) = (part for part in SECTIONS if part.startswith(section))
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][1:]


def switches(section: str) -> list[tuple[str, str]]:
    return [
        tuple(word.split("=", 1))
        for row in rows(section)
        for quoted in re.findall(r"`([^`]+)`", row[2])
        for word in quoted.split()
        if re.fullmatch(r"(model|optim_wrapper|test_dataloader)\.[\w.]+=\S+", word)
    ]


@pytest.mark.parametrize("section", TABLES)
def test_every_switch_is_an_option(section):
    cfg = Config.fromfile(ROOT / "configs" / "mion" / f"{TABLES[section]}.py")
    found = switches(section)
    assert found
    assert [key for key, _ in found if not accepts(cfg, key)] == []


def test_a_switch_that_is_none_is_noticed():
    cfg = Config.fromfile(ROOT / "configs" / "mion" / "mrt_r50_56x56_mixed.py")
    assert not accepts(cfg, "model.loss.smpl_form")
    assert not accepts(cfg, "model.network.transformer.layers")


@pytest.mark.parametrize("section", TABLES)
def test_every_row_has_three_cells_and_names_files_that_exist(section):
    for row in rows(section):
        assert len(row) == 3, row
        for name in re.findall(r"(?:configs|tools)/[\w./+-]+\.py", " ".join(row)):
            assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("key", AS_PRINTED)
def test_the_papers_config_does_what_the_paper_says(key):
    value = Config.fromfile(ROOT / "configs" / "mion" / "mrt_r50_56x56_mixed.py")
    for step in key.split("."):
        value = value[step]
    assert value == AS_PRINTED[key]


# Sizes cut down, and no file of weights. IMAGENET1K_V1 would be downloaded: tests/test_backbones.py.
NETWORK = {"backbone.depth": 18, "backbone.weights": None, "neck.in_channels": 512, "neck.channels": 24}
NETWORK |= {"transformer.width": 24, "transformer.num_heads": 2, "transformer.feedforward": 32}
SMALL = {
    "mrt_r50_56x56_mixed": {f"model.network.{key}": value for key, value in NETWORK.items()},
    "cen_r34_224": {"model.cen.backbone.depth": 18},
    "mion_r50_56x56_h36m-test": {f"model.refiner.{key}": value for key, value in NETWORK.items()}
    | {
        "model.cen.backbone": {"type": "mion.TorchvisionResNet", "depth": 18},
        "model.refiner_checkpoint": None,
        "model.cen_checkpoint": None,
    },
}
DOWNLOADED = "model.cen.backbone.weights"
SWITCHES = [(TABLES[section], *switch) for section in TABLES for switch in switches(section) if switch[0] != DOWNLOADED]


@pytest.fixture(scope="module")
def real_layout(tmp_path_factory):
    root = tmp_path_factory.mktemp("real")
    write_real_layout(root)
    return root


def built(name: str, section: str, changes: dict) -> list:
    """Settings of what a section of the changed config tells: model, part of it, optimiser, or the test's data set."""
    cfg = Config.fromfile(ROOT / "configs" / "mion" / f"{name}.py")
    cfg.merge_from_dict({**SMALL[name], **changes})
    if section == "optim_wrapper":
        return settings(build_optim_wrapper(nn.Linear(1, 1), cfg.optim_wrapper))
    if section == "test_dataloader":
        return settings(DATASETS.build(cfg.test_dataloader.dataset))
    return settings(MODELS.build(cfg.model if section == "model" else cfg.model[section.removeprefix("model.")]))


@functools.cache
def as_it_is(name: str, section: str) -> list:
    """Of the config without a change, once for all of its switches."""
    return built(name, section, {})


def present(name: str, key: str):
    """What stands at a key: the config's value, or the default of the part that reads it."""
    cfg = part = Config.fromfile(ROOT / "configs" / "mion" / f"{name}.py")
    *path, last = key.split(".")
    for step in path:
        part = part[step]
    return part[last] if last in part else inspect.signature(reader(cfg, key)).parameters[last].default


@pytest.mark.parametrize(("name", "key", "value"), SWITCHES)
def test_a_switch_changes_what_is_built(name, key, value, real_layout, monkeypatch):
    """One that names what the config does already is tried with twice its number."""
    monkeypatch.chdir(real_layout)
    (wanted,) = train_tool.parse_args([name, "--cfg-options", f"{key}={value}"]).cfg_options.values()
    names = key.split(".")
    section = ".".join(names[:2]) if names[0] == "model" and len(names) > 2 else names[0]
    plain = as_it_is(name, section)
    if built(name, section, {key: wanted}) != plain:
        assert wanted != present(name, key)
    elif isinstance(wanted, str):
        assert wanted == present(name, key)
    else:
        assert built(name, section, {key: 2 * wanted}) != plain


def test_other_switches_stand_in_the_files_that_they_name():
    """Variables of a config's file, as `ratios` in `configs/...`."""
    found = 0
    for row in (row for section in TABLES for row in rows(section)):
        quoted = re.findall(r"`([^`]+)`", row[2])
        for file in (word for word in quoted if word.endswith(".py")):
            for name in (word.partition("=")[0] for word in quoted if re.fullmatch(r'\w+(="\w+")?', word)):
                assert re.search(rf"\b{name}\s*=", (ROOT / file).read_text()), (name, file)
                found += 1
    assert found > 5


def test_every_other_row_has_a_file_or_a_reason():
    """What cannot be switched says so, or is the paper's own."""
    for section in TABLES:
        for paper, here, switch in rows(section):
            assert switch or here.startswith("the same") or "as SPIN" in here, (paper, here)
