import numpy as np
import pytest
from PIL import Image
from robustness.faults.case import Limits
from robustness.faults.isolation import run_isolated

from mion_plugin.files.images import write_image
from mion_plugin.files.npz import write_npz
from mion_plugin.weights import save_weights

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (64, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp"])
def test_the_format_is_that_of_the_path(tmp_path, suffix):
    write_image(Image.fromarray(PICTURE), tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.size == (80, 64)


def test_no_format(tmp_path):
    with pytest.raises(ValueError, match=r"a\.exe: no image format ends in '\.exe'"):
        write_image(Image.fromarray(PICTURE), tmp_path / "a.exe")


def write_weights(path):
    import torch

    save_weights({"a": torch.zeros(10_000)}, path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jpg", lambda path: write_image(Image.fromarray(PICTURE), path, quality=95)),
        ("a.png", lambda path: write_image(Image.fromarray(PICTURE), path)),
        ("a.npz", lambda path: write_npz(path, {"a": RNG.normal(size=10_000)})),
        ("a.pth", write_weights),
    ],
)
def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path, name, write):
    """Pillow, numpy and torch each have their own way to fail, or not to notice."""
    (tmp_path / "out").mkdir()
    calls = [("key", lambda: write(tmp_path / "out" / name), tmp_path, Limits(file_size=4096))]
    ((_, ending),) = run_isolated(calls, 1)
    assert ending.error[0] == "OSError"
    assert "File too large" in ending.message
    assert ending.stderr == ""
    assert not list((tmp_path / "out").iterdir())
