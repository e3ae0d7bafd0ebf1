import dataclasses
import json

import numpy as np
import pytest
import torch

from mion_plugin.datasets.coco import CocoPerson, load_coco_people
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names
from mion_plugin.inference import (
    Frame,
    KeypointTracker,
    SideSwapGuard,
    draw_paths,
    draw_people,
    find_by_detector,
    find_in_file,
    infer_frames,
)
from mion_plugin.inference.frame_lines import describe_frame, read_frame
from mion_plugin.inference.frames import FramePeople, NobodyError
from mion_plugin.inference.sources import FrameSource
from mion_plugin.inference.video_results import resume_frames, write_video
from mion_plugin.visualization.image_overlay import body_color
from mion_plugin.visualization.turntable import draw_turntable


@pytest.fixture(scope="module")
def image():
    return read_image(PHOTO)


@pytest.fixture(scope="module")
def skier():
    return load_coco_people(KEYPOINTS, PHOTO.name)[0]


def moved(person, x, scale=1.0):
    keypoints2d = person.keypoints2d * [scale, scale, 1.0] + [x, 0.0, 0.0]
    return CocoPerson(keypoints2d, person.bbox * scale + [x, 0.0, 0.0, 0.0])


def lost(person):
    """Only two keypoints: enough to crop by, too few for a body."""
    keypoints2d = person.keypoints2d.copy()
    keypoints2d[2:] = 0.0
    return CocoPerson(keypoints2d, person.bbox)


class Detector:
    """Hands out given people, one list for each image it is shown."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, image):
        assert image.shape[2] == 3
        return self.answers.pop(0)


def frames(image, count):
    return [Frame(index, f"clip_{index:06d}.jpg", image) for index in range(count)]


class TestFinders:
    def test_a_file_by_the_frames_name(self, image, skier):
        find = find_in_file(KEYPOINTS)
        (person,) = find(Frame(0, PHOTO.name, image))
        np.testing.assert_array_equal(person.keypoints2d, skier.keypoints2d)
        with pytest.raises(NobodyError, match=r"none of its 1 images is called other\.jpg"):
            find(Frame(0, "other.jpg", image))

    def test_a_file_that_lists_nobody_in_an_image(self, image, tmp_path):
        (tmp_path / "k.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}))
        with pytest.raises(NobodyError, match=r"k\.json: nobody in a\.jpg has keypoints"):
            find_in_file(tmp_path / "k.json")(Frame(0, "a.jpg", image))

    def test_a_detector(self, image, skier):
        find = find_by_detector(Detector([skier], []))
        assert find(Frame(0, "a.jpg", image)) == [skier]
        with pytest.raises(NobodyError, match=r"a\.jpg: nobody was found in it"):
            find(Frame(0, "a.jpg", image))


class TestInference:
    def test_every_frame_comes_back_in_order_with_its_people_or_problems(self, inferencer, image, skier):
        given = frames(image, 4)
        given.insert(2, Frame(9, "broken.jpg", None, "broken.jpg cannot be read"))
        find = find_by_detector(Detector([skier, moved(skier, 100)], [], [lost(skier), moved(skier, 50)], [skier]))
        results = list(infer_frames(inferencer, given, find, batch_size=2))
        assert [result.frame for result in results] == given
        assert [[person.person for person in result.people] for result in results] == [[0, 1], [], [], [1], [0]]
        assert [result.problems for result in results] == [
            [],
            ["clip_000001.jpg: nobody was found in it"],
            ["broken.jpg cannot be read"],
            ["person 0 of clip_000002.jpg: the keypoints fit no body; at least 3 must be visible, apart"],
            [],
        ]
        assert results[3].people[0].image_name == "clip_000002.jpg"

    def test_results_do_not_depend_on_the_batch(self, inferencer, image, skier):
        people = [[skier, moved(skier, 30)], [moved(skier, 60)], [skier]]
        runs = [
            [
                person.transl
                for result in infer_frames(
                    inferencer, frames(image, 3), find_by_detector(Detector(*people)), batch_size=n
                )
                for person in result.people
            ]
            for n in (1, 8)
        ]
        np.testing.assert_allclose(*runs, rtol=1e-4, atol=1e-4)

    def test_frames_are_read_no_earlier_than_needed(self, inferencer, image, skier):
        read = []

        def source():
            for frame in frames(image, 6):
                read.append(frame.index)
                yield frame

        results = infer_frames(inferencer, source(), find_by_detector(lambda _: [skier]), batch_size=2)
        next(results)
        assert read == [0, 1]

    def test_only_one_person(self, inferencer, image, skier):
        find = find_by_detector(lambda _: [skier, moved(skier, 200, 0.5)])
        (result,) = infer_frames(inferencer, frames(image, 1), find, only=1)
        assert [person.person for person in result.people] == [1]
        assert result.people[0].crop.side < 300
        (result,) = infer_frames(inferencer, frames(image, 1), find, only=2)
        assert result.problems == ["--person 2: clip_000000.jpg shows people 0, 1"]

    def test_people_keep_their_numbers(self, inferencer, image, skier):
        people = [skier, moved(skier, 220, 0.6)]
        find = find_by_detector(Detector(people, people[::-1]))
        results = list(infer_frames(inferencer, frames(image, 2), find, KeypointTracker()))
        for result in results:
            assert [person.person for person in result.people] == [0, 1]
            assert result.people[0].crop.side > result.people[1].crop.side

    def test_exchanged_sides_are_put_back(self, inferencer, image, skier, monkeypatch):
        """Of two frames out of twenty, whatever the batch; their depths, those of a mirrored body, are dropped."""
        told, infer = [], type(inferencer).__call__

        def note(self, photographs, keypoints2d, **options):
            told.extend(person.depths for (person,) in keypoints2d)
            return infer(self, photographs, keypoints2d=keypoints2d, **options)

        monkeypatch.setattr(type(inferencer), "__call__", note)
        mirrored = np.array(flip_permutation("coco"))
        depths = np.arange(34.0).reshape(17, 2)
        given = [dataclasses.replace(moved(skier, 2 * index), depths=depths) for index in range(20)]
        turned = list(given)
        for index in (4, 15):
            one = given[index]
            turned[index] = dataclasses.replace(one, keypoints2d=one.keypoints2d[mirrored], depths=depths[mirrored])
        find, guard = find_by_detector(Detector(*[[person] for person in turned])), SideSwapGuard()
        results = infer_frames(inferencer, frames(image, 20), find, KeypointTracker(), batch_size=3, sides=guard)
        found = [result.people[0].keypoints2d for result in results]
        np.testing.assert_array_equal(found, [person.keypoints2d for person in given])
        for index, one in enumerate(told):
            np.testing.assert_array_equal(one, np.zeros((17, 2)) if index in (4, 15) else depths)

    def test_a_person_who_cannot_be_cropped(self, inferencer, image):
        find = find_by_detector(lambda _: [CocoPerson(np.zeros((17, 3)), np.ones(4))])
        (result,) = infer_frames(inferencer, frames(image, 1), find)
        assert (result.people, len(result.problems)) == ([], 1)
        assert "person 0 of clip_000000.jpg: 0 keypoints are visible" in result.problems[0]

    def test_mixed_precision_changes_little(self, tiny_model, tiny_weights, image, skier):
        from mion_plugin.inference import MIONInferencer

        bodies = [
            MIONInferencer(tiny_model, tiny_weights, device="cpu", amp=amp)(image, keypoints2d=[skier])["predictions"]
            for amp in (False, True)
        ]
        full, mixed = (found[0].pose for ((found,),) in ([bodies[0]], [bodies[1]]))
        assert 0 < np.abs(full - mixed).max() < 0.2

    def test_bad_batch_size(self, inferencer):
        with pytest.raises(ValueError, match="batch_size is 0"):
            next(infer_frames(inferencer, [], find_by_detector(lambda _: []), batch_size=0))


class TestOverlay:
    @pytest.mark.parametrize("camera", ["crop", "image"])
    def test_the_body_covers_what_its_camera_projects(self, inferencer, image, skier, camera):
        ((person,),) = inferencer(image, keypoints2d=[skier])["predictions"]
        vertices, used = person.vertices[person.selected], person.crop_camera_in_image
        if camera == "image":
            vertices = vertices - person.transl[person.selected] + person.image_transl[person.selected]
            used = person.image_camera
        columns, rows = np.floor(used.project(torch.from_numpy(vertices)).numpy()).astype(int).T
        mask = (draw_people(image, [person], inferencer.model.body.faces, camera) != image).any(-1)
        assert mask[rows, columns].mean() > 0.97
        assert abs(np.nonzero(mask)[1].max() - columns.max()) <= 1

    def test_a_person_has_one_colour_in_every_picture(self, inferencer, skier):
        grey = np.full((425, 640, 3), 90, np.uint8)
        (_, person), faces = (
            inferencer(grey, keypoints2d=[skier, moved(skier, 100)])["predictions"][0],
            inferencer.model.body.faces,
        )
        assert (person.person, person.num_people) == (1, 2)
        vertices = torch.from_numpy(person.vertices[person.selected])
        pictures = {
            "overlay": draw_people(grey, [person], faces),
            "sheet": inferencer.draw(grey, person)[80:480, 480:1370],
            "views": np.hstack(draw_paths(grey, person, faces)[person.selected]),
            "turntable": draw_turntable(vertices, faces, body_color(1), num_pictures=1)[0],
        }
        wanted = np.array(body_color(1)) / max(body_color(1))
        for name, picture in pictures.items():
            body = picture[np.ptp(picture, axis=-1) > 60].astype(float)
            assert len(body) > 1000, name
            np.testing.assert_allclose(np.median(body / body.max(axis=1, keepdims=True), axis=0), wanted, atol=0.03)

    def test_an_unknown_camera(self, image):
        with pytest.raises(ValueError, match="camera is 'side', expected one of crop, image"):
            draw_people(image, [], torch.zeros(1, 3), "side")

    def test_a_body_lies_on_its_keypoints(self, inferencer, image, skier):
        """The random network leaves candidates about where they are, and those fit the keypoints."""
        for x, scale in ((0, 1.0), (250, 0.4)):
            ((person,),) = inferencer(image, keypoints2d=[moved(skier, x, scale)])["predictions"]
            rows, columns = np.nonzero((draw_people(image, [person], inferencer.model.body.faces) != image).any(-1))
            left, top, width, height = moved(skier, x, scale).bbox
            assert abs(columns.mean() - left - width / 2) < 0.3 * height
            assert abs(rows.mean() - top - height / 2) < 0.3 * height


class TestVideo:
    def test_pictures(self, inferencer, image, skier, tmp_path):
        av = pytest.importorskip("av")
        given = [*frames(image, 2), Frame(2, "clip_000002.jpg", None, "broken"), Frame(3, "clip_000003.jpg", image)]
        results = [FramePeople(frame) for frame in given]
        assert write_video(results, tmp_path / "a.mp4", 10.0, lambda result: result.frame.pixels) == [
            tmp_path / "a.mp4"
        ]
        with av.open(str(tmp_path / "a.mp4")) as video:
            assert len(list(video.decode(video=0))) == 3

    @pytest.mark.parametrize(
        ("error", "live", "kept"),
        [(RuntimeError, True, 0), (KeyboardInterrupt, False, 0), (KeyboardInterrupt, True, 1)],
    )
    def test_whole_or_absent(self, image, tmp_path, error, live, kept):
        pytest.importorskip("av")

        def results():
            yield FramePeople(Frame(0, "a", image))
            raise error

        source = FrameSource("a", (), None, 10.0, live)
        arguments = (results(), tmp_path / "a.mp4", 10.0, lambda result: result.frame.pixels, source)
        if kept:
            write_video(*arguments)
        else:
            with pytest.raises(error):
                write_video(*arguments)
        assert len(list(tmp_path.iterdir())) == kept

    def test_no_picture_no_video(self, tmp_path):
        broken = [FramePeople(Frame(0, "a", None, "broken"), problems=["broken"])]
        assert write_video(broken, tmp_path / "a.mp4", 10.0, lambda result: None) == []
        assert not list(tmp_path.iterdir())

    def test_photographs_have_no_time(self, image):
        assert describe_frame(FramePeople(Frame(3, "a.jpg", image)), None) == {
            "frame": 3, "time": None, "image": "a.jpg", "num_people": 0, "people": [], "problems": [], "others": [],
            "exchanged": [],
        }  # fmt: skip


class TestLines:
    """Results as lines of JSON, and back."""

    def test_a_line_tells_the_frame_and_reads_back_as_the_same_body(self, inferencer, image, skier):
        body = inferencer.model.body
        (result,) = infer_frames(inferencer, frames(image, 1), find_by_detector(lambda _: [skier, lost(skier)]))
        line = json.loads(json.dumps(describe_frame(result, 10.0), allow_nan=False))
        assert (line["frame"], line["time"], line["image"]) == (0, 0.0, "clip_000000.jpg")
        assert len(line["people"][0]["body_pose"]) == 69
        assert [one["person"] for one in line["others"]] == [1]
        read = read_frame(line, result.frame, body)
        assert describe_frame(read, 10.0) == line
        (given,), (found,) = result.people, read.people
        chosen = given.only_selected()
        np.testing.assert_allclose(found.vertices, chosen.vertices, atol=2e-4)
        np.testing.assert_allclose(found.pose, chosen.pose, atol=3e-5)
        assert found.crop_camera_in_image == chosen.crop_camera_in_image
        np.testing.assert_allclose(read.others[1], lost(skier).keypoints2d, atol=1e-5)

    def test_a_line_of_another_frame_or_of_nothing(self, body):
        line = describe_frame(FramePeople(Frame(3, "a", None)), 10.0)
        with pytest.raises(ValueError, match="it is of frame 3, a, expected 4, a"):
            read_frame(line, Frame(4, "a", None), body)
        with pytest.raises(ValueError, match="a line about frame 3 lacks 'others'"):
            read_frame({"frame": 3, "image": "a", "people": [], "problems": []}, Frame(3, "a", None), body)

    def test_a_resumed_run_gives_the_lines_of_one_that_was_not_stopped(self, inferencer, image, skier):
        """People come, cross, are lost for a frame, and keep their numbers."""
        body, other = inferencer.model.body, moved(skier, 220, 0.6)
        people = [[skier], [other, skier], [lost(skier), other], [], [moved(skier, 30), moved(other, 5), lost(skier)]]

        def lines(kept):
            tracker, detector = KeypointTracker(), Detector(*people[len(kept) :])
            results = resume_frames(
                kept,
                frames(image, len(people)),
                body,
                tracker,
                lambda rest: infer_frames(inferencer, rest, find_by_detector(detector), tracker, batch_size=1),
            )
            return [json.loads(json.dumps(describe_frame(result, 10.0))) for result in results]

        whole = lines([])
        assert len({person["person"] for line in whole for person in line["people"]}) > 1
        for count in range(1, len(people)):
            assert lines(whole[:count]) == whole

    def test_a_run_stopped_amid_exchanged_sides_goes_on_as_if_it_were_not(self, inferencer, image, skier):
        """Somebody walks to the right whom a detector takes for seen from behind in frames 8 to 14 of 22."""
        mirrored, count = np.array(flip_permutation("coco")), 22
        people = [moved(skier, 2 * index + 1 / 3) for index in range(count)]
        for index in range(8, 15):
            people[index] = dataclasses.replace(people[index], keypoints2d=people[index].keypoints2d[mirrored])

        def lines(kept, recalled=True):
            tracker, guard = KeypointTracker(), SideSwapGuard()
            find = find_by_detector(Detector(*[[person] for person in people[len(kept) :]]))
            results = resume_frames(
                kept,
                frames(image, count),
                inferencer.model.body,
                tracker,
                lambda rest: infer_frames(inferencer, rest, find, tracker, batch_size=3, sides=guard),
                guard if recalled else None,
            )
            return [json.loads(json.dumps(describe_frame(result, 10.0))) for result in results]

        whole = lines([])
        assert [line["frame"] for line in whole if line["exchanged"]] == list(range(8, 15))
        assert whole[8]["exchanged"][0]["keypoints"] == [name for name in keypoint_names("coco") if name != "nose"]
        assert lines(whole[:9]) == whole
        assert lines(whole[:9], recalled=False) != whole
