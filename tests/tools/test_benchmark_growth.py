"""The page of growth on sizes that take seconds."""

import benchmark
import pytest
from benchmarks.growth import slope
from benchmarks.selection import Measurement


def test_the_page_and_its_curves_are_written(tmp_path, capsys):
    page = tmp_path / "growth.md"
    sizes = ["--images", "1", "2", "--paths", "1", "2", "--poses", "20", "40", "--batch", "2", "--repeats", "1"]
    benchmark.main(["growth", *sizes, "--out", str(page)])
    text = page.read_text(encoding="utf-8")
    assert text.strip() in capsys.readouterr().out
    for name in ("keypoints corrected", "stage 1", "stage 2", "fit", "stage 3", "all three"):
        assert text.count(f"| {name} |") == (3 if name == "stage 1" else 2)
    assert "| stage | 600 | 1,200 | slope |" in text
    curves = (tmp_path / "growth.svg").read_text(encoding="utf-8")
    assert curves.count("milliseconds") >= 3
    assert {path.name for path in tmp_path.iterdir()} == {"growth.md", "growth.svg"}


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_slope_is_the_power(power):
    """Of the last points: what does not grow counts where sizes are small."""
    sizes = [1, 10, 1000, 10000, 100000]
    assert slope(sizes, [9.0, 9.0, *(size**power for size in sizes[2:])]) == pytest.approx(power)


def test_one_size_has_no_slope():
    assert str(slope([3], [Measurement(1.0, 2.0).seconds])) == "nan"
