import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.body.depths import body_depths
from mion_plugin.datasets.coco import CocoPerson, load_coco_people
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.detection import mediapipe_detector
from mion_plugin.detection.keypoint_similarity import object_keypoint_similarity
from mion_plugin.detection.mediapipe_detector import DEPTH_ERROR, MediaPipeDetector, landmark_depths
from mion_plugin.detection.mediapipe_places import to_body_places
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.synthesis import SURREALSynthesisDataset

SKIER_AREA = 27789.0  # square pixels, as annotated


@pytest.fixture(scope="module")
def skier():
    return load_coco_people(KEYPOINTS, "000000000785.jpg")[0]


@pytest.fixture(scope="module")
def image():
    return read_image(PHOTO)


@pytest.fixture(scope="module")
def detector():
    pytest.importorskip("mediapipe")
    return MediaPipeDetector()


def test_the_skier(detector, image, skier):
    (found,) = detector(image)
    assert object_keypoint_similarity(found.keypoints2d, skier.keypoints2d, SKIER_AREA) > 0.85
    assert found.keypoints2d.shape == (17, 3)
    assert ((found.keypoints2d[:, 2] >= 0) & (found.keypoints2d[:, 2] <= 1)).all()
    x, y, _, height = found.bbox
    visible = found.keypoints2d[found.keypoints2d[:, 2] > 0]
    assert (visible[:, 0].min(), visible[:, 1].max()) == (x, pytest.approx(y + height))


def test_people_on_either_side_of_a_wide_image_once_each(detector, image, skier):
    """Each is too small to be seen in the whole image."""
    gap = np.full((len(image), 900, 3), 200, np.uint8)
    people = detector(np.concatenate([image, gap, image[:, ::-1]], axis=1))
    assert len(people) == 2
    left = min(people, key=lambda person: person.bbox[0])
    assert object_keypoint_similarity(left.keypoints2d, skier.keypoints2d, SKIER_AREA) > 0.8


@pytest.mark.parametrize("left", [12, 18, 24, 27, 30])
def test_whom_a_window_cuts_off_is_not_found_twice(detector, image, skier, left):
    """Of the windows that search this part of the photograph one ends at the skier's hips."""
    (found,) = detector(image[10 : 10 + 404, left : left + 580])
    shown = skier.keypoints2d - np.array([left, 10, 0])
    assert object_keypoint_similarity(found.keypoints2d, shown, SKIER_AREA) > 0.7


def test_two_people_of_whom_one_stands_before_the_other_are_two(skier):
    behind = skier.keypoints2d + np.array([25.0, -12.0, 0.0])  # a head's width
    box = np.array([0.0, 0.0, 1.0, 1.0])
    people = [CocoPerson(points, box) for points in (skier.keypoints2d, behind)]
    assert len(mediapipe_detector._merge(people)) == 2
    squeezed = behind * np.array([1.0, 0.5, 1.0])
    squeezed[:5] = skier.keypoints2d[:5]
    people[1] = CocoPerson(squeezed, box)
    assert len(mediapipe_detector._merge(people)) == 1


def test_nobody_stands_on_their_head_in_somebody_else(skier):
    """The networks see that at times where people overlap; who does so beside others, or upright, is a person."""
    low, high = skier.keypoints2d[:, :2].min(axis=0), skier.keypoints2d[:, :2].max(axis=0)
    box = np.concatenate([low, high - low])
    middle = (low + high) / 2

    def people(scale: tuple[float, float], shift: float = 0.0) -> list[CocoPerson]:
        other = skier.keypoints2d * np.array([1.0, 1.0, 0.9])  # the less sure one
        other[:, :2] = middle + (other[:, :2] - middle) * scale + [shift, 0.0]
        return mediapipe_detector._merge([CocoPerson(points, box) for points in (other, skier.keypoints2d)])

    (kept,) = people((-0.6, -0.6))
    np.testing.assert_array_equal(kept.keypoints2d, skier.keypoints2d)
    assert len(people((0.6, 0.6))) == 2  # a child before a grown-up
    assert len(people((-0.6, -0.6), shift=box[2])) == 2


def test_a_lying_person_is_found(detector, image, skier):
    (found,) = detector(np.rot90(image).copy())
    turned = skier.keypoints2d.copy()  # (x, y) -> (y, W - x)
    turned[:, 0], turned[:, 1] = skier.keypoints2d[:, 1], image.shape[1] - skier.keypoints2d[:, 0]
    assert object_keypoint_similarity(found.keypoints2d, turned, SKIER_AREA) > 0.7


@pytest.mark.parametrize("cut", [200, 222, 250])
def test_who_is_cut_at_the_hips_has_no_legs(detector, image, skier, cut):
    """A single look puts hips, knees and feet into the coat, and says that they are seen."""
    (found,) = detector(image[:cut])
    names = keypoint_names("coco")
    legs = [index for index, name in enumerate(names) if "knee" in name or "ankle" in name]
    assert (found.keypoints2d[legs] == 0).all()
    seen = (found.keypoints2d[:, 2] > 0) & (skier.keypoints2d[:, 1] < cut)
    assert seen.sum() >= 11
    error = np.linalg.norm((found.keypoints2d - skier.keypoints2d)[seen, :2], axis=1)
    assert error.mean() < 12  # pixels; 19 to 29 of a single look


def test_no_keypoint_is_outside_the_image(detector, image):
    for part in (image[:, 370:], image[130:]):
        for person in detector(np.ascontiguousarray(part)):
            places = person.keypoints2d[person.keypoints2d[:, 2] > 0, :2]
            assert (places >= 0).all()
            assert (places <= part.shape[1::-1]).all()


def test_depths_by_hand():
    points = [SimpleNamespace(x=0.0, y=0.0, z=0.01 * index, visibility=0.9) for index in range(33)]
    points[16].visibility = 0.05
    depths = landmark_depths(SimpleNamespace(landmark=points), own_places=True)
    names = keypoint_names("coco")
    assert depths.shape == (17, 2)
    nose, left_ankle, right_wrist = (depths[names.index(name)] for name in ("nose", "left_ankle", "right_wrist"))
    middle = 0.235  # of landmarks 23 and 24, the hips
    assert nose == pytest.approx([-middle, 1 / DEPTH_ERROR])
    assert left_ankle == pytest.approx([0.27 - middle, 1 / DEPTH_ERROR])
    assert right_wrist.tolist() == [0, 0]  # hardly seen at all
    moved = landmark_depths(SimpleNamespace(landmark=points))
    hips = [names.index(name) for name in ("left_hip_extra", "right_hip_extra")]
    aim = to_body_places(depths[:, :1])[:, 0]
    seen = depths[:, 1] > 0
    np.testing.assert_allclose(moved[seen, 0], (aim - aim[hips].mean())[seen], atol=2e-3)  # of a wrist, here 0
    assert moved[hips, 0].mean() == pytest.approx(0.0)
    assert landmark_depths(None) is None


def test_depths_grow_into_the_scene():
    """Of synthetic people: metres, positive away from the camera, from the middle of the hips."""
    pytest.importorskip("mediapipe")
    detector, body = MediaPipeDetector(windows=False), SMPLBody()
    people, found, true = SURREALSynthesisDataset(num_samples=12, seed=77, image_size=320), [], []
    for sample in map(people.get_data_info, range(len(people))):
        pose = np.concatenate([sample["smpl_global_orient"][None], sample["smpl_body_pose"]])
        pose, betas = (torch.from_numpy(value).float() for value in (pose, sample["smpl_betas"]))
        for person in detector(sample["img"])[:1]:
            found.append(person.depths)
            true.append(body_depths(body, pose, betas, "coco").numpy())
    depths, precision = np.stack(found).transpose(2, 0, 1)
    known = precision > 0
    assert known.mean() > 0.8
    slope, offset = np.polyfit(depths[known], np.stack(true)[known], 1)
    assert 0.7 < slope < 1.3
    assert abs(offset) < 0.05
    assert abs(depths - np.stack(true))[known].mean() < 1.3 * DEPTH_ERROR


def test_a_turn_about_the_line_of_sight_leaves_depths_alone(detector, image):
    (upright,), (lying,) = detector(image), detector(np.rot90(image).copy())
    assert abs(upright.depths[:, 0] - lying.depths[:, 0]).mean() < 0.05
    assert abs(upright.depths[:, 0]).max() > 0.15


def test_nobody(detector):
    assert detector(np.full((100, 300, 3), 90, np.uint8)) == []
    assert detector(np.zeros((1, 1, 3), np.uint8)) == []


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), "photo.jpg"])
def test_not_an_image(detector, image):
    with pytest.raises(ValueError, match="expected RGB"):
        detector(image)


def test_bad_threshold():
    with pytest.raises(ValueError, match=r"min_visibility is 1\.5, expected a number in 0\.\.1"):
        MediaPipeDetector(min_visibility=1.5)


def test_without_the_package(monkeypatch):
    mediapipe_detector._build_graphs.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "mediapipe.framework.calculator_pb2", None)
    with pytest.raises(ImportError, match=r"needs mediapipe 0\.10\.14 .*: pip install 'mion-plugin\[detect\]'"):
        MediaPipeDetector()


def test_standard_error_holds_nothing_but_ours():
    """In a process of its own: only the first start of a process prints, past Python and from other threads."""
    pytest.importorskip("mediapipe")
    code = f"""
        import sys
        from PIL import Image
        import numpy as np
        from mion_plugin.detection.mediapipe_detector import MediaPipeDetector
        print("first", file=sys.stderr)
        detector = MediaPipeDetector()
        print("built", file=sys.stderr)
        print(len(detector(np.asarray(Image.open({str(PHOTO)!r}).convert("RGB")))))
        print("last", file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert done.stderr.splitlines() == ["first", "built", "last"]


@pytest.mark.parametrize(("height", "width"), [(425, 640), (100, 1000), (1000, 100), (64, 64), (1, 7)])
def test_windows_cover_the_image(height, width):
    covered = np.zeros((height, width), int)
    for left, top, side in mediapipe_detector._windows(height, width, several=True):
        covered[max(top, 0) : top + side, max(left, 0) : left + side] += 1
    assert covered.min() >= 2
