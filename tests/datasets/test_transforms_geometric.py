"""Geometric transforms: the transformed body projects onto the transformed keypoints, and the picture follows."""

import numpy as np
import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import ks_2samp

from mion_plugin.body import SMPLBody
from mion_plugin.datasets.transforms import GetRandomScaleRotation, MeshAffine, RandomHorizontalFlip
from mion_plugin.datasets.transforms.geometric import crop_matrix, flip, warp
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names

HEIGHT, WIDTH = 240, 320
INTRINSICS = np.array([[410.0, 0, 150], [0, 410, 130], [0, 0, 1]], dtype=np.float32)


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


def posed(body: SMPLBody, sample: dict, convention: str) -> np.ndarray:
    """Keypoints (K, 3) of the sample's SMPL parameters in the camera frame."""
    pose = np.concatenate([sample["smpl_global_orient"][None], sample["smpl_body_pose"]])
    arrays = (pose, sample["smpl_betas"], sample["smpl_transl"])
    with torch.no_grad():
        output = body(*(torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in arrays))
        return body.keypoints(output, convention).numpy()


def projected(sample: dict, points: np.ndarray) -> np.ndarray:
    homogeneous = points @ sample["cam_intrinsics"].T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def make_sample(body: SMPLBody, seed: int, angle: float = 0.0) -> dict:
    """A person in a picture: COCO keypoints in 2D, h36m in 3D, SMPL parameters, a camera off the image centre."""
    rng = np.random.default_rng(seed)
    sample = {
        "smpl_body_pose": rng.normal(scale=0.3, size=(23, 3)).astype(np.float32),
        # upright where y points down: half a turn about x, then some
        "smpl_global_orient": roma.rotvec_composition(
            [torch.tensor(rng.normal(scale=0.5, size=3)), torch.tensor([np.pi, 0.0, 0.0], dtype=torch.float64)]
        )
        .numpy()
        .astype(np.float32),
        "smpl_betas": rng.normal(size=10).astype(np.float32),
        "smpl_transl": np.array([0.2, 0.1, 4.0], dtype=np.float32),
        "has_transl": 1,
        "cam_intrinsics": INTRINSICS,
        "keypoints2d_convention": "coco",
        "keypoints3d_convention": "h36m",
        "center": np.array([170.0, 140.0], dtype=np.float32),
        "scale": np.array([200.0, 200.0], dtype=np.float32),
        "rotation": angle,
        "img": np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8),
        "img_transform": np.eye(3),
    }
    betas = torch.from_numpy(sample["smpl_betas"])
    sample["smpl_pelvis"] = body(torch.zeros(24, 3), betas).joints[0].numpy()
    points2d = projected(sample, posed(body, sample, "coco"))
    sample["keypoints2d"] = np.column_stack([points2d, np.ones(17)]).astype(np.float32)
    sample["keypoints2d"][5] = 0  # absent
    sample["keypoints2d_input"] = sample["keypoints2d"].copy()
    points3d = posed(body, sample, "h36m")
    sample["keypoints3d"] = np.column_stack([points3d, np.ones(17)]).astype(np.float32)
    return sample


def check(body: SMPLBody, sample: dict, original: dict, absent: int = 5) -> None:
    """The body still explains the keypoints, and ``img_transform`` takes old pixels to new ones."""
    focal_length, (c_x, c_y) = sample["cam_intrinsics"][0, 0], sample["cam_intrinsics"][:2, 2]
    # the camera neither turned nor mirrored: it is the body that did
    np.testing.assert_allclose(
        sample["cam_intrinsics"], [[focal_length, 0, c_x], [0, focal_length, c_y], [0, 0, 1]], atol=1e-3
    )
    assert focal_length > 0
    present = np.arange(17) != absent
    expected = projected(sample, posed(body, sample, "coco"))
    for key in ("keypoints2d", "keypoints2d_input"):
        np.testing.assert_allclose(sample[key][present, :2], expected[present], atol=0.02)
        assert (sample[key][absent] == 0).all()
    np.testing.assert_allclose(sample["keypoints3d"][:, :3], posed(body, sample, "h36m"), atol=1e-4)
    old = projected(original, posed(body, original, "h36m"))
    new = projected(sample, sample["keypoints3d"][:, :3])
    if sample.get("is_flipped"):
        old = old[list(flip_permutation("h36m"))]
    moved = np.column_stack([old, np.ones(17)]) @ sample["img_transform"].T
    np.testing.assert_allclose(moved[:, :2], new, atol=0.02)


class TestBodyProjectsOntoKeypoints:
    def test_the_sample_itself(self, body):
        sample = make_sample(body, 0)
        check(body, sample, sample)

    @given(
        seed=st.integers(0, 1000),
        angle=st.floats(-180, 180),
        side=st.floats(20, 500),
        center=st.tuples(st.floats(0, 320), st.floats(0, 240)),
    )
    @settings(max_examples=15, deadline=None)
    def test_crop_and_rotation(self, body, seed, angle, side, center):
        original = make_sample(body, seed, angle)
        original["scale"][:] = side
        original["center"][:] = center
        sample = MeshAffine(img_res=112)(dict(original))
        assert sample["img"].shape == (112, 112, 3)
        check(body, sample, original)

    @pytest.mark.parametrize("flip_first", [True, False])
    @pytest.mark.parametrize("angle", [0.0, 37.0])
    def test_flip_before_and_after_the_crop(self, body, flip_first, angle):
        original = make_sample(body, 3, angle)
        steps = [RandomHorizontalFlip(flip_prob=1.0), MeshAffine(img_res=112)]
        sample = dict(original)
        for step in steps if flip_first else steps[::-1]:
            sample = step(sample)
        assert sample["is_flipped"] == 1
        # center and scale tell the crop in pixels of the picture that was cropped
        np.testing.assert_allclose(sample["center"], [WIDTH - 170 if flip_first else 170, 140])
        left_shoulder, right_shoulder = 5, 6
        check(body, sample, original, absent=right_shoulder)
        assert sample["keypoints2d"][left_shoulder, 2] == 1

    def test_unrotated_flip_before_or_after_is_the_same(self, body):
        original = make_sample(body, 4)
        one = MeshAffine(img_res=112)(flip(dict(original)))
        other = flip(MeshAffine(img_res=112)(dict(original)))
        for key in ("keypoints2d", "keypoints3d", "cam_intrinsics", "img_transform", "smpl_global_orient"):
            np.testing.assert_allclose(one[key], other[key], atol=1e-3)

    def test_flipping_twice_changes_nothing(self, body):
        original = make_sample(body, 5)
        sample = flip(flip(dict(original)))
        for key, value in original.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_allclose(sample[key], value, atol=1e-4, err_msg=key)

    def test_depths_go_with_their_keypoints(self, body):
        depths = np.random.default_rng(8).normal(size=(17, 2)).astype(np.float32)
        sample = MeshAffine()(flip({**make_sample(body, 8, angle=30.0), "depths_input": depths}))
        np.testing.assert_array_equal(sample["depths_input"], depths[list(flip_permutation("coco"))])

    def test_translation_is_given_up_without_the_pelvis(self, body):
        sample = make_sample(body, 6, angle=30.0)
        del sample["smpl_pelvis"]
        sample = MeshAffine()(sample)
        assert sample["has_transl"] == 0
        assert (sample["smpl_transl"] == 0).all()

    def test_no_translation_is_made_up(self, body):
        sample = {**make_sample(body, 6, angle=30.0), "has_transl": 0, "smpl_transl": np.zeros(3, dtype=np.float32)}
        assert (flip(MeshAffine()(sample))["smpl_transl"] == 0).all()

    def test_translation_survives_a_crop_without_rotation(self, body):
        sample = make_sample(body, 7)
        transl = sample["smpl_transl"].copy()
        del sample["smpl_pelvis"]
        sample = MeshAffine()(sample)
        np.testing.assert_array_equal(sample["smpl_transl"], transl)
        assert sample["has_transl"] == 1

    def test_keypoints_alone(self):
        # a 2D-only set: no body, no camera, no 3D
        sample = {
            "img": np.zeros((HEIGHT, WIDTH, 3), np.uint8),
            "center": np.array([160.0, 120.0]),
            "scale": np.array([100.0, 100.0]),
            "keypoints2d": np.array([[160.0, 120.0, 1.0]] * 17),
            "keypoints2d_convention": "coco",
            "rotation": 20.0,
        }
        sample = flip(MeshAffine()(sample))
        np.testing.assert_allclose(sample["keypoints2d"][:, :2], 112.0)


class TestPictureFollowsKeypoints:
    @given(angle=st.floats(-60, 60), side=st.floats(80, 300), flips=st.booleans(), flip_first=st.booleans())
    @settings(max_examples=20, deadline=None)
    def test_a_blob_stays_under_its_keypoint(self, angle, side, flips, flip_first):
        center = np.array([163.0, 117.0])
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5  # pixel centres
        spot = center + np.array([7.3, -11.6])
        blob = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * (side / 40) ** 2))
        sample = {
            "img": np.repeat(blob[..., None], 3, axis=2).astype(np.uint8),
            "center": center,
            "scale": np.array([side, side]),
            "rotation": angle,
            "keypoints2d": np.array([[*spot, 1.0]] * 17),
            "keypoints2d_convention": "coco",
        }
        steps = [flip, MeshAffine(img_res=96)] if flip_first else [MeshAffine(img_res=96), flip]
        for step in steps if flips else [MeshAffine(img_res=96)]:
            sample = step(sample)
        weight = sample["img"][..., 0].astype(float)
        y, x = np.mgrid[:96, :96] + 0.5
        found = [(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()]
        np.testing.assert_allclose(found, sample["keypoints2d"][0, :2], atol=0.12)

    def test_worked_number_of_the_docstring(self):
        matrix = crop_matrix(np.array([300.0, 200.0]), 448.0, 0.0, 224)
        np.testing.assert_allclose(matrix @ [310, 180, 1], [117, 102, 1])

    def test_positive_rotation_is_counter_clockwise_as_seen(self):
        # a point right of the centre goes up (smaller y)
        matrix = crop_matrix(np.array([0.0, 0.0]), 2.0, 90.0, 2)
        np.testing.assert_allclose(matrix @ [1, 0, 1], [1, 0, 1], atol=1e-12)

    def test_identity_warp_copies_the_picture(self):
        image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
        np.testing.assert_array_equal(warp(image, np.eye(3), 50), image)

    def test_black_outside(self):
        image = np.full((40, 40, 3), 200, dtype=np.uint8)
        crop = warp(image, crop_matrix(np.array([0.0, 0.0]), 40.0, 0.0, 40), 40)
        assert (crop[:20, :20] == 0).all()
        assert (crop[20:, 20:] == 200).all()

    @given(
        seed=st.integers(0, 10**6),
        angle=st.floats(-180, 180),
        side=st.floats(5, 300),
        center=st.tuples(st.floats(-100, 160), st.floats(-100, 140)),
    )
    @settings(max_examples=40, deadline=None)
    def test_cutting_out_the_seen_part_first_changes_nothing(self, seed, angle, side, center):
        image = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        matrix = crop_matrix(np.array(center), side, angle, 32)
        whole = Image.fromarray(image).transform(
            (32, 32), Image.Transform.AFFINE, np.linalg.inv(matrix)[:2].ravel().tolist(), Image.Resampling.BILINEAR
        )
        difference = np.abs(warp(image, matrix, 32).astype(int) - np.asarray(whole))
        # Pillow adds up coordinates in floats: a pixel on the image's very edge may fall to either side
        assert (difference > 1).any(axis=-1).sum() <= 2

    def test_crop_beside_the_picture_is_black(self):
        image = np.full((40, 60, 3), 200, dtype=np.uint8)
        for center in ([-500.0, 20.0], [30.0, 900.0], [1000.0, -1000.0]):
            assert (warp(image, crop_matrix(np.array(center), 50.0, 30.0, 32), 32) == 0).all()


class TestAgainstMmhuman3d:
    @pytest.fixture
    def reference(self):
        return pytest.importorskip(
            "mmhuman3d.data.datasets.pipelines.transforms", reason="mmhuman3d's transforms are the reference"
        )

    @pytest.mark.parametrize("angle", [0.0, 25.0, -60.0, 171.0])
    def test_crop(self, reference, body, angle):
        original = make_sample(body, 8, angle)
        original["img"] = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        copy = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in original.items()}
        expected = reference.MeshAffine(112)(copy)
        sample = MeshAffine(img_res=112)(dict(original))
        np.testing.assert_allclose(sample["keypoints2d"], expected["keypoints2d"], atol=1e-3)
        np.testing.assert_allclose(sample["keypoints3d"], expected["keypoints3d"], atol=1e-5)
        np.testing.assert_allclose(sample["smpl_body_pose"], expected["smpl_body_pose"])
        turned = roma.rotvec_geodesic_distance(
            torch.from_numpy(sample["smpl_global_orient"]), torch.from_numpy(expected["smpl_global_orient"]).float()
        )
        assert turned < 1e-3
        np.testing.assert_allclose(sample["img_transform"][:2], expected["crop_transform"], atol=1e-4)

    def test_crop_picture_but_for_the_pixel_centre(self, reference, body):
        import cv2

        image = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 3)
        matrix = crop_matrix(np.array([160.0, 120.0]), 150.0, 20.0, 112)
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
        integer_centres = np.linalg.inv(half) @ matrix @ half
        expected = cv2.warpAffine(image, integer_centres[:2], (112, 112), flags=cv2.INTER_LINEAR)
        inner = slice(8, -8)
        difference = np.abs(warp(image, matrix, 112)[inner, inner].astype(int) - expected[inner, inner])
        assert difference.max() <= 2  # OpenCV rounds coordinates to 1/32 px

    def test_flip(self, reference, body):
        original = make_sample(body, 9)
        copy = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in original.items()}
        copy["keypoints2d"], copy["keypoints3d"] = (
            np.random.default_rng(3).random((17, 3)),
            np.random.default_rng(4).random((17, 4)),
        )
        mine = {**original, "keypoints2d": copy["keypoints2d"].copy(), "keypoints3d": copy["keypoints3d"].copy()}
        mine["keypoints3d_convention"] = "coco"  # its transform knows one convention for both
        expected = reference.RandomHorizontalFlip(flip_prob=1.0, convention="coco")(copy)
        sample = flip(mine)
        # its pixel centres are integers, ours integer + 0.5
        np.testing.assert_allclose(sample["keypoints2d"] - [1, 0, 0], expected["keypoints2d"])
        np.testing.assert_allclose(sample["center"] - [1, 0], expected["center"])
        for key in ("keypoints3d", "smpl_body_pose", "smpl_global_orient", "img"):
            np.testing.assert_allclose(sample[key], expected[key], err_msg=key)

    def test_distribution_of_scale_and_rotation(self, reference):
        np.random.seed(0)  # noqa: NPY002  mmhuman3d draws from numpy's global generator
        theirs = reference.GetRandomScaleRotation()
        ours, rng = GetRandomScaleRotation(), np.random.default_rng(0)
        drawn = {"theirs": [], "ours": []}
        for _ in range(4000):
            one, other = theirs({"scale": np.ones(2)}), ours({"scale": np.ones(2), "rng": rng})
            drawn["theirs"].append([one["scale"][0], one["rotation"]])
            drawn["ours"].append([other["scale"][0], other["rotation"]])
        theirs, ours = np.array(drawn["theirs"]), np.array(drawn["ours"])
        np.testing.assert_allclose(np.abs(ours[:, 1]).max(), 60)
        np.testing.assert_allclose([ours[:, 0].min(), ours[:, 0].max()], [0.75, 1.25], rtol=1e-6)
        for column in (0, 1):
            assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 0.01


class TestOptions:
    def test_flip_probability(self):
        rng, flipped = np.random.default_rng(0), 0
        for _ in range(400):
            sample = {"img": np.zeros((2, 2, 3), np.uint8), "center": np.ones(2), "rng": rng}
            flipped += RandomHorizontalFlip(flip_prob=0.25)(sample)["is_flipped"]
        assert 70 < flipped < 130

    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (lambda: RandomHorizontalFlip(flip_prob=1.5), "flip_prob 1.5, expected 0 to 1"),
            (lambda: GetRandomScaleRotation(rot_prob=2), "rot_prob 2"),
            (lambda: GetRandomScaleRotation(scale_factor=1.0), "scale_factor 1.0"),
            (lambda: MeshAffine(img_res=0), "img_res 0, expected a positive"),
            (lambda: crop_matrix(np.zeros(2), 0.0, 0.0, 224), "side 0.0 px around .* expected a positive side"),
        ],
    )
    def test_bad_values(self, build, message):
        with pytest.raises(ValueError, match=message):
            build()

    def test_left_is_right(self):
        names = keypoint_names("coco")
        sample = {
            "img": np.zeros((10, 20, 3), np.uint8),
            "center": np.zeros(2),
            "keypoints2d": np.column_stack([np.arange(17), np.zeros(17), np.ones(17)]),
            "keypoints2d_convention": "coco",
        }
        flipped = flip(sample)["keypoints2d"]
        assert flipped[names.index("left_wrist"), 0] == 20 - names.index("right_wrist")
        assert flipped[names.index("nose"), 0] == 20 - names.index("nose")
