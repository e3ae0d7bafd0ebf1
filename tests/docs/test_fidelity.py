"""The table of deviations: every switch that it names is one."""

import inspect
import re
from pathlib import Path

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import OPTIMIZERS

from mion_plugin.refinement.heads import BodyHead
from mion_plugin.refinement.queries import JointQueries
from mion_plugin.refinement.transformer import Transformer
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
PARTS = {"transformer": Transformer, "head": BodyHead, "queries": JointQueries}  # dicts of a network without a type
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


def accepts(cfg: Config, key: str) -> bool:
    """Whether what stands at the key, but for its last name, has an option of that name."""
    *path, name = key.split(".")
    part: ConfigDict = cfg
    for step in path:
        part = part[step]
    if "type" in part:
        kind = next(found for registry in (MODELS, DATASETS, OPTIMIZERS) if (found := registry.get(part["type"])))
        return name in inspect.signature(kind).parameters or name in ("lr", "momentum")
    return name in part if path[-1] not in PARTS else name in inspect.signature(PARTS[path[-1]]).parameters


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
