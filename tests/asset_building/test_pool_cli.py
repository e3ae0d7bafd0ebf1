import subprocess
import sys
from pathlib import Path

import build_candidate_pool as tool
import numpy as np
import pytest
from support.mocap_files import write_amass, write_amc, write_asf, write_body_bvh

from mion_plugin.body.mirroring import mirror_poses
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import load_pool, pool_keypoints

ROOT = Path(__file__).parents[2]


TOOL = ROOT / "tools" / "build_candidate_pool.py"
BUILD = ["--num-poses", "60", "--num-orientations", "10", "--seed", "1", "--note", "thanks"]
BAD_INPUT = {
    "no such source": (["--source", "nowhere"], "source nowhere does not exist"),
    "broken file": (
        ["--source", "mocap/broken.bvh"],
        "none of the 1 files could be read; the first, broken.bvh: not a",
    ),
    "broken files": (["--source", "mocap/notes.txt", "mocap/broken.bvh"], "none of the 2 files could be read"),
    "empty folder": (["--source", "empty"], "no motion capture found in empty"),
    "too few poses": (["--source", "mocap", "--num-poses", "1"], "num_poses is 1, expected at least 2"),
    "no orientations": (["--source", "mocap", "--num-orientations", "0"], "num_orientations is 0"),
    "no rate": (["--source", "mocap", "--fps", "nan"], "--fps: nan is no finite number"),
    "bad seed": (["--source", "mocap", "--seed", "-1"], "seed is -1"),
    "no such orientations": (
        ["--source", "mocap", "--orientations", "nothing.npy"],
        "orientations nothing.npy do not exist",
    ),
    "no such body": (["--source", "mocap", "--body-model", "nothing.pkl"], "body model nothing.pkl does not exist"),
    "other suffix": (["--source", "mocap", "--out", "pool.txt"], "expected the name of an .npz file"),
    "out in a file": (["--source", "mocap", "--out", "mocap/walk.bvh/pool.npz"], "cannot write in"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    mocap = folder / "mocap"
    mocap.mkdir()
    (folder / "empty").mkdir()
    write_asf(mocap / "07.asf")
    write_amc(mocap / "07_01.amc", num_frames=30, scale=10, step=12)
    write_body_bvh(mocap / "walk.bvh", num_frames=20)
    write_amass(mocap / "amass.npz", num_frames=240)
    (mocap / "broken.bvh").write_text("HIERARCHY")
    (mocap / "notes.txt").write_text("notes")
    return folder


@pytest.fixture(scope="module")
def built(folder):
    command = [sys.executable, str(TOOL), "--source", str(folder / "mocap"), "--out", "pool.npz", *BUILD]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    return load_pool(folder / "pool.npz"), result


def test_pool(built):
    pool, _ = built
    assert pool.body_pose.shape == (60, 23, 3)
    assert pool.global_orient.shape == (10, 3)
    stored = {pose.tobytes() for pose in pool.body_pose + 0.0}
    assert {pose.tobytes() for pose in mirror_poses(pool.body_pose) + 0.0} == stored
    keypoints3d, _ = pool_keypoints(SMPLBody(), pool.body_pose, pool.convention)
    np.testing.assert_allclose(pool.keypoints3d, keypoints3d, atol=1e-6)


def test_metadata_tells_where_every_pose_came_from(built, folder):
    pool, _ = built
    clips = pool.metadata["clips"]
    assert clips == ["mocap/07_01.amc", "mocap/amass.npz", "mocap/walk.bvh"]
    assert pool.metadata["clip_frames"] == [30, 20, 20]
    assert pool.metadata["sources"] == {"mocap": {"files": 3, "frames": 70}}
    assert pool.metadata["note"] == "thanks"
    assert pool.metadata["command"] == (
        "tools/build_candidate_pool.py --source mocap --num-poses 60 --num-orientations 10 --seed 1 --fps 10"
    )
    assert str(folder) not in str(pool.metadata)
    # AMASS poses are copied, so those of that clip are found again in its file, as they are or mirrored
    with np.load(folder / "mocap" / "amass.npz") as archive:
        frames = archive["poses"][:, 3:66].reshape(-1, 21, 3)
    from_amass = pool.body_pose[pool.clip_index == clips.index("mocap/amass.npz"), :21]
    either = np.concatenate([frames, mirror_poses(np.pad(frames, ((0, 0), (0, 2), (0, 0))))[:, :21]])
    assert len(from_amass)
    assert np.abs(from_amass[:, None] - either[None]).max((2, 3)).min(1).max() < 1e-3


def test_report(built):
    _, result = built
    assert "mocap: 3 files, 70 frames" in result.stdout
    assert "60 poses x 10 orientations" in result.stdout
    assert "skipped mocap/broken.bvh: not a complete BVH file" in result.stderr
    assert "not motion capture by name: 1 .txt" in result.stderr


def test_same_seed_same_file(built, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert tool.main(["--source", "mocap", "--out", "again.npz", *BUILD]) == 0
    assert (folder / "again.npz").read_bytes() == (folder / "pool.npz").read_bytes()


def test_says_when_the_data_hold_fewer_poses(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("orientations.npy", np.random.default_rng(0).normal(size=(50, 3)))
    np.save("poses.npy", np.random.default_rng(0).normal(0, 0.2, (4, 72)))
    options = ["--no-mirror", "--orientations", "orientations.npy", "--num-orientations", "6"]
    assert tool.main(["--source", "poses.npy", "--out", "few.npz", *options]) == 0
    assert "the sources hold only 4 distinct poses, 10000 were asked for" in capsys.readouterr().out
    pool = load_pool("few.npz")
    assert pool.body_pose.shape == (4, 23, 3)
    assert pool.global_orient.shape == (6, 3)
    assert pool.metadata["command"].endswith("--orientations orientations.npy --seed 0 --fps 10 --no-mirror")


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_one_line(case, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    arguments, message = BAD_INPUT[case]
    before = sorted(folder.rglob("*"))
    try:
        code = tool.main(arguments if "--out" in arguments else [*arguments, "--out", "bad.npz"])
    except SystemExit as ended:  # what the parser refuses
        code = ended.code
    assert code == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert out == ""
    assert sorted(folder.rglob("*")) == before
