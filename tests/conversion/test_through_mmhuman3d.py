"""Human3.6M and MPI-INF-3DHP by mmhuman3d's converters: 3D joints project on 2D ones."""

import pickle

import numpy as np
import pytest
from support.official_archives import write_h36m, write_mpi_inf_3dhp
from support.projection import body_joints, pixels, placed
from support.smpl_files import Malicious

from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.files import UnsafePickleError
from mion_plugin.geometry.keypoints import keypoint_names

pytest.importorskip("mmhuman3d", reason="these data sets are converted by mmhuman3d")


@pytest.fixture
def h36m(data):
    pytest.importorskip("cdflib", reason="Human3.6M's poses are CDF files")
    return data / "datasets" / "h36m"


def check_projection(sample, joints2d, joints3d, focal, centre):
    intrinsics = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
    points = placed(joints3d.astype(np.float64), joints2d, intrinsics)
    np.testing.assert_allclose(pixels(points, intrinsics), joints2d, atol=0.2)


def test_mpi_inf_3dhp(convert, data):
    known, joints = write_mpi_inf_3dhp(data / "datasets" / "mpi_inf_3dhp")
    convention = "mpi_inf_3dhp"
    outcome, dataset = convert("mpi_inf_3dhp", "train", keypoints2d=convention, keypoints3d=convention)
    assert outcome.num_people == len(dataset) == 13  # every 10th of 8 subjects x 2 sequences x 8 cameras
    sample = dataset[0]
    assert (sample["keypoints2d"][:, 2] == 1).all()
    check_projection(sample, sample["keypoints2d"][:, :2], sample["keypoints3d"][:, :3], 1500, 1024)
    rows = [keypoint_names(convention).index(name) for name in known]
    relative = joints - joints[known.index("pelvis_extra")]
    np.testing.assert_allclose(sample["keypoints3d"][rows, :3], relative, atol=1e-6)


def test_frames_of_mpi_inf_3dhp_come_out_of_the_videos(convert, data):
    archive = data / "datasets" / "mpi_inf_3dhp"
    write_mpi_inf_3dhp(archive, videos=True)
    with pytest.raises(FileNotFoundError, match=r"no images in .*S1/Seq1/video_0.*--extract-frames"):
        convert("mpi_inf_3dhp", "train")
    outcome, _ = convert("mpi_inf_3dhp", "train", extract=True)
    assert outcome.num_people == 13
    assert (archive / "S8" / "Seq2" / "video_8" / "000001.jpg").is_file()
    (archive / "S3" / "Seq2" / "annot.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"S3/Seq2/annot\.mat does not exist\. The archive: vcai"):
        convert("mpi_inf_3dhp", "train")


@pytest.mark.parametrize(("split", "num_people"), [("valid_protocol1", 8), ("valid_protocol2", 4)])
def test_h36m(split, num_people, convert, h36m):
    write_h36m(h36m)
    outcome, dataset = convert("h36m", split, extract=True)
    assert (outcome.num_people, outcome.path.name) == (num_people, f"h36m_{split}.npz")
    sample = convert("h36m", split, keypoints2d="h36m", extract=True)[1][0]
    check_projection(sample, sample["keypoints2d"][:, :2], sample["keypoints3d"][:, :3], 1145, 512)
    assert not sample["keypoints3d"][0, :3].any()  # relative to the root
    # 0.9 times the mask's box
    np.testing.assert_allclose(sample["bbox_xywh"][:4], [110, 225, 180, 450])
    assert abs(dataset[1]["img"].mean() - 70) < 5  # frame 5


def test_h36m_with_mosh(convert, h36m, tmp_path, body_files):
    write_h36m(h36m, subjects=(1, 5, 6, 7, 8), mosh=tmp_path / "mosh")
    outcome, dataset = convert("h36m", "mosh_train", keypoints2d="h36m", extract=True, mosh=tmp_path / "mosh")
    assert (outcome.num_people, outcome.path.name) == (20, "h36m_mosh_train.npz")
    sample = dataset[3]
    joints = body_joints(sample, body_files, "h36m")
    np.testing.assert_allclose(joints - joints[0], sample["keypoints3d"][:, :3], atol=1e-4)


def test_a_mosh_file_with_code_is_refused_before_mmhuman3d_reads_it(convert, h36m, tmp_path):
    write_h36m(h36m, subjects=(1, 5, 6, 7, 8), mosh=tmp_path / "mosh")
    (tmp_path / "mosh" / "S5" / "Directions 1_cam0_aligned.pkl").write_bytes(pickle.dumps(Malicious(tmp_path / "ran")))
    with pytest.raises(UnsafePickleError, match="cam0_aligned"):
        convert("h36m", "mosh_train", mosh=tmp_path / "mosh")
    assert not (tmp_path / "ran").exists()


def test_missing_parts_of_h36m_are_named(convert, h36m, tmp_path):
    write_h36m(h36m)
    with pytest.raises(FileNotFoundError, match=r"no \*\.cdf in .*S1/MyPoseFeatures/D3_Positions_mono"):
        convert("h36m", "train")
    with pytest.raises(FileNotFoundError, match="the folder of MoSh files"):
        convert("h36m", "mosh_train", mosh=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="needs the folder of the MoSh files"):
        convert("h36m", "mosh_train")
    (h36m / "S9" / "MySegmentsMat" / "ground_truth_bs" / "Directions 1.60457274.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"ground_truth_bs/Directions 1\.60457274\.mat does not exist"):
        convert("h36m", "valid_protocol2")


def test_h36ms_cameras_are_in_the_file(convert, h36m):
    write_h36m(h36m)
    outcome, _ = convert("h36m", "valid_protocol2", extract=True)
    assert ("S9", "60457274") in load_human_data(outcome.path).content["cam_param"]
