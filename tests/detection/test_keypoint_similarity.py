import numpy as np
import pytest

from mion_plugin.detection.keypoint_similarity import object_keypoint_similarity


def person(seed=0):
    return np.concatenate([100.0 * np.random.default_rng(seed).random((17, 2)), np.ones((17, 1))], axis=1)


def test_against_coco_tools():
    """xtcocotools' own evaluation of one person, as installed with mmpose."""
    cocoeval = pytest.importorskip("xtcocotools.cocoeval")
    reference, found = person(), person()
    found[:, :2] += np.random.default_rng(1).normal(scale=4.0, size=(17, 2))
    reference[[3, 9]] = 0.0
    evaluation = cocoeval.COCOeval(iouType="keypoints")
    evaluation.params.imgIds, evaluation.params.catIds = [1], [1]
    shared = {"bbox": [0, 0, 100, 100], "area": 2345.0, "num_keypoints": 15}
    evaluation._gts[1, 1] = [{"keypoints": reference.ravel(), "id": 1, **shared}]
    evaluation._dts[1, 1] = [{"keypoints": found.ravel(), "score": 1.0, "id": 1, **shared}]
    expected = evaluation.computeOks(1, 1)[0, 0]
    assert object_keypoint_similarity(found, reference, 2345.0) == pytest.approx(expected, rel=1e-6)


def test_one_standard_deviation():
    reference = np.zeros((17, 3))
    reference[5] = [10.0, 10.0, 1.0]  # a shoulder: sigma 0.079
    found = reference.copy()
    found[5, 0] += 2 * 0.079 * 30.0
    assert object_keypoint_similarity(found, reference, 900.0) == pytest.approx(np.exp(-0.5))


def test_absent_keypoints_count_as_missed_and_unknown_ones_not_at_all():
    reference, found = person(), person()
    found[:4, 2] = 0.0
    assert object_keypoint_similarity(found, reference) == pytest.approx(13 / 17)
    reference[:4] = 0.0
    assert object_keypoint_similarity(found, reference) == pytest.approx(1.0)


def test_a_person_of_one_keypoint():
    reference = np.zeros((17, 3))
    reference[0] = [5.0, 5.0, 1.0]
    assert object_keypoint_similarity(reference, reference) == 1.0


@pytest.mark.parametrize(
    ("found", "reference", "area", "message"),
    [
        (np.ones((16, 3)), np.ones((17, 3)), None, r"shapes \(16, 3\) and \(17, 3\)"),
        (np.ones((17, 3)), np.ones((17, 3)), 0.0, r"area is 0\.0"),
        (np.ones((17, 3)), np.zeros((17, 3)), None, "the reference has no keypoints"),
    ],
)
def test_bad_input(found, reference, area, message):
    with pytest.raises(ValueError, match=message):
        object_keypoint_similarity(found, reference, area)
