import json
import subprocess
import sys
from pathlib import Path

import demo as tool
import numpy as np
import pytest
from PIL import Image

import mion_plugin

ROOT = Path(__file__).parents[2]
DEMO_DATA = Path(mion_plugin.__file__).parent / "demo_data"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The command of the README, run from another folder."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(ROOT / "tools" / "demo.py")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "outputs", result.stdout


def test_writes_a_picture_and_the_numbers(demo):
    outputs, printed = demo
    assert sorted(path.name for path in outputs.iterdir()) == [
        "000000000785_candidates.json",
        "000000000785_candidates.png",
    ]
    assert "compatible" in printed
    picture = np.asarray(Image.open(outputs / "000000000785_candidates.png"))
    assert picture.ndim == 3
    assert picture.shape[1] > 6 * 448  # keypoints and five candidates side by side


def test_the_candidates_agree_in_the_image_and_differ_in_space(demo):
    numbers = json.loads((demo[0] / "000000000785_candidates.json").read_text())
    candidates = numbers["candidates"]
    assert len(candidates) == 5
    assert all(candidate["fit_loss"] < 2000 for candidate in candidates)
    assert all(candidate["joint_distance_to_first_mm"] > 50 for candidate in candidates[1:])
    assert numbers["num_compatible"] >= 5


def test_options(tmp_path):
    out = tmp_path / "a" / "b"
    assert tool.main(["--num-candidates", "2", "--out", str(out), "--person", "0"]) == 0
    assert len(json.loads((out / "000000000785_candidates.json").read_text())["candidates"]) == 2


@pytest.mark.parametrize("arguments", [["--person", "7"], ["--person", "first"], ["--size", "3"]])
def test_bad_input_exits_with_2(tmp_path, arguments):
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.fixture
def bad(tmp_path):
    photo = (DEMO_DATA / "000000000785.jpg").read_bytes()
    (tmp_path / "text.jpg").write_text("not an image")
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "000000000785.jpg").write_bytes(photo[:40_000])
    (tmp_path / "empty.json").write_text('{"images": [{"id": 1, "file_name": "000000000785.jpg"}], "annotations": []}')
    (tmp_path / "text.json").write_text("none")
    (tmp_path / "file").write_text("")
    (tmp_path / "pool.npz").write_bytes(b"PK")
    annotated = {"images": [{"id": 1, "file_name": "text.jpg"}], "annotations": []}
    annotated["annotations"] = [{"image_id": 1, "bbox": [0, 0, 5, 5], "keypoints": [1, 2, 2] * 17}]
    (tmp_path / "text_image.json").write_text(json.dumps(annotated))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "none.jpg"], "none of its 1 images is called none.jpg"),
        (["--image", "elsewhere/000000000785.jpg"], "image elsewhere/000000000785.jpg does not exist"),
        (["--image", "text.jpg", "--keypoints", "text_image.json"], "image text.jpg cannot be read"),
        (["--image", "cut/000000000785.jpg"], "image cut/000000000785.jpg cannot be read"),
        (["--keypoints", "none.json"], "keypoint file none.json does not exist"),
        (["--keypoints", "text.json"], "text.json is not a JSON file"),
        (["--keypoints", "empty.json"], "nobody in 000000000785.jpg has keypoints"),
        (["--person", "1"], "--person 1: 000000000785.jpg has 1 people, numbered from 0"),
        (["--person", "-1"], "--person -1"),
        (["--out", "file"], "file"),
        (["--out", "/proc/none"], "/proc/none"),
        (["--num-candidates", "0"], "num_candidates is 0, expected 1 to"),
        (["--pool", "pool.npz"], "pool.npz is not a readable candidate pool"),
        (["--body-model", "SMPL.pkl"], "body model SMPL.pkl does not exist. The SMPL files need a licence"),
    ],
)
def test_bad_input_ends_with_one_line_and_nothing_written(bad, arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(bad)
    assert tool.main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("demo.py: error: ")
    assert message in lines[0]
    outputs = bad / "outputs"
    assert not outputs.exists() or not list(outputs.iterdir())
