import json
import shutil
import subprocess
import sys
from pathlib import Path

import demo as tool
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from support.untrained_mion import use_model

from mion_plugin.demo_data import PHOTO
from mion_plugin.registry import MODELS
from mion_plugin.weights import save_weights

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The candidates alone, run from another folder."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--stage", "1"]
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
    arguments = ["--stage", "1", "--num-candidates", "2", "--out", str(out), "--person", "0", "--save-mesh"]
    assert tool.main(arguments) == 0
    assert len(json.loads((out / "000000000785_person0_candidates.json").read_text())["candidates"]) == 2
    assert (out / "000000000785_person0_candidates.obj").read_text().count("\nv ") == 6889  # the first line is one, too


class TestAllStages:
    def test_by_default_with_what_is_trained(self, untrained, tmp_path, monkeypatch, capsys):
        use_model(untrained, monkeypatch)
        assert tool.main(["--out", str(tmp_path), "--save-mesh", "--mesh-format", "ply"]) == 0
        stem = tmp_path / "000000000785_person0"
        assert {path.name for path in tmp_path.iterdir()} == {
            "000000000785_overlay.jpg",
            *(f"{stem.name}.{end}" for end in ("json", "npz", "ply", "png")),
        }
        numbers = json.loads(Path(f"{stem}.json").read_text())
        scores = [path["cen"] for path in numbers["paths"]]
        assert len(scores) == 5
        assert [path["score"] for path in numbers["paths"]] == [path["selection_score"] for path in numbers["paths"]]
        assert numbers["score_unit"] is None
        chosen_by = [path["selection_score"] for path in numbers["paths"]]
        assert chosen_by[numbers["selected"]] == min(chosen_by)
        assert numbers["image"] == "000000000785.jpg"
        # an untrained residual network leaves the candidates as they are, and those fit the keypoints
        assert all(path["fit_loss"] < 500 for path in numbers["paths"])
        with np.load(f"{stem}.npz") as arrays:
            assert arrays["vertices"].shape == (5, 6890, 3)
            np.testing.assert_allclose(arrays["scores"], scores, atol=1e-5)
        printed = capsys.readouterr().out
        assert [line.split()[0] for line in printed.splitlines() if line.endswith("  chosen")] == [
            str(numbers["selected"] + 1)
        ]
        assert "no trained" not in printed
        assert printed.startswith("1 person found\n")
        assert f"path {numbers['selected'] + 1} is chosen: lowest score, " in printed
        assert "by the picture" not in printed  # of a stage 3 that is not calibrated
        assert np.asarray(Image.open(f"{stem}.png")).shape[1] > 3 * 448

    def test_the_error_that_a_calibrated_reader_expects(self, untrained, tmp_path, monkeypatch, capsys):
        folder = shutil.copytree(untrained, tmp_path / "mion_tiny")
        weights = torch.load(folder / "cen.pth", weights_only=True)
        (weights.get("state_dict", weights))["calibration_offset"].fill_(0.05)
        torch.save(weights, folder / "cen.pth")
        use_model(folder, monkeypatch)
        assert tool.main(["--out", str(tmp_path)]) == 0
        count, heading, *rows, reason = capsys.readouterr().out.splitlines()[:8]
        assert count == "1 person found"
        assert "by the picture" in heading
        numbers = json.loads((tmp_path / "000000000785_person0.json").read_text())
        for row, path in zip(rows, numbers["paths"], strict=True):
            assert f" {path['expected_error_mm']:.0f} mm " in row
            assert f" {path['score']:.0f} mm " in row
        assert numbers["score_unit"] == "mm"
        assert numbers["reason"] == reason
        assert " mm" in reason

    @pytest.mark.parametrize(
        ("missing", "ending", "line"),
        [
            (["cen.pth"], "person0", "no trained consistency network comes with the package: stages 1 and 2"),
            (["mrt.pth", "cen.pth"], "candidates", "no trained weights come with the package: stage 1 alone"),
        ],
    )
    def test_less_where_less_is_trained(self, untrained, tmp_path, monkeypatch, capsys, missing, ending, line):
        shutil.copytree(untrained, tmp_path / "mion_tiny", ignore=shutil.ignore_patterns(*missing))
        use_model(tmp_path / "mion_tiny", monkeypatch)
        assert tool.main(["--out", str(tmp_path / "out")]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[0].startswith(line)
        numbers = json.loads((tmp_path / "out" / f"000000000785_{ending}.json").read_text())
        if ending == "person0":
            assert numbers["selected"] == 0
            assert numbers["paths"][0]["score"] is None
            assert numbers["reason"] == "path 1 is chosen: its candidate is nearest to the 2D keypoints"
        assert tool.main(["--out", str(tmp_path / "out"), "--stage", "3"]) == 2
        assert f"the package holds no {missing[0]} for mion_tiny" in capsys.readouterr().err

    def test_a_config_and_a_checkpoint_of_ones_own(self, untrained, tmp_path, capsys):
        model = MODELS.build(Config.fromfile(untrained / "config.py").model)
        save_weights(model.state_dict(), tmp_path / "whole.pth")
        arguments = ["--config", str(untrained / "config.py"), "--checkpoint", str(tmp_path / "whole.pth")]
        assert tool.main([*arguments, "--num-candidates", "2", "--out", str(tmp_path)]) == 0
        assert len(json.loads((tmp_path / "000000000785_person0.json").read_text())["paths"]) == 2
        capsys.readouterr()
        for changed, message in (
            (["--checkpoint", arguments[3]], "needs --config, which says of what model"),
            (["--config", "none.py"], "config none.py does not exist"),
            (["--config", str(ROOT / "configs" / "mion" / "mrt_tiny_synthetic.py")], "its model is no mion.MION"),
            ([*arguments[:3], str(untrained / "mrt.pth")], "is not a checkpoint of this MultiInit"),
        ):
            assert tool.main([*changed, "--out", str(tmp_path)]) == 2
            (line,) = capsys.readouterr().err.strip().splitlines()
            assert message in line


def test_bad_input_exits_with_2(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--person", "7"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.fixture
def bad(tmp_path):
    photo = PHOTO.read_bytes()
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "photo.jpg").write_bytes(photo)
    (tmp_path / "empty").mkdir()
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


def test_an_input_that_is_not_there_leaves_no_folder(tmp_path, capsys):
    assert tool.main([str(tmp_path / "none.jpg"), "--out", str(tmp_path / "out")]) == 2
    assert "none.jpg does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "none.jpg"], "none.jpg does not exist; expected an image, folder, glob, video or number of a"),
        (["none.mp4"], "video none.mp4 does not exist"),
        (["*.png"], "no image (.bmp, "),
        (["empty"], "folder empty holds no images"),
        (["text.jpg", "--image", "text.jpg"], "INPUT text.jpg and --image text.jpg are two inputs; give one"),
        (["--image", "text.jpg", "--keypoints", "text_image.json"], "image text.jpg cannot be read"),
        (["cut/000000000785.jpg", "--keypoints", "text_image.json"], "image cut/000000000785.jpg cannot be read"),
        (["photo.jpg", "--keypoints", "text_image.json"], "none of its 1 images is called photo.jpg"),
        (["--pose-checkpoint", "none.pth"], "none.pth"),
        (["--max-frames", "0"], "--max-frames is 0, expected at least 1"),
        (["--keypoints", "none.json"], "keypoint file none.json does not exist"),
        (["--keypoints", "text.json"], "text.json is not a JSON file"),
        (["--keypoints", "empty.json"], "nobody in 000000000785.jpg has keypoints"),
        (["--person", "1"], "--person 1: 000000000785.jpg shows person 0"),
        (["--person", "-1"], "--person -1"),
        (["--person", "first"], "argument --person: expected a whole number, not 'first'"),
        (["--size", "3"], "unrecognized arguments: --size"),
        (["--out", "file"], "file"),
        (["--out", "/proc/none"], "/proc/none"),
        (["--num-candidates", "0"], "num_candidates is 0, expected 1 to"),
        (["--pool", "pool.npz"], "pool.npz is not a readable candidate pool"),
        (["--body-model", "SMPL.pkl"], "body model SMPL.pkl does not exist. The SMPL files need a licence"),
    ],
)
@pytest.mark.parametrize("stage", ["1", "3"])
def test_bad_input_ends_with_one_line_and_nothing_written(
    bad, untrained, stage, arguments, message, monkeypatch, capsys
):
    monkeypatch.chdir(bad)
    use_model(untrained, monkeypatch)
    try:
        status = tool.main([*arguments, "--stage", stage])
    except SystemExit as exit:  # of the parser
        status = exit.code
    assert status == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "error: " in lines[0]
    assert message in lines[0]
    outputs = bad / "outputs"
    assert not outputs.exists() or not list(outputs.iterdir())
