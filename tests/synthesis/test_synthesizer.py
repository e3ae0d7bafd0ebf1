import numpy as np
import pytest
import roma
import torch

from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.synthesis import Degradation, PoseSource, Synthesizer
from mion_plugin.synthesis.degradation import AUGMENTED

NAMES = keypoint_names("smpl_54")


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.mark.parametrize("degradation", [Degradation(), AUGMENTED])
def test_a_sample_depends_on_seed_and_index_alone(pool, body, degradation):
    def make():
        return Synthesizer(PoseSource.from_pool(pool), seed=7, body=body, degradation=degradation, detected_noise=2)

    in_order = [make().sample(index) for index in range(4)]
    other = make()
    for index in (3, 1, 0, 2, 1):
        assert_same(other.sample(index), in_order[index])
    assert (in_order[0]["image"] != in_order[1]["image"]).any()
    other_seed = Synthesizer(PoseSource.from_pool(pool), seed=8, body=body).sample(0)
    assert (other_seed["image"] != in_order[0]["image"]).any()


def test_the_number_of_threads_and_the_global_generators_do_not_matter(synthesizer):
    threads = torch.get_num_threads()
    expected = [synthesizer.sample(index) for index in range(3)]
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(count)
            for index, sample in enumerate(expected):
                assert_same(synthesizer.sample(index), sample)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("index", range(4))
def test_the_body_projects_onto_the_keypoints(synthesizer, body, index):
    sample = synthesizer.sample(index)
    pose, betas, transl = (torch.from_numpy(sample[key]) for key in ("pose", "betas", "transl"))
    keypoints3d = body.pose_keypoints(pose, betas, transl, "smpl_54").double().numpy()
    np.testing.assert_allclose(sample["keypoints3d"][:, :3], keypoints3d, atol=5e-5)
    homogeneous = keypoints3d @ sample["cam_intrinsics"].T.astype(np.float64)
    np.testing.assert_allclose(sample["keypoints2d"][:, :2], homogeneous[:, :2] / homogeneous[:, 2:], atol=0.01)
    assert (sample["keypoints2d"][:, 2] == 1).all()
    assert (sample["keypoints3d"][:, 3] == 1).all()


@pytest.mark.parametrize("index", range(4))
def test_the_picture_shows_the_body_where_it_projects(synthesizer, body, index):
    sample = synthesizer.sample(index)
    pose, betas, transl = (torch.from_numpy(sample[key]) for key in ("pose", "betas", "transl"))
    vertices = body(pose, betas, transl).vertices.numpy()
    projected = vertices[:, :2] / vertices[:, 2:] * 5000 + 112
    rows, columns = np.nonzero(sample["mask"])
    for pixels, coordinate in ((columns, projected[:, 0]), (rows, projected[:, 1])):
        low, high = np.clip([coordinate.min(), coordinate.max()], 0, 224)
        assert abs(pixels.min() - low) < 1.5
        assert abs(pixels.max() + 1 - high) < 1.5


def test_what_is_outside_the_mask_is_background(pool, body):
    class Plain:
        def draw(self, rng, size):
            return np.full((size, size, 3), 77, np.uint8)

    sample = Synthesizer(PoseSource.from_pool(pool), body=body, background=Plain()).sample(0)
    away_from_edges = ~sample["mask"]
    for _ in range(2):  # the outline is smoothed
        away_from_edges[1:] &= away_from_edges[:-1].copy()
        away_from_edges[:-1] &= away_from_edges[1:].copy()
        away_from_edges[:, 1:] &= away_from_edges[:, :-1].copy()
        away_from_edges[:, :-1] &= away_from_edges[:, 1:].copy()
    assert (sample["image"][away_from_edges] == 77).all()
    assert (sample["image"][sample["mask"]] != 77).any(axis=1).mean() > 0.95


def test_the_body_fills_the_crop_and_stays_in_it(synthesizer):
    for index in range(20):
        points = synthesizer.sample(index)["keypoints2d"][:, :2]
        side = (points.max(axis=0) - points.min(axis=0)).max()
        assert 224 / (1.2 * 1.16) < side < 224 / (1.2 * 0.84)
        centre = (points.max(axis=0) + points.min(axis=0)) / 2
        assert (abs(centre - 112) < 0.081 * 224).all()


def test_the_face_is_visible_from_the_front_only(synthesizer):
    nose = NAMES.index("nose")
    toward = away = 0
    for index in range(60):
        sample = synthesizer.sample(index)
        pose = torch.from_numpy(sample["pose"])
        # the head's forward direction in the camera frame, along the chain of joints
        chain = roma.rotvec_to_rotmat(pose[[0, 3, 6, 9, 12, 15]])
        forward = torch.linalg.multi_dot(list(chain))[:, 2]
        if forward[2] < -0.9 and sample["pose_index"] >= 0:
            toward += 1
            assert sample["visible"][nose] or not _free(sample, nose)
        if forward[2] > 0.7:
            away += 1
            assert not sample["visible"][nose]
    assert toward
    assert away


def _free(sample, keypoint):
    """Whether no hand is near the keypoint in the image."""
    hands = [NAMES.index(name) for name in ("left_wrist", "right_wrist", "left_hand", "right_hand", "left_elbow")]
    offset = sample["keypoints2d"][hands, :2] - sample["keypoints2d"][keypoint, :2]
    return np.linalg.norm(offset, axis=1).min() > 25


def test_detected_keypoints_err_by_the_noise_asked_for(synthesizer):
    errors, hidden = [], []
    for index in range(40):
        sample = synthesizer.sample(index)
        detected = sample["keypoints2d_detected"]
        inside = detected[:, 2] > 0
        error = (detected - sample["keypoints2d"])[:, :2]
        errors.append(error[inside & sample["visible"]])
        hidden.append(error[inside & ~sample["visible"]])
        assert (detected[inside & sample["visible"], 2] >= 0.7).all()
        assert (detected[~inside] == 0).all()
    assert 2.7 < np.concatenate(errors).std() < 3.3
    assert 5.0 < np.concatenate(hidden).std() < 7.0


def test_an_occluder_hides_keypoints_and_pixels(pool, body):
    source = PoseSource.from_pool(pool)
    covered = Synthesizer(source, body=body, degradation=Degradation(occluder_prob=1.0))
    free = Synthesizer(source, body=body)
    fewer = 0
    for index in range(5):
        hidden, seen = covered.sample(index), free.sample(index)
        assert not (hidden["visible"] & ~seen["visible"]).any()
        assert not (hidden["mask"] & ~seen["mask"]).any()
        fewer += int(seen["visible"].sum() - hidden["visible"].sum())
        np.testing.assert_array_equal(hidden["keypoints2d"], seen["keypoints2d"])
    assert fewer > 0


def test_the_size_of_the_picture_scales_the_camera(pool, body):
    source = PoseSource.from_pool(pool)
    small, large = (Synthesizer(source, image_size=size, body=body).sample(0) for size in (112, 224))
    assert small["image"].shape == (112, 112, 3)
    np.testing.assert_allclose(small["transl"], large["transl"], rtol=1e-5)
    np.testing.assert_allclose(small["keypoints2d"][:, :2] * 2, large["keypoints2d"][:, :2], atol=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed -1, expected 0 or more"),
        ({"image_size": 8}, "image_size 8, expected at least 16"),
        ({"detected_noise": float("nan")}, "detected_noise nan, expected a number"),
    ],
)
def test_bad_arguments_are_named(pool, body, arguments, message):
    with pytest.raises(ValueError, match=message):
        Synthesizer(PoseSource.from_pool(pool), body=body, **arguments)


class TestRender:
    def test_a_samples_own_body_gives_the_sample(self, synthesizer):
        sample = synthesizer.sample(2)
        rendered = synthesizer.render(2, sample["pose"], sample["betas"], sample["transl"])
        assert rendered.pop("pose_index") == -1
        sample.pop("pose_index")
        assert_same(rendered, sample)

    def test_another_body_before_the_same_background(self, synthesizer, body):
        sample, other = synthesizer.sample(2), synthesizer.sample(3)
        rendered = synthesizer.render(2, other["pose"], other["betas"], other["transl"])
        np.testing.assert_array_equal(rendered["mask"], other["mask"])
        np.testing.assert_array_equal(rendered["keypoints2d"], other["keypoints2d"])
        behind = ~(sample["mask"] | other["mask"])
        for _ in range(2):  # the outlines are smoothed
            behind[1:] &= behind[:-1].copy()
            behind[:-1] &= behind[1:].copy()
            behind[:, 1:] &= behind[:, :-1].copy()
            behind[:, :-1] &= behind[:, 1:].copy()
        np.testing.assert_array_equal(rendered["image"][behind], sample["image"][behind])

    def test_bad_bodies_are_named(self, synthesizer):
        sample = synthesizer.sample(0)
        pose, betas, transl = sample["pose"], sample["betas"], sample["transl"]
        with pytest.raises(ValueError, match="sample index -1"):
            synthesizer.render(-1, pose, betas, transl)
        with pytest.raises(ValueError, match=r"pose has shape \(23, 3\), expected \(24, 3\) finite"):
            synthesizer.render(0, pose[1:], betas, transl)
        with pytest.raises(ValueError, match="expected a body before the camera"):
            synthesizer.render(0, pose, betas, -transl)


def test_a_negative_index_is_refused(synthesizer):
    with pytest.raises(ValueError, match="sample index -1"):
        synthesizer.sample(-1)
