"""The loader's tables on a few photographs."""

import benchmark
import pytest
from benchmarks import loader
from benchmarks.loader import CACHED, REDUCED, SHIPPED, WAYS, WHOLE, Measured, pipelines
from benchmarks.loader_sets import ANN_FILE, MIXTURE, SETS, write_photographs
from mmengine.config import Config
from PIL import Image

from mion_plugin.datasets import HumanDataset


def test_the_tables_are_printed_and_written(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- loader: begin -->\nold\n<!-- loader: end -->\nafter\n")
    sets = ["--sets", "LSP", "COCO", "--photographs", "2", "--repeats", "1", "--pairs", "0"]
    benchmark.main(["loader", *sets, "--page", str(page)])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(("| LSP", "| COCO"))]
    assert [row[:3] for row in rows] == [["LSP", "150 x 200", "180"], ["COCO", "640 x 480", "250"]]
    for row in rows:
        assert all(float(rate) > 0 for rate in row[4:-1])
        assert 0 < float(row[-1]) < 10
        assert len(row) == 4 + len(WAYS) + 3
    assert rows[0][0] in capsys.readouterr().out


def test_every_size_can_be_written(tmp_path):
    """People stand within the photograph, or fill it."""
    for name in ("LSP", "UP-3D"):
        size = SETS[name]
        length = write_photographs(tmp_path / name, size, 2)
        assert length > 1000
        assert Image.open(tmp_path / name / "0001.jpg").size == (size.width, size.height)
        info = HumanDataset(ANN_FILE, str(tmp_path / name)).get_data_info(0)
        assert info["scale"].tolist() == [size.side, size.side]


def test_what_is_compared():
    """The configs' own steps; as first shipped, colours come before the crop, and every photograph is read whole."""
    ways = pipelines()
    config = Config.fromfile(loader.CONFIGS / "_base_" / "augmentation_224.py").train_pipeline
    assert ways[REDUCED] == ways[CACHED] == [dict(step) for step in config]
    names = [step["type"] for step in ways[SHIPPED]]
    assert sorted(names) == sorted(step["type"] for step in config)
    assert names.index("mion.RandomChannelNoise") < names.index("mion.MeshAffine")
    assert not any("crop_size" in step for way in (SHIPPED, WHOLE) for step in ways[way])


def test_the_mixture_is_the_configs():
    """A sample's mean time: the shares sum to 1, the four sets of photographs have 0.6 together."""
    assert sum(MIXTURE.values()) == pytest.approx(1.0)
    found = {name: Measured(1.0, 1.0, 0.0, dict.fromkeys(WAYS, 7.0)) for name in MIXTURE}
    assert loader.mixture_milliseconds(found) == pytest.approx(dict.fromkeys(WAYS, 7.0))
    found["Human3.6M"] = Measured(1.0, 1.0, 0.0, dict.fromkeys(WAYS, 17.0))
    assert loader.mixture_milliseconds(found)[SHIPPED] == pytest.approx(10.0)
    del found["COCO"]
    assert loader.mixture_milliseconds(found) == {}


def test_workers_are_those_that_the_cards_need():
    """4 A100 in bfloat16 take 4 x 312e12 x 0.3 / 251.7e9 images."""
    assert loader.images_per_second(312.0, 4) == pytest.approx(1487.5, abs=0.1)
    rates = dict(zip(WAYS, (20.0, 40.0, 50.0, 100.0), strict=True))
    lines = loader.workers_table(rates).splitlines()
    row = next(line for line in lines if line.startswith("| 4 x A100, `--bf16`"))
    assert row.strip("| ").split(" | ")[1:] == ["1,487", "75", "38", "30", "15"]


@pytest.mark.slow
def test_stage_3s_loader_is_timed():
    assert loader.measure_pairs(1) > 0
