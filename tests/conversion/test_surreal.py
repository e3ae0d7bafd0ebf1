"""SURREAL: the posed body projects on the joints, left is left, and the frames are the right ones."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from support.official_archives import write_surreal_clip
from support.projection import body_joints, pixels

from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names

LEFT_WRIST, RIGHT_WRIST = (keypoint_names("smpl").index(f"{side}_wrist") for side in ("left", "right"))


@pytest.fixture
def run0(data):
    return data / "datasets" / "surreal" / "train" / "run0"


def surreal(convert, **options):
    return convert("surreal", "train_run0", keypoints2d="smpl", keypoints3d="smpl", **options)


def test_the_posed_body_projects_on_the_joints(convert, run0, body_files):
    for gender, name in enumerate(("01_01_c0001", "02_03_c0005")):
        write_surreal_clip(run0 / name[:5], name, gender, num_frames=3, seed=gender)
    outcome, dataset = surreal(convert, frame_step=1, extract=True)
    assert (outcome.num_people, len(dataset), outcome.left_out) == (6, 6, {})
    for index in range(6):
        sample = dataset[index]
        assert sample["gender"] == ("female" if index < 3 else "male")
        joints = body_joints(sample, body_files, "smpl")
        joints += sample["keypoints3d"][0, :3] - joints[0]
        # the stand-in's left and right differ by millimetres, and joints2D is rounded
        assert np.abs(joints - sample["keypoints3d"][:, :3]).max() < 0.01
        assert np.abs(pixels(joints, sample["cam_intrinsics"]) - sample["keypoints2d"][:, :2]).max() < 1.5


def test_what_the_archive_calls_left_is_right_in_the_mirrored_picture(convert, run0):
    content = write_surreal_clip(run0 / "01_01", "01_01_c0001", 0, num_frames=1)
    _, dataset = surreal(convert, extract=True)
    keypoints2d = dataset[0]["keypoints2d"]
    np.testing.assert_array_equal(keypoints2d[RIGHT_WRIST, :2], content["joints2D"][:, LEFT_WRIST])
    np.testing.assert_array_equal(keypoints2d[LEFT_WRIST, :2], content["joints2D"][:, RIGHT_WRIST])
    swapped = keypoints2d[list(flip_permutation("smpl"))]
    assert np.abs(swapped - keypoints2d).max() > 5  # the test could fail


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda content: content["zrot"].__iadd__(0.5), id="zrot"),
        pytest.param(lambda content: content["gender"].__isub__(content["gender"] - 1), id="gender"),
    ],
)
def test_the_projection_depends_on(wrong, convert, run0, body_files):
    content = write_surreal_clip(run0 / "01_01", "01_01_c0001", 0, num_frames=1)
    wrong(content)
    savemat(run0 / "01_01" / "01_01_c0001_info.mat", content)
    _, dataset = surreal(convert, extract=True)
    sample = dataset[0]
    joints = body_joints(sample, body_files, "smpl")
    joints += sample["keypoints3d"][0, :3] - joints[0]
    assert np.abs(joints - sample["keypoints3d"][:, :3]).max() > 0.012


def test_frames_are_extracted_at_the_step_and_once(convert, run0):
    write_surreal_clip(run0 / "01_01", "01_01_c0001", 0, num_frames=5)
    _, dataset = surreal(convert, frame_step=2, extract=True)
    names = [dataset.get_data_info(index)["image_path"].rsplit("/", 2)[1:] for index in range(len(dataset))]
    assert names == [["images_01_01_c0001_every2", f"frame_{index:06d}.jpg"] for index in (0, 2, 4)]
    for index in range(3):  # the writer's grey tells the frame
        assert abs(dataset[index]["img"].mean() - (20 + 20 * index)) < 5
    (run0 / "01_01" / "01_01_c0001.mp4").unlink()
    surreal(convert, frame_step=2, extract=True)


def test_frames_of_a_killed_run_do_not_stay(convert, run0):
    clip = run0 / "01_01"
    write_surreal_clip(clip, "01_01_c0001", 0, num_frames=2)
    half = clip / ".images_01_01_c0001_every2.k2_x91ab"
    half.mkdir()
    (half / "frame_000000.jpg").write_bytes(b"half a picture")
    surreal(convert, frame_step=2, extract=True)
    names = ["01_01_c0001.mp4", "01_01_c0001_info.mat", "images_01_01_c0001_every2"]
    assert sorted(path.name for path in clip.iterdir()) == names


def test_frames_where_joints2d_and_joints3d_disagree_are_left_out(convert, run0):
    content = write_surreal_clip(run0 / "01_01", "01_01_c0001", 1, num_frames=3)
    content["joints2D"][0, 5, 1] += 30
    savemat(run0 / "01_01" / "01_01_c0001_info.mat", content)
    outcome, _ = surreal(convert, frame_step=1, extract=True)
    assert outcome.num_people == 2
    assert list(outcome.left_out.values()) == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("zrot"), "lacks the variables zrot"),
        (lambda content: content.update(gender=np.full((2, 1), 7)), r"gender 7, expected 0 \(female\)"),
        (
            lambda content: content.update(joints2D=np.zeros((2, 23, 2))),
            r"joints2D has shape",
        ),
        (lambda content: content.update(shape=np.full((10, 2), np.nan)), "shape holds NaN"),
        (lambda content: content.update(zrot=np.zeros((3, 1))), "different numbers of frames"),
    ],
)
def test_files_that_are_not_surreals_are_named(change, message, convert, run0):
    path = run0 / "01_01" / "01_01_c0001_info.mat"
    write_surreal_clip(path.parent, "01_01_c0001", 0, num_frames=2, video=False)
    content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
    change(content)
    savemat(path, content)
    with pytest.raises(ValueError, match=message) as error:
        surreal(convert)
    assert str(path) in str(error.value)


def test_without_frames_the_error_says_how_to_get_them(convert, run0):
    write_surreal_clip(run0 / "01_01", "01_01_c0001", 0, num_frames=2, video=False)
    with pytest.raises(FileNotFoundError, match=r"1 of 1 images are missing.*--extract-frames"):
        surreal(convert)
    with pytest.raises(FileNotFoundError, match=r"01_01_c0001\.mp4 does not exist\. The archive: di\.ens\.fr"):
        surreal(convert, extract=True)
    (run0 / "01_01" / "01_01_c0001.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"OpenCV decodes no frame of .*01_01_c0001\.mp4"):
        surreal(convert, extract=True)
    assert not list((run0 / "01_01").glob("*images*"))  # not even a temporary folder


def test_a_missing_number_of_frames_cannot_hide_a_transposed_array(convert, run0):
    content = write_surreal_clip(run0 / "01_01", "01_01_c0001", 0, num_frames=2, video=False)
    content["pose"] = content["pose"].T
    savemat(run0 / "01_01" / "01_01_c0001_info.mat", content)
    with pytest.raises(ValueError, match=r"pose has shape \(2, 72\), expected \(72, -1\)"):
        surreal(convert)
