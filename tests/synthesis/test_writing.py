import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import synthesize
from PIL import Image

from mion_plugin.body.export import export_body
from mion_plugin.body.stand_in import load_stand_in
from mion_plugin.datasets import HumanDataset
from mion_plugin.files import pieces
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.synthesis import writing
from mion_plugin.synthesis.writing import SetSettings, write_set

TOOL = Path(__file__).parents[2] / "tools" / "synthesize.py"
NUM_IMAGES = 10


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(writing, "PIECE", 4)


@pytest.fixture
def settings(pool_file):
    return SetSettings(NUM_IMAGES, image_size=48, pool=str(pool_file), test_clips=("sit",), detected_noise=2.0)


def test_the_file_tells_the_gender_of_its_bodies(pool_file, tmp_path):
    body, *_ = export_body(load_stand_in("female"), tmp_path, "female")
    settings = SetSettings(1, "all", image_size=48, pool=str(pool_file), skins="plain", body_model=str(body))
    write_set(settings, tmp_path)
    assert HumanDataset("all.npz", str(tmp_path), test_mode=True).get_data_info(0)["gender"] == "female"


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_both_readers_read_what_was_drawn(settings, tmp_path):
    path = write_set(settings, tmp_path)
    assert path == tmp_path / "train.npz"
    samples = [settings.build().sample(index) for index in range(NUM_IMAGES)]
    dataset = HumanDataset("train.npz", str(tmp_path), keypoints2d_source="detected", test_mode=True)
    assert len(dataset) == NUM_IMAGES
    for index, sample in enumerate(samples):
        info = dataset.get_data_info(index)
        for key, source in (("keypoints2d", "keypoints2d"), ("keypoints2d_input", "keypoints2d_detected")):
            np.testing.assert_array_equal(info[key], convert_keypoints(sample[source], "smpl_54", "coco")[0])
        h36m = convert_keypoints(sample["keypoints3d"], "smpl_54", "h36m")[0]
        np.testing.assert_array_equal(info["keypoints3d"], h36m)
        for key, value in (
            ("smpl_body_pose", sample["pose"][1:]),
            ("smpl_global_orient", sample["pose"][0]),
            ("smpl_betas", sample["betas"]),
            ("smpl_transl", sample["transl"]),
            ("cam_intrinsics", sample["cam_intrinsics"]),
            ("bbox_xywh", [0, 0, 48, 48, 1]),
        ):
            np.testing.assert_array_equal(info[key], np.asarray(value, np.float32))
        image = np.asarray(Image.open(info["image_path"])).astype(float)
        errors = [np.abs(image - other["image"]).mean() for other in samples]  # JPEG
        assert errors[index] < 0.3 * min(errors[:index] + errors[index + 1 :])


def test_mmhuman3d_reads_it(settings, tmp_path):
    reason = "mmhuman3d is the reference here"
    human_data = pytest.importorskip("mmhuman3d.data.data_structures.human_data", reason=reason)
    mapping = pytest.importorskip("mmhuman3d.core.conventions.keypoints_mapping", reason=reason)
    data = human_data.HumanData.fromfile(str(write_set(settings, tmp_path)))
    assert data.data_len == NUM_IMAGES
    assert data.check_keypoints_compressed()
    data.decompress_keypoints()
    dataset = HumanDataset("train.npz", str(tmp_path), test_mode=True)
    for key, convention in (("keypoints2d", "coco"), ("keypoints3d", "h36m")):
        converted, mask = mapping.convert_kps(data[key], "human_data", convention, mask=data[f"{key}_mask"])
        assert mask.all()
        np.testing.assert_array_equal(converted[3], dataset.get_data_info(3)[key])
    np.testing.assert_array_equal(data["smpl"]["body_pose"][3], dataset.get_data_info(3)["smpl_body_pose"])
    assert (tmp_path / data["image_path"][9]).is_file()


def test_a_stopped_run_goes_on_and_ends_with_the_same_files(settings, tmp_path):
    def stop_after_first_piece(done):
        if done >= 4:
            raise KeyboardInterrupt

    write_set(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        write_set(settings, tmp_path / "stopped", progress=stop_after_first_piece)
    assert not (tmp_path / "stopped" / "train.npz").exists()
    (tmp_path / "stopped" / "images" / "train" / "0000" / ".0000005.k2_x91ab.jpg").write_bytes(b"half a file")
    seen = []
    write_set(settings, tmp_path / "stopped", progress=seen.append)
    assert seen == [4, 8, 10]
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_a_run_killed_between_the_annotations_and_tidying_up_is_tidied_up(settings, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(pieces.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            write_set(settings, tmp_path)
    assert (tmp_path / "train.npz").exists()
    assert (tmp_path / ".train_pieces").is_dir()
    write_set(settings, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "train.npz"]


def test_workers_write_the_same_files(settings, tmp_path):
    write_set(settings, tmp_path / "alone")
    write_set(settings, tmp_path / "shared", workers=2)
    assert files(tmp_path / "alone") == files(tmp_path / "shared")


def test_a_shorter_set_is_the_beginning_of_a_longer_one(settings, tmp_path, pool_file):
    write_set(settings, tmp_path / "long")
    shorter = SetSettings(5, image_size=48, pool=str(pool_file), test_clips=("sit",), detected_noise=2.0)
    write_set(shorter, tmp_path / "short")
    long, short = files(tmp_path / "long"), files(tmp_path / "short")
    images = [name for name in short if name.endswith(".jpg")]
    assert len(images) == 5
    assert all(short[name] == long[name] for name in images)


def test_other_settings_are_not_mixed_in(settings, tmp_path, pool_file):
    other = SetSettings(NUM_IMAGES, image_size=48, pool=str(pool_file), test_clips=("sit",), seed=1, detected_noise=2.0)
    write_set(settings, tmp_path / "done")
    before = files(tmp_path / "done")
    with pytest.raises(
        ValueError, match=r"holds a train set with seed 0 \(not 1\); remove it, or choose another place"
    ):
        write_set(other, tmp_path / "done")
    assert files(tmp_path / "done") == before
    write_set(settings, tmp_path / "done")  # finished: nothing to do
    assert files(tmp_path / "done") == before

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(settings, tmp_path / "begun", progress=stop)
    with pytest.raises(ValueError, match=r"seed 0 \(not 1\)"):
        write_set(other, tmp_path / "begun")


def test_a_folder_or_pool_that_was_changed_since_is_not_mixed_in(tmp_path, pool_file):
    pool, backgrounds = tmp_path / "pool.npz", tmp_path / "backgrounds"
    backgrounds.mkdir()
    shutil.copy(pool_file, pool)
    Image.new("RGB", (64, 64), "red").save(backgrounds / "a.png")
    settings = SetSettings(1, "all", image_size=48, pool=str(pool), backgrounds=str(backgrounds))
    write_set(settings, tmp_path / "out")
    (backgrounds / "b.png").write_bytes((backgrounds / "a.png").read_bytes())
    with pytest.raises(ValueError, match="holds a all set with backgrounds"):
        write_set(settings, tmp_path / "out")
    (backgrounds / "b.png").unlink()
    write_set(settings, tmp_path / "out")
    pool.write_bytes(pool.read_bytes() + b"x")
    with pytest.raises(ValueError, match="holds a all set with pool"):
        write_set(settings, tmp_path / "out")


def test_train_and_test_live_side_by_side(settings, tmp_path, pool_file):
    write_set(settings, tmp_path)
    test = SetSettings(3, split="test", image_size=48, pool=str(pool_file), test_clips=("sit",))
    write_set(test, tmp_path)
    assert len(HumanDataset("train.npz", str(tmp_path))) == NUM_IMAGES
    assert len(HumanDataset("test.npz", str(tmp_path))) == 3


@pytest.mark.slow
def test_a_killed_tool_goes_on(tmp_path, pool_file, monkeypatch):
    monkeypatch.undo()  # pieces as large as the tool's
    arguments = ["--num-images", "300", "--image-size", "32", "--pool", str(pool_file), "--test-clips", "sit"]
    command = [sys.executable, str(TOOL), "--out", str(tmp_path / "killed"), *arguments, "--workers", "1"]
    piece = tmp_path / "killed" / ".train_pieces" / "00000000.npz"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        for _ in range(3000):
            if piece.exists():
                break
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert piece.exists()
    assert not (tmp_path / "killed" / "train.npz").exists()
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import synthesize

    for out in ("killed", "whole"):
        assert synthesize.main(["--out", str(tmp_path / out), *arguments, "--workers", "0"]) == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_the_tool_reports_bad_input_in_one_line(tmp_path, pool_file, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import synthesize

    base = ["--out", str(tmp_path), "--pool", str(pool_file)]
    for extra, message in (
        (["--num-images", "0"], "num_images 0, expected at least 1"),
        (["--num-images", "1", "--test-clips", "swim"], "no clip is named like 'swim'"),
        (
            ["--num-images", "1", "--test-clips", "sit", "--backgrounds", "nowhere"],
            "'nowhere' is neither a folder nor one of photographs, procedural",
        ),
    ):
        assert synthesize.main([*base, *extra, "--workers", "0"]) == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_contact_sheet_shows_the_written_images(pool_file, tmp_path):
    sheet = tmp_path / "sheet.png"
    options = ["--num-images", "3", "--image-size", "48", "--pool", str(pool_file), "--test-clips", "sit"]
    assert synthesize.main(["--out", str(tmp_path), *options, "--workers", "0", "--contact-sheet", str(sheet)]) == 0
    shown = np.array(Image.open(sheet))
    assert shown.shape == (48, 3 * 48 + 2 * 2, 3)
    for index, path in enumerate(sorted((tmp_path / "images").rglob("*.jpg"))):
        np.testing.assert_array_equal(shown[:, 50 * index : 50 * index + 48], np.array(Image.open(path)))
