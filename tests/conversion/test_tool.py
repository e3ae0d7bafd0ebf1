"""tools/convert_dataset.py, and that mmhuman3d reads what it writes."""

import convert_dataset
import numpy as np
import pytest
from support.official_archives import write_lspet, write_up3d

from mion_plugin.conversion import OFFICIAL_SETS, convert_official_set
from mion_plugin.datasets.human_data import load_human_data


def test_it_converts_and_says_where_the_images_are_expected(tmp_path, capsys):
    write_up3d(tmp_path / "up-3d")
    arguments = ["up3d", "--split", "trainval", "--data-root", str(tmp_path / "data")]
    assert convert_dataset.main([*arguments, "--archive", str(tmp_path / "up-3d")]) == 0
    output = capsys.readouterr().out
    assert "up3d_trainval.npz: 3 people" in output
    assert f"ln -s {tmp_path / 'up-3d'} {tmp_path / 'data/datasets/up3d'}" in output


def test_a_finished_file_is_kept_unless_told(tmp_path, capsys):
    write_lspet(tmp_path / "data" / "datasets" / "lspet", high_resolution=True)
    arguments = ["lspet", "--split", "train", "--data-root", str(tmp_path / "data")]
    path = tmp_path / "data" / "preprocessed_datasets" / "lspet_train.npz"
    assert convert_dataset.main(arguments) == 0
    first = path.stat().st_mtime_ns
    assert "ln -s" not in capsys.readouterr().out
    assert convert_dataset.main(arguments) == 0
    assert "is there already" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == first
    assert convert_dataset.main([*arguments, "--overwrite"]) == 0
    assert path.stat().st_mtime_ns > first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["coco", "--split", "2014_train"], "datasets/coco is no folder. The archive: cocodataset.org"),
        (["lsp", "--split", "train", "--archive", "ARCHIVE"], "joints.mat does not exist. The archive: sam.johnson.io"),
        (["lsp", "--split", "val", "--archive", "ARCHIVE"], "lsp has no split 'val', expected one of train, test"),
        (["up3d", "--split", "val", "--archive", "ARCHIVE"], "val.txt does not exist. The archive: files.is"),
        (
            ["lsp", "--split", "train", "--archive", "ARCHIVE", "--frame-step", "2"],
            "--frame-step is for surreal; lsp has no use for it",
        ),
        (["coco", "--split", "2014_val", "--turn-images"], "--turn-images is for bedlam; coco has no use for it"),
        (["surreal", "--split", "val_run0", "--archive", "ARCHIVE", "--frame-step", "0"], "frame_step 0, expected at"),
        (["surreal", "--split", "val_run0", "--archive", "ARCHIVE"], "no */*_info.mat in"),
    ],
)
def test_bad_input_ends_with_one_line(arguments, message, tmp_path, capsys):
    (tmp_path / "archive").mkdir()
    arguments = [argument.replace("ARCHIVE", str(tmp_path / "archive")) for argument in arguments]
    assert convert_dataset.main([*arguments, "--data-root", str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_the_files_have_the_names_of_the_configs():
    files = {f"{name}_{split}.npz" for name, official in OFFICIAL_SETS.items() for split in official.splits}
    assert files >= {
        "h36m_mosh_train.npz",
        "h36m_valid_protocol1.npz",
        "h36m_valid_protocol2.npz",
        "lsp_train.npz",
        "lspet_train.npz",
        "mpii_train.npz",
        "coco_2014_train.npz",
        "mpi_inf_3dhp_train.npz",
        "pw3d_test.npz",
        "bedlam_train.npz",
        "emdb_1.npz",
        "agora_validation.npz",
    }


def test_mmhuman3d_reads_what_is_written(tmp_path):
    human_data = pytest.importorskip("mmhuman3d.data.data_structures.human_data").HumanData
    write_up3d(tmp_path / "up3d")
    outcome = convert_official_set("up3d", "trainval", tmp_path / "up3d", tmp_path)
    human_data.set_logger("silent")
    theirs = human_data.fromfile(str(outcome.path))
    theirs.decompress_keypoints()
    ours, mask = load_human_data(outcome.path).keypoints("keypoints2d", "human_data")
    np.testing.assert_allclose(np.asarray(theirs["keypoints2d"]), ours)
    assert np.array_equal(theirs["keypoints2d_mask"] == 1, mask)
    assert theirs["smpl"]["body_pose"].shape == (3, 23, 3)
