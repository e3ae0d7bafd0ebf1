"""tools/benchmark.py handover: both ways of taking a batch over are timed, into the page's section."""

import benchmark
import torch
from benchmarks import handover


def test_both_ways_are_timed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- handover: begin -->\nold\n<!-- handover: end -->\nafter\n")
    small = ["--batch-size", "2", "--image-size", "32", "--batches", "2", "--repeats", "1"]
    benchmark.main(["handover", *small, "--page", str(page)])
    text = page.read_text()
    assert "a batch of 2 at 32 px" in text
    assert all(f"| {name} | " in text for name in handover.WAYS)
    assert "old" not in text


def test_samples_of_a_batch_are_objects_of_their_own():
    """What comes twice would be sent once."""
    dataset = handover.ReadyMade([{"inputs": torch.zeros(3)}], 2)
    first, second = dataset[0], dataset[1]
    assert first["inputs"].data_ptr() != second["inputs"].data_ptr()
