"""tools/predict.py as it is called; what it finds is compared in tests/prediction."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import predict as tool
import pytest
from benchmarks import predict as benchmark
from support.untrained_mion import use_model

from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.prediction import Pace, read_predictions
from mion_plugin.prediction.settings import claimed_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three copies of the demo's photograph, of which the last is in no keypoint file."""
    folder = tmp_path_factory.mktemp("photographs")
    content = json.loads(KEYPOINTS.read_text())
    (image,), (annotation,) = content["images"], content["annotations"]
    content["images"] = [{**image, "id": number, "file_name": f"{number}.jpg"} for number in range(2)]
    content["annotations"] = [{**annotation, "id": number, "image_id": number} for number in range(2)]
    (folder / "images").mkdir()
    for number in range(3):
        shutil.copy(PHOTO, folder / "images" / f"{number}.jpg")
    (folder / "k.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def model(untrained, monkeypatch):
    use_model(untrained, monkeypatch)


PLAIN = ["--device", "cpu", "--workers", "0", "--num-candidates", "2"]


@pytest.mark.usefixtures("model")
def test_a_run_its_report_and_other_settings(folder, tmp_path, capsys):
    arguments = [str(folder / "images"), "--keypoints", str(folder / "k.json"), *PLAIN, "--out", str(tmp_path)]
    assert tool.main([*arguments, "--shard-size", "2"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("3 photographs, 2 people in 2 shards\nskipped, image without people: 1\n")
    assert "people and" in printed.out.splitlines()[2]
    assert [line.split(";")[0] for line in printed.err.splitlines() if line.startswith("predict.py")] == [
        "predict.py: 000000.npz: 2 photographs, 2 people",
        "predict.py: 000001.npz: 1 photographs, 0 people, 1 skipped",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("000000.npz", "000001.npz", "settings.json", "summary.json")
    }
    (shard,) = read_predictions(tmp_path)
    assert shard.pose.shape == (2, 2, 24, 3)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [entry["image_name"] for entry in summary["skipped"]] == ["2.jpg"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert tool.main([*arguments, "--shard-size", "2"]) == 0  # nothing is done again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")} == before
    assert tool.main([*arguments, "--shard-size", "3"]) == 2
    assert "shard_size 2 (not 3)" in capsys.readouterr().err


@pytest.mark.usefixtures("model")
def test_a_folder_that_was_moved_goes_on_and_another_with_the_same_names_does_not(folder, tmp_path, capsys):
    shutil.copytree(folder / "images", tmp_path / "images")
    arguments = ["--keypoints", str(folder / "k.json"), *PLAIN, "--out", str(tmp_path / "out")]
    assert tool.main([str(tmp_path / "images"), *arguments]) == 0
    moved = (tmp_path / "images").rename(tmp_path / "moved")
    assert tool.main([str(moved), *arguments]) == 0
    path = next(moved.iterdir())
    path.write_bytes(path.read_bytes() + b"longer")
    assert tool.main([str(moved), *arguments]) == 2
    assert "out is of a run with photographs '" in capsys.readouterr().err


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--shard", "2/2"], "part 2/2, expected i/n"),
        (["--batch-size", "0"], "batch size 0"),
        (["--keypoints-member", "json"], "keypoints member .json: tars have members, but the photographs are files"),
        (["--pose-config", "a.py"], "--keypoints and --pose-config are two places where keypoints come from"),
        (["--checkpoint", "a.pth"], "--checkpoint a.pth needs --config"),
    ],
)
def test_bad_options_end_in_a_line_and_write_nothing(folder, tmp_path, capsys, options, told):
    arguments = [str(folder / "images"), "--keypoints", str(folder / "k.json"), *PLAIN, "--out", str(tmp_path)]
    assert tool.main([*arguments, *options]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ranks_of_torchrun_share_a_run(folder, tmp_path):
    pytest.importorskip("torch.distributed.run")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517"]
    command += [str(ROOT / "tools" / "predict.py"), str(folder / "k.json"), "--image-root", str(folder / "images")]
    command += [*PLAIN, "--shard-size", "1", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    names = sorted(path.name for path in tmp_path.glob("summary*.json"))
    assert names == ["summary.json", "summary_0000_of_0002.json", "summary_0001_of_0002.json"]
    assert json.loads((tmp_path / "summary.json").read_text())["people"] == 2


@pytest.mark.usefixtures("model")
def test_a_run_that_finds_nobody_is_an_error_once_all_is_told(folder, tmp_path, capsys):
    """A tar that is none; and names too long for a file, which are skipped as others that cannot be read."""
    (tmp_path / "damaged.tar").write_bytes(b"<!DOCTYPE html>")
    out = tmp_path / "out"
    assert (
        tool.main([str(tmp_path / "damaged.tar"), "--keypoints", str(folder / "k.json"), *PLAIN, "--out", str(out)])
        == 2
    )
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert told.startswith("predict.py: error: nobody was found in ")
    assert "damaged.tar cannot be read as a tar without compression" in told
    assert json.loads((out / "summary.json").read_text())["num_skipped"]["archive that cannot be read"] == 1
    (tmp_path / "list.txt").write_text("n" * 5000 + ".jpg\n")
    out = tmp_path / "other"
    assert (
        tool.main([str(tmp_path / "list.txt"), "--keypoints", str(folder / "k.json"), *PLAIN, "--out", str(out)]) == 2
    )
    assert json.loads((out / "summary.json").read_text())["num_skipped"]["image that cannot be read"] == 1


@pytest.mark.usefixtures("model")
def test_a_run_that_finds_nobody_leaves_the_folder_to_the_next(folder, tmp_path, capsys):
    """A photograph that is whole the next time, and other keypoints; but not other settings once somebody is there."""
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    (images / "0.jpg").write_bytes(b"<!DOCTYPE html>")
    arguments = [str(images), "--keypoints", str(folder / "k.json"), *PLAIN, "--out", str(out)]
    assert tool.main(arguments) == 2
    assert [path.name for path in out.iterdir()] == ["summary.json"]
    shutil.copy(PHOTO, images / "0.jpg")
    (tmp_path / "nobody.json").write_text('{"images": [], "annotations": []}')
    other = [str(tmp_path / "nobody.json") if option == str(folder / "k.json") else option for option in arguments]
    assert tool.main([*other, "--shard-size", "2"]) == 2
    assert "none of its 0 images is called 0.jpg" in capsys.readouterr().err
    assert tool.main(arguments) == 0
    assert json.loads((out / "summary.json").read_text())["people"] == 1
    (images / "0.jpg").write_bytes(b"<!DOCTYPE html>")
    assert tool.main([*arguments, "--shard-size", "2"]) == 2
    assert "shard_size 1000 (not 2)" in capsys.readouterr().err
    (shard,) = read_predictions(out)
    assert shard.image_name.tolist() == ["0.jpg"]


def test_which_errors_give_a_folder_back(tmp_path):
    """One before anything is found; not that of a run of several processes, nor where there is a file of others."""

    def fail(alone, name=None):
        with claimed_folder(tmp_path, {"shard_size": 2}, alone):
            assert (tmp_path / "settings.json").is_file()
            if name is not None:
                (tmp_path / name).write_bytes(b"another's")
            raise MemoryError

    with pytest.raises(MemoryError):
        fail(alone=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(MemoryError):
        fail(alone=False)
    assert (tmp_path / "settings.json").is_file()
    with pytest.raises(MemoryError):
        fail(alone=True, name="a.npz")
    assert {path.name for path in tmp_path.iterdir()} == {"settings.json", "a.npz"}


class TestBenchmark:
    def test_a_few_photographs(self, untrained, monkeypatch, tmp_path):
        use_model(untrained, monkeypatch)
        monkeypatch.setattr(benchmark, "SYNTHETIC", 1)
        benchmark.write_inputs(tmp_path / "few", 2)
        benchmark.write_inputs(tmp_path / "many", 3)
        works = benchmark.measure_loops(tmp_path, Pace(2, 1))
        assert [work.people for work in works] == [2, 3, 3]
        assert all(0 < work.cpu_in_model < work.cpu_seconds for work in works)
        first, *_ = benchmark.speed_table(works).split("\n\n")
        assert len(first.splitlines()) == 5

    def test_a_million_is_computed_from_the_work(self):
        work = benchmark.Work("run", people=100, seconds=7.0, cpu_seconds=3.7, cpu_in_model=1.6)
        assert work.outside == pytest.approx(0.021)
        text = benchmark.million_table(work)
        assert "| 1 | 10.28 |\n| 8 | 1.28 |\n| 64 | 0.16 |" in text
        assert "Computed, not run" in text
