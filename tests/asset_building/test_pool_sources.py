import os

import numpy as np
import pytest
from support.mocap_files import (
    body_skeleton,
    smpl_rest_joints_of,
    write_amass,
    write_amc,
    write_asf,
    write_body_bvh,
)

from mion_plugin.asset_building.pool.plausibility import plausible_frames
from mion_plugin.asset_building.pool.smpl_arrays import read_smpl_array
from mion_plugin.asset_building.pool.smpl_skeleton import INDEX
from mion_plugin.asset_building.pool.sources import find_files, read_sources

REST = smpl_rest_joints_of(body_skeleton())


def read(*sources, **options):
    return read_sources(sources, REST, progress=False, **options)


@pytest.fixture
def mixed(tmp_path):
    """A folder of every format, with damaged files among them."""
    (tmp_path / "mocap" / "cmu").mkdir(parents=True)
    top = tmp_path / "mocap"
    write_asf(top / "cmu" / "07.asf")
    write_amc(top / "cmu" / "07_01.amc", num_frames=6, scale=10)
    write_body_bvh(top / "walk.bvh", num_frames=12, fps=30)
    write_amass(top / "amass.npz", num_frames=120, fps=120)
    np.save(top / "poses.npy", np.zeros((3, 72)))
    (top / "cut.bvh").write_text((top / "walk.bvh").read_text()[:-300])
    (top / "broken.npz").write_bytes(b"PK\x03\x04 not a zip file")
    (top / "text.npy").write_text("hello")
    np.save(top / "images.npy", np.zeros((2, 5, 5)))
    (top / "index.csv").write_text("a,b")
    (top / "README").write_text("read me")
    return top


def test_reads_what_is_readable_and_reports_the_rest(mixed):
    collection = read(mixed)
    frames = {sequence.name: len(sequence) for sequence in collection.sequences}
    assert frames == {
        "mocap/amass.npz": 10,  # 120 frames a second thinned to 10
        "mocap/cmu/07_01.amc": 1,
        "mocap/poses.npy": 3,
        "mocap/walk.bvh": 4,
    }
    assert list(collection.skipped) == [f"mocap/{name}" for name in ("broken.npz", "cut.bvh", "images.npy", "text.npy")]
    assert "truncated file" in collection.skipped["mocap/cut.bvh"]
    assert "not a zip file" in collection.skipped["mocap/broken.npz"]
    assert "shape (2, 5, 5)" in collection.skipped["mocap/images.npy"]
    assert collection.skipped["mocap/text.npy"] == "not an .npy file"
    assert collection.ignored == {".csv": 1, "README": 1}
    assert not any("\n" in reason for reason in collection.skipped.values())


def test_frame_rate(mixed):
    faster = {sequence.name: len(sequence) for sequence in read(mixed, fps=30).sequences}
    assert faster["mocap/amass.npz"] == 30
    assert faster["mocap/walk.bvh"] == 12
    with pytest.raises(ValueError, match="fps is 0"):
        read(mixed, fps=0)


def test_files_named_one_by_one_and_twice(mixed):
    collection = read(mixed / "walk.bvh", mixed)
    names = [sequence.name for sequence in collection.sequences]
    assert len(names) == len(set(names)) == 4
    assert names[0] == "walk.bvh"
    assert "unknown kind of file" in read(mixed / "README").skipped["README"]


def test_like_named_files_of_two_folders_are_both_read(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "mocap").mkdir(parents=True)
        write_body_bvh(tmp_path / folder / "mocap" / "walk.bvh")
    names = [sequence.name for sequence in read(tmp_path / "a" / "mocap", tmp_path / "b" / "mocap").sequences]
    assert names == ["mocap/walk.bvh", "mocap/walk.bvh (2)"]


def test_a_skeleton_alone_is_reported(tmp_path):
    write_asf(tmp_path / "07.asf")
    assert "without any .amc file" in read(tmp_path).skipped[f"{tmp_path.name}/07.asf"]


def test_missing_source_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"source .*nowhere does not exist"):
        find_files([tmp_path / "nowhere"])


def test_unknown_skeletons_are_reported(tmp_path):
    write_body_bvh(tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text()
    (tmp_path / "a.bvh").write_text(text.replace("LeftLeg", "Wheel"))
    reason = read(tmp_path).skipped[f"{tmp_path.name}/a.bvh"]
    assert reason == "skeleton not recognised: no left knee among its joints"


def test_frames_that_no_body_can_take_are_left_out_and_counted(tmp_path):
    poses = np.zeros((5, 24, 3))
    poses[1, INDEX["left_ankle"], 0] = np.pi
    poses[2, INDEX["right_wrist"], 2] = 2.2
    poses[3, INDEX["pelvis"], 0] = np.pi
    np.save(tmp_path / "some.npy", poses)
    np.save(tmp_path / "none.npy", poses[1:3])
    collection = read(tmp_path)
    assert [len(sequence) for sequence in collection.sequences] == [3]
    assert collection.implausible == {f"{tmp_path.name}/none.npy": 2, f"{tmp_path.name}/some.npy": 2}
    assert "every frame" in collection.skipped[f"{tmp_path.name}/none.npy"]


def test_plausibility_knows_that_angles_wrap():
    poses = np.zeros((2, 24, 3))
    poses[0, INDEX["left_ankle"], 0] = 2 * np.pi - 0.1
    poses[1, INDEX["left_ankle"], 0] = 2 * np.pi - 2.0
    assert plausible_frames(poses).tolist() == [True, False]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "poses.npz")
    with pytest.raises(ValueError, match=r"poses\.npz is neither a file nor a folder"):
        find_files([tmp_path / "poses.npz"])


def test_frames_left_out_are_not_held(tmp_path):
    """AMASS at 120 frames a second has twelve times those that are kept."""
    write_amass(tmp_path / "walk.npz", num_frames=240)
    (sequence,) = read(tmp_path).sequences
    assert len(sequence) == 20
    assert read_smpl_array(tmp_path / "walk.npz").at_fps(10).poses.base is None
