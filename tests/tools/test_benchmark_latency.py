"""The page of times on sizes that take seconds."""

import benchmark
import pytest
from benchmarks.measuring import median_in_turn


def test_the_section_is_written(tmp_path, capsys):
    pytest.importorskip("mmhuman3d")
    pytest.importorskip("onnxruntime")
    page = tmp_path / "latency.md"
    page.write_text("Own words.\n\n<!-- latency: begin -->\n<!-- latency: end -->\n")
    sizes = ["--batches", "1", "2", "--paths", "1", "2", "--repeats", "1"]
    benchmark.main(["latency", *sizes, "--runtimes", "eager", "bfloat16", "onnx", "--out", str(page)])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Own words.")
    assert "| HMR |" in capsys.readouterr().out
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in text.splitlines() if "|" in line}
    networks = [f"{name}, {runtime}" for name in ("locator", "mrt", "reader") for runtime in ("bfloat16", "onnx")]
    stages = [f"MION: {name}" for name in ("keypoints corrected", "stage 1", "stage 2", "fit", "stage 3")]
    for name in ("MION, 1 path", "MION, 2 paths", *stages, *networks):
        assert all(float(cell.strip(" |")) > 0 for cell in rows[name])
    for name in ("HMR", "mrt, eager"):
        assert [cell.strip(" |") for cell in rows[name][1::2]] == ["1.00", "1.00"]


def test_calls_take_turns():
    order = []
    times = median_in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert set(times) == {"a", "b"}
