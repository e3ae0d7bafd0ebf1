"""docs/data.md tells of every data set that the tool converts, and its config works."""

import re
from pathlib import Path

from mmengine.config import Config
from support.official_archives import write_up3d

from mion_plugin.conversion import OFFICIAL_SETS, convert_official_set
from mion_plugin.registry import DATASETS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_its_table_has_every_set_and_split():
    rows = dict(re.findall(r"^\|[^|]+\| `([a-z0-9_]+)` \| ([^|]+) \|", PAGE, flags=re.MULTILINE))
    named = {name: tuple(re.findall(r"`([^`]+)`", splits)) for name, splits in rows.items()}
    assert named.pop("surreal") == ("{train,val,test}_run{0,1,2}",)
    assert named == {name: official.splits for name, official in OFFICIAL_SETS.items() if name != "surreal"}


def test_its_commands_name_sets_and_splits_that_there_are():
    commands = re.findall(r"convert_dataset\.py (\w+) --split (\w+)", PAGE)
    assert len(commands) > 9
    for name, split in commands:
        assert split in OFFICIAL_SETS[name].splits


def test_its_up3d_config_builds_and_reads(tmp_path, monkeypatch):
    write_up3d(tmp_path / "data" / "datasets" / "up3d")
    convert_official_set(
        "up3d", "trainval", tmp_path / "data" / "datasets" / "up3d", tmp_path / "data" / "preprocessed_datasets"
    )
    monkeypatch.chdir(tmp_path)
    config = Config.fromfile(ROOT / "configs" / "mion" / "cen_r34_224.py").up3d
    config["keypoints2d_source"] = "annotated"  # a detector has not been run
    sample = DATASETS.build(config)[0]
    assert sample["inputs"].shape == (3, 224, 224)
