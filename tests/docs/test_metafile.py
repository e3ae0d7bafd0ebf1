"""model-index.yml and the metafiles: OpenMMLab's form, files that exist, figures as measured."""

import re
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mion_plugin.registry import MODELS

ROOT = Path(__file__).parents[2]
IMPORTS = yaml.safe_load((ROOT / "model-index.yml").read_text())["Import"]
METAFILES = [yaml.safe_load((ROOT / path).read_text()) for path in IMPORTS]
ENTRIES = {model["Name"]: model for metafile in METAFILES for model in metafile["Models"]}
# model -> page, heading, row and columns of the table that has its MPJPE and PA-MPJPE
SOURCES = {
    "mrt_tiny_lifting_apart": ("results.md", "Stage 2: the small model", "refined", (1,)),
    "mion_tiny_synthetic": ("tables.md", "Table 3: choosing among 5 paths", "cen+reprojection", (1, 2)),
}


def numbers_of_row(page, heading, row, columns):
    """The figures of some cells, without their intervals."""
    section = re.split(r"^## ", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(heading))
    (cells,) = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {row} |"))
    return [float(value) for column in columns for value in re.sub(r"\[.*?\]", "", cells[column]).split("/")]


@pytest.mark.parametrize("metafile", METAFILES, ids=IMPORTS)
def test_collections_have_what_openmmlab_asks(metafile):
    for collection in metafile["Collections"]:
        assert {"Name", "Metadata", "Paper", "README"} <= set(collection)
        assert set(collection["Paper"]) == {"Title", "URL"}
        assert (ROOT / collection["README"]).is_file()
        assert (ROOT / collection["Code"]["URL"]).is_file()
    names = {collection["Name"] for collection in metafile["Collections"]}
    assert {model["In Collection"] for model in metafile["Models"]} == names


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_config_and_weights_exist(entry):
    assert {"Name", "In Collection", "Config", "Metadata", "Results", "Weights"} <= set(entry)
    assert Path(entry["Config"]).stem == entry["Name"]
    assert (ROOT / entry["Weights"]).stat().st_size > 1e6
    assert Config.fromfile(ROOT / entry["Config"]).model.type.startswith("mion.")


TRAININGS = (["mrt_tiny_lifting_apart"], ["reader_tiny_synthetic_more"])


def batch_size(loader):
    """Bodies a step; an item of ``mion.LiftingDataset`` is many."""
    return loader.batch_size * loader.dataset.get("bodies_per_batch", 1)


@pytest.mark.parametrize(("entry", "trainings"), list(zip(ENTRIES.values(), TRAININGS, strict=True)), ids=ENTRIES)
def test_metadata_is_that_of_the_configs(entry, trainings):
    trained = [Config.fromfile(ROOT / "configs" / "mion" / f"{name}.py") for name in trainings]
    assert entry["Metadata"]["Epochs"] == sum(cfg.train_cfg.max_epochs for cfg in trained)
    assert {batch_size(cfg.train_dataloader) for cfg in trained} == {entry["Metadata"]["Batch Size"]}
    assert entry["Metadata"]["Training Time"] in (ROOT / "docs" / "results.md").read_text()


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_parameters_are_those_of_the_model(entry):
    cfg = Config.fromfile(ROOT / entry["Config"])
    cfg.model.pop("refiner_checkpoint", None)
    cfg.model.pop("cen_checkpoint", None)
    count = sum(parameter.numel() for parameter in MODELS.build(cfg.model).parameters())
    assert entry["Metadata"]["Parameters"] == round(count, -4)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_figures_are_those_of_the_tables(entry):
    (result,) = entry["Results"]
    assert list(result["Metrics"].values()) == numbers_of_row(*SOURCES[entry["Name"]])


def test_figures_of_a_missing_row_are_not_made_up():
    with pytest.raises(ValueError, match="not enough values"):
        numbers_of_row("tables.md", "Table 3: choosing among 5 paths", "no such choice", (1, 2))
