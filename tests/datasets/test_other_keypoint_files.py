"""Keypoint files of other tools: the people and numbers that they mean."""

import json

import numpy as np
import pytest

from mion_plugin.datasets.coco import load_coco_people, load_coco_people_of
from mion_plugin.datasets.keypoint_layouts import COCO_17, LAYOUTS, to_coco
from mion_plugin.detection.person_boxes import boxes_of_coco
from mion_plugin.inference.cropping import place_crop
from mion_plugin.inference.people import find_people, list_photographs

RNG = np.random.default_rng(0)
POINTS = np.column_stack([RNG.integers(10, 90, (17, 2)), np.full(17, 2)]).astype(float)
PLACE = {name: POINTS[row] for row, name in enumerate(COCO_17)}
# by hand, from the pages of OpenPose, Halpe and COCO-WholeBody: where COCO's keypoints stand
ROWS = {
    25: [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11],
    26: list(range(17)),
    133: list(range(17)),
    136: list(range(17)),
}


def write(tmp_path, annotation, images=({"id": 1, "file_name": "a.jpg"},), **more):
    annotations = annotation if isinstance(annotation, list) else [annotation]
    people = [{"id": n, "image_id": 1, **one} for n, one in enumerate(annotations)]
    (tmp_path / "k.json").write_text(json.dumps({"images": list(images), "annotations": people, **more}))
    return tmp_path / "k.json"


def numbers(points):
    return np.asarray(points, dtype=float).ravel().tolist()


def centred(points):
    return np.column_stack([points[:, :2] + 0.5, points[:, 2] > 0])


class TestLayouts:
    @pytest.mark.parametrize("count", ROWS)
    def test_by_their_number(self, tmp_path, count):
        points = np.column_stack([RNG.uniform(0, 90, (count, 2)), np.full(count, 2.0)])
        (person,) = load_coco_people(write(tmp_path, {"keypoints": numbers(points)}), "a.jpg")
        np.testing.assert_allclose(person.keypoints2d, centred(points[ROWS[count]]))
        (given,), _ = find_people([points, points], list_photographs([np.zeros((9, 9, 3), np.uint8)] * 2))
        np.testing.assert_allclose(given.keypoints2d[:, :2], points[ROWS[count], :2])

    @pytest.mark.parametrize("count", [14, 16, 18, 19])
    def test_what_is_several_orders_is_refused_by_name(self, tmp_path, count):
        with pytest.raises(ValueError, match=rf"annotation 0 has {count} keypoints, expected one of 17 \(COCO\), 25"):
            load_coco_people(write(tmp_path, {"keypoints": [5.0] * 3 * count}), "a.jpg")

    @pytest.mark.parametrize(
        "write_name", [str, str.upper, lambda name: name.replace("_", " "), lambda name: f" {name}"]
    )
    def test_names_go_before_numbers(self, tmp_path, write_name):
        """17 keypoints in the alphabet's order are not COCO's order."""
        names = sorted(COCO_17)
        category = {"id": 4, "name": "person", "keypoints": [write_name(name) for name in names]}
        annotation = {"category_id": 4, "keypoints": numbers([PLACE[name] for name in names])}
        (person,) = load_coco_people(write(tmp_path, annotation, categories=[category]), "a.jpg")
        np.testing.assert_array_equal(person.keypoints2d, centred(POINTS))

    def test_mpii_has_no_face(self, tmp_path):
        names = """r_ankle r_knee r_hip l_hip l_knee l_ankle pelvis thorax upper_neck head_top r_wrist r_elbow
            r_shoulder l_shoulder l_elbow l_wrist""".split()
        full = [name.replace("r_", "right_").replace("l_", "left_") for name in names]
        points = [PLACE.get(name, np.array([1.0, 1.0, 2.0])) for name in full]
        annotation = {"category_id": "1", "keypoints": numbers(points)}
        categories = [{"id": 1, "name": "Person", "keypoints": names}]
        (person,) = load_coco_people(write(tmp_path, annotation, categories=categories), "a.jpg")
        np.testing.assert_array_equal(person.keypoints2d[5:], centred(POINTS)[5:])
        assert not person.keypoints2d[:5].any()

    def test_names_without_a_limb_are_refused(self, tmp_path):
        names = ["pelvis", "r_hip", "r_knee", "r_foot", "l_hip", *"bcdefghijklm"]
        path = write(
            tmp_path,
            {"category_id": 1, "keypoints": numbers(POINTS)},
            categories=[{"id": 1, "name": "person", "keypoints": names}],
        )
        with pytest.raises(ValueError, match="annotation 0 has 17 keypoints by name, but no left_shoulder among them"):
            load_coco_people(path, "a.jpg")

    def test_names_that_are_numbers_tell_nothing(self, tmp_path):
        categories = [{"id": 1, "name": "person", "keypoints": [str(n) for n in range(17)]}]
        annotation = {"category_id": 1, "keypoints": numbers(POINTS)}
        (person,) = load_coco_people(write(tmp_path, annotation, categories=categories), "a.jpg")
        np.testing.assert_array_equal(person.keypoints2d, centred(POINTS))

    def test_lists_of_three(self, tmp_path):
        (person,) = load_coco_people(write(tmp_path, {"keypoints": POINTS.tolist()}), "a.jpg")
        np.testing.assert_array_equal(person.keypoints2d, centred(POINTS))

    def test_the_layouts_have_their_numbers(self):
        for count, (_, names) in LAYOUTS.items():
            assert count == len(set(names))
            assert to_coco(np.zeros((2, count, 3))).shape == (2, 17, 3)


class TestScores:
    @pytest.mark.parametrize("low", [0.01, 0.05, 0.29])
    def test_a_guess_does_not_widen_the_crop(self, tmp_path, low):
        points = POINTS.copy()
        points[:, 2] = RNG.uniform(0.5, 1.0, 17)
        sound = place_crop(load_coco_people(write(tmp_path, {"keypoints": numbers(points)}), "a.jpg")[0])
        points[3] = 700.0, 900.0, low
        (person,) = load_coco_people(write(tmp_path, {"keypoints": numbers(points)}), "a.jpg")
        assert place_crop(person).side <= sound.side
        np.testing.assert_array_equal(person.keypoints2d[3], 0.0)
        kept = np.delete(np.arange(17), 3)
        np.testing.assert_allclose(person.keypoints2d[kept, 2], points[kept, 2])
        (given,) = find_people([points], list_photographs([np.zeros((9, 9, 3), np.uint8)]))[0]
        assert place_crop(given).side <= sound.side

    def test_peaks_above_1_are_sure(self, tmp_path):
        points = POINTS.copy()
        points[:, 2] = 1.04
        (person,) = load_coco_people(write(tmp_path, {"keypoints": numbers(points)}), "a.jpg")
        np.testing.assert_array_equal(person.keypoints2d[:, 2], 1.0)

    def test_one_person_with_scores_tells_of_all(self, tmp_path):
        """A person whose scores happen to be whole has scores too."""
        unsure = [{"keypoints": numbers(POINTS * [1, 1, 0.25])}, {"keypoints": numbers(POINTS * [1, 1, 0.5])}]
        first, second = load_coco_people(write(tmp_path, unsure), "a.jpg")
        np.testing.assert_array_equal(first.keypoints2d[:, 2], 0.5)
        np.testing.assert_array_equal(second.keypoints2d[:, 2], 1.0)

    def test_visibilities_stay_what_they_are(self, tmp_path):
        points = POINTS.copy()
        points[:, 2] = [0, 1, 2] * 5 + [0, 1]
        (person,) = load_coco_people(write(tmp_path, {"keypoints": numbers(points)}), "a.jpg")
        np.testing.assert_array_equal(person.keypoints2d[:, 2], points[:, 2] > 0)

    @pytest.mark.parametrize("value", [3, 87.5, 100])
    def test_percents_are_refused(self, tmp_path, value):
        points = POINTS.copy()
        points[4, 2] = value
        with pytest.raises(
            ValueError, match=rf"annotation 0: keypoint 4 has {value:g} as third number, expected a vis"
        ):
            load_coco_people(write(tmp_path, {"keypoints": numbers(points)}), "a.jpg")

    def test_shares_of_the_image_are_refused(self, tmp_path):
        """OpenPose's --keypoint_scale 3 and 4: they would make a body of one pixel."""
        points = POINTS * [0.01, 0.01, 0.4]
        told = "keypoints are between -1 and 1, expected pixels"
        with pytest.raises(ValueError, match=f"annotation 0: {told}"):
            load_coco_people(write(tmp_path, {"keypoints": numbers(points)}), "a.jpg")
        with pytest.raises(ValueError, match=told):
            find_people([points - [0.5, 0.5, 0]], list_photographs([np.zeros((9, 9, 3), np.uint8)]))

    def test_who_has_low_scores_alone_is_nobody(self, tmp_path):
        sure, unsure = ({"keypoints": numbers(POINTS * [1, 1, score / 2])} for score in (0.9, 0.2))
        (person,) = load_coco_people(write(tmp_path, [unsure, sure]), "a.jpg")
        np.testing.assert_allclose(person.keypoints2d[:, 2], 0.9)
        with pytest.raises(ValueError, match=r"nobody in a\.jpg has keypoints"):
            load_coco_people(write(tmp_path, [unsure]), "a.jpg")

    def test_in_boxes_too(self, tmp_path):
        points = POINTS.copy()
        points[:, 2] = 0.9
        points[3, 2] = 0.1
        people = boxes_of_coco(write(tmp_path, {"bbox": [0, 0, 9, 9], "keypoints": numbers(points)}))
        np.testing.assert_allclose(people.annotated[0, :, 2], np.where(np.arange(17) == 3, 0, 0.9))


class TestPeople:
    @pytest.mark.parametrize(("image", "annotation"), [(785, "785"), ("785", 785), (785.0, 785), ("785", 785.0)])
    def test_ids_of_either_type(self, tmp_path, image, annotation):
        images = [{"id": image, "file_name": "a.jpg"}]
        given = {"image_id": annotation, "bbox": [1, 2, 3, 4], "keypoints": numbers(POINTS)}
        path = write(tmp_path, given, images)
        assert len(load_coco_people(path, "a.jpg")) == 1
        assert boxes_of_coco(path).image_ids == (image,)

    @pytest.mark.parametrize("bbox", [{}, {"bbox": None}, {"bbox": []}])
    def test_a_box_that_is_missing_is_that_of_the_keypoints(self, tmp_path, bbox):
        (person,) = load_coco_people(write(tmp_path, {"keypoints": numbers(POINTS), **bbox}), "a.jpg")
        low, high = POINTS[:, :2].min(axis=0) + 0.5, POINTS[:, :2].max(axis=0) + 0.5
        np.testing.assert_allclose(person.bbox, [*low, *(high - low)])

    def test_other_categories_are_no_people(self, tmp_path):
        animal = "left_eye right_eye nose neck tail left_front_paw".split() + [f"k{n}" for n in range(11)]
        categories = [
            {"id": 1, "name": "person", "keypoints": list(COCO_17)},
            {"id": 7, "name": "horse", "keypoints": animal},
            {"id": 8, "name": "chair"},
            {"id": 9, "name": "player", "keypoints": list(COCO_17)},
        ]
        given = [
            {"category_id": number, "bbox": [number, 0, 9, 9], "keypoints": numbers(POINTS)}
            for number in (7, 1, 8, "7", "9")
        ]
        path = write(tmp_path, given, categories=categories)
        for boxes in ([person.bbox for person in load_coco_people(path, "a.jpg")], boxes_of_coco(path).boxes):
            np.testing.assert_array_equal(np.array(boxes)[:, 0], [1, 9])
        with pytest.raises(ValueError, match=r"nobody in a\.jpg has keypoints; its horse, chair are no people"):
            load_coco_people(write(tmp_path, given[:1], categories=categories), "a.jpg")

    def test_one_name_in_two_folders(self, tmp_path):
        images = [{"id": n, "file_name": f"{folder}/0.jpg"} for n, folder in enumerate(("walk", "jump"))]
        given = [{"image_id": n, "bbox": [n, 0, 9, 9], "keypoints": numbers(POINTS)} for n in (0, 1, 1)]
        path = write(tmp_path, given, images)
        walk, jump = load_coco_people_of(path, ["/x/walk/0.jpg", "x\\jump\\0.jpg"])
        assert [[person.bbox[0] for person in people] for people in (walk, jump)] == [[0.0], [1.0, 1.0]]


class TestOtherTools:
    def test_alphapose(self, tmp_path):
        points = POINTS * [1, 1, 0.45]
        content = [
            {"image_id": name, "category_id": 1, "score": 2.9, "keypoints": numbers(points)}
            for name in ("a.jpg", "b.jpg", "a.jpg")
        ]
        (tmp_path / "alphapose-results.json").write_text(json.dumps(content))
        first, second = load_coco_people_of(tmp_path / "alphapose-results.json", ["a.jpg", "b.jpg"])
        assert (len(first), len(second)) == (2, 1)
        np.testing.assert_allclose(first[0].keypoints2d, np.column_stack([POINTS[:, :2] + 0.5, np.full(17, 0.9)]))

    def test_openpose(self, tmp_path):
        points = np.column_stack([RNG.uniform(0, 90, (25, 2)), np.full(25, 0.7)])
        content = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": numbers(points)}]}
        (tmp_path / "skier_keypoints.json").write_text(json.dumps(content))
        (person,) = load_coco_people(tmp_path / "skier_keypoints.json", "photos/skier.png")
        np.testing.assert_allclose(person.keypoints2d[:, :2], points[ROWS[25], :2] + 0.5)
        assert len(load_coco_people(tmp_path / "skier_keypoints.json", "photos/skier.JPG")) == 1  # of a camera
        with pytest.raises(ValueError, match=r"skier_keypoints\.json: none of its 1 images is called other\.png"):
            load_coco_people(tmp_path / "skier_keypoints.json", "other.png")

    def test_openposes_18(self, tmp_path):
        """By hand, from OpenPose's page of its output: a neck after the nose, the right side first, the eyes last."""
        points = np.column_stack([RNG.uniform(0, 90, (18, 2)), np.full(18, 0.7)])
        (tmp_path / "a_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": numbers(points)}]}))
        (person,) = load_coco_people(tmp_path / "a_keypoints.json", "a.jpg")
        rows = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]
        np.testing.assert_allclose(person.keypoints2d[:, :2], points[rows, :2] + 0.5)

    def test_cocos_own_results_name_no_images(self, tmp_path):
        (tmp_path / "r.json").write_text(json.dumps([{"image_id": 785, "keypoints": numbers(POINTS), "score": 1}]))
        with pytest.raises(ValueError, match=r"r\.json is a list of detections that does not name its images"):
            load_coco_people(tmp_path / "r.json", "000000000785.jpg")
