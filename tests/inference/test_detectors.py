import importlib.util

import numpy as np
import pytest

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.keypoint_estimator import whole_image_detector
from mion_plugin.inference import detectors
from mion_plugin.inference.detectors import choose_detector, top_down_detector


def test_keypoints_of_the_estimator_in_enlarged_boxes_of_the_other():
    image, asked = np.zeros((50, 60, 3), np.uint8), []

    def find_boxes(given):
        return [CocoPerson(np.zeros((17, 3)), np.array([10.0, 20.0, 8.0, 16.0])) for _ in range(2)]

    def estimate(images, boxes):
        asked.append((len(images), boxes))
        return np.full((len(boxes), 17, 3), 5.0)

    people = top_down_detector(estimate, find_boxes)(image)
    ((count, boxes),) = asked
    assert count == len(people) == 2
    np.testing.assert_allclose(boxes[0], [9.0, 18.0, 10.0, 20.0])
    np.testing.assert_allclose(people[1].keypoints2d, 5.0)
    assert top_down_detector(estimate, lambda _: [])(image) == []


def test_keypoints_outside_the_image_are_absent():
    """As of MediaPipe's, whichever network finds them, and whoever has none inside is nobody."""
    image, box = np.zeros((50, 60, 3), np.uint8), np.array([10.0, 20.0, 8.0, 16.0])
    places = np.array([[0.0, 50.0], [60.0, 0.0], [-0.1, 5.0], [5.0, 50.1], [60.1, 5.0]])
    found = np.column_stack([places[np.arange(17) % 5], np.full(17, 0.9)])

    def estimate(images, boxes):
        return np.array([found, np.full((17, 3), 0.9) - [9, 0, 0]])[: len(boxes)]

    def find_boxes(given):
        return [CocoPerson(found, box)] * 2

    for detect in (top_down_detector(estimate, find_boxes), whole_image_detector(estimate)):
        (person,) = detect(image)
        np.testing.assert_array_equal(person.keypoints2d, np.where((np.arange(17) % 5 < 2)[:, None], found, 0.0))


def test_without_any_detector_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setattr(detectors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"give --keypoints .*mion-plugin\[detect\].*--pose-config"):
        choose_detector()


def test_the_light_detector_where_nothing_is_asked_for():
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("mediapipe is not installed")
    assert type(choose_detector()).__name__ == "MediaPipeDetector"


def test_a_missing_checkpoint_of_mmpose(tmp_path):
    pytest.importorskip("mmpose")
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        choose_detector(None, str(tmp_path / "none.pth"))
