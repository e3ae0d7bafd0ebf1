"""A run over a folder of synthetic people: as the demo's loop, resumable, the same files by any number of parts."""

import json
import shutil
import tarfile

import numpy as np
import pytest
import roma
import torch

from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import MIONInferencer, find_in_file, infer_frames, open_source
from mion_plugin.prediction import Pace, Part, open_photographs, predict, read_predictions, read_shard
from mion_plugin.prediction.keypoints import DetectedPeople, KeypointTable
from mion_plugin.prediction.summary import write_summaries

TOLERANCE = 1e-5
IN_PROCESS = Pace(batch_size=3, num_workers=0)


def run(inferencer, pictures, folder, pace=IN_PROCESS, part=None, piece_size=3, tell=lambda done: None):
    source = open_photographs([str(pictures.folder)], piece_size=piece_size)
    part = part or Part()
    names = predict(inferencer, source.pieces(part), KeypointTable(pictures.keypoints), folder, pace, tell)
    return write_summaries(folder, names, part)[1]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def done(inferencer, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    return folder, run(inferencer, pictures, folder)


def require_same_bodies(people, expected, body):
    """Rows of shards and the demo's results."""
    rows = [(shard, row) for shard in people for row in range(len(shard))]
    assert len(rows) == len(expected)
    for (shard, row), person in zip(rows, expected, strict=True):
        again = shard.bodies(row, body)
        assert (again.person, again.selected, again.image_size) == (person.person, person.selected, person.image_size)
        stored = roma.rotvec_to_rotmat(torch.from_numpy(shard.pose[row])).numpy()
        np.testing.assert_allclose(stored, person.pose, atol=TOLERANCE)
        for name in ("betas", "transl", "keypoints2d", "fit_loss", "fit_cost", "scores", "selection_scores"):
            if getattr(person, name) is not None:
                stored = getattr(shard, name)[row]
                np.testing.assert_allclose(stored, getattr(person, name), rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)
        np.testing.assert_allclose(again.vertices, person.vertices, atol=TOLERANCE)
        assert again.arrays().keys() == person.arrays().keys()
        for name, value in person.arrays().items():
            np.testing.assert_allclose(again.arrays()[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(again.crop.center, person.crop.center)
        assert again.crop.side == person.crop.side
        assert (again.rule, again.score_unit, again.gender) == (person.rule, person.score_unit, person.gender)
        assert again.reason == person.reason


class TestEquality:
    def test_with_the_inferencer_on_every_person(self, inferencer, pictures, done):
        flat = []
        for name in pictures.names:
            if name not in ("broken.jpg", "empty.png"):
                people = KeypointTable(pictures.keypoints)(open_one(pictures, name), None)
                people = [person for person in people if (person.keypoints2d[:, 2] > 0).sum() > 2]
                flat += inferencer(pictures.folder / name, keypoints2d=people)["predictions"][0]
        require_same_bodies(read_predictions(done[0]), flat, inferencer.model.body)

    def test_with_the_demo_by_the_packaged_model(self, pictures, people, tmp_path):
        """The photograph of the demo, and synthetic people, in the demo's loop.

        All in one batch: what others are in a batch may change the last bit of a body, by which mion.KeypointFit may
        go another step, so that bodies of the demo in batches of other sizes differ by up to 2e-4.
        """
        shutil.copytree(pictures.folder, tmp_path / "images")
        for path in [tmp_path / "images" / "broken.jpg", *(tmp_path / "images" / "sub").iterdir()]:
            path.unlink()
        shutil.copy(PHOTO, tmp_path / "images")
        shown = json.loads(pictures.keypoints.read_text())
        skier = json.loads(KEYPOINTS.read_text())
        for key in ("images", "annotations"):
            shown[key] += skier[key]
        (tmp_path / "k.json").write_text(json.dumps(shown))
        inferencer = MIONInferencer(device="cpu")
        frames = open_source(str(tmp_path / "images")).frames
        results = list(infer_frames(inferencer, frames, find_in_file(tmp_path / "k.json"), batch_size=8))
        source = open_photographs([str(tmp_path / "images")])
        predict(inferencer, source.pieces(Part()), KeypointTable(tmp_path / "k.json"), tmp_path / "out", Pace(8, 0))
        expected = [person for result in results for person in result.people]
        assert len(expected) == 5
        assert expected[0].expected_error is not None
        assert expected[0].score_unit is not None
        (shard,) = read_predictions(tmp_path / "out")
        told = [shard.bodies(row, inferencer.model.body).num_people for row in range(len(shard))]
        assert told == [person.num_people for person in expected]
        require_same_bodies(read_predictions(tmp_path / "out"), expected, inferencer.model.body)


def open_one(pictures, name):
    pieces = open_photographs([str(pictures.folder)]).pieces(Part())
    return next(one for piece in pieces for one in piece.photographs if one.name == name)


class TestFiles:
    def test_two_kilobytes_a_person(self, done):
        (shard, *_) = read_predictions(done[0])
        arrays = {name: value for name, value in vars(shard).items() if isinstance(value, np.ndarray)}
        of_five_paths = sum(value[0].nbytes * (5 / 3 if value.shape[1:2] == (3,) else 1) for value in arrays.values())
        assert of_five_paths < 3000

    def test_what_was_skipped_is_told(self, done, pictures):
        folder, summary = done
        assert json.loads((folder / "summary.json").read_text()) == summary
        assert (summary["photographs"], summary["people"], summary["shards"]) == (7, 6, 3)
        skipped = {entry["image_name"]: (entry["kind"], entry["why"]) for entry in summary["skipped"]}
        assert set(skipped) == {"broken.jpg", "empty.png", "1.png"}
        assert summary["num_skipped"] == {
            "archive that cannot be read": 0,
            "image that cannot be read": 1,
            "image without people": 1,
            "person without a body": 1,
        }

    def test_workers_change_nothing(self, done, inferencer, pictures, tmp_path):
        run(inferencer, pictures, tmp_path, Pace(batch_size=3, num_workers=2))
        assert contents(tmp_path) == contents(done[0])

    def test_what_is_there_is_not_done_again(self, done, inferencer, pictures, tmp_path):
        shutil.copytree(done[0], tmp_path, dirs_exist_ok=True)
        (tmp_path / "000001.npz").unlink()
        (tmp_path / "summary.json").unlink()
        (tmp_path / ".000001.abcd1234.npz").write_bytes(b"cut o")  # of a run that was killed
        told = []
        run(inferencer, pictures, tmp_path, tell=told.append)
        assert [one.name for one in told] == ["000001"]
        assert contents(tmp_path) == contents(done[0])

    @pytest.mark.parametrize("count", [2, 4])
    def test_parts_make_the_same_shards_and_one_summary(self, done, inferencer, pictures, tmp_path, count):
        for index in reversed(range(count)):
            assert not (tmp_path / "summary.json").exists()
            run(inferencer, pictures, tmp_path, part=Part(index, count))
        whole = contents(done[0])
        found = contents(tmp_path)
        assert {name: found[name] for name in whole if name.endswith(".npz")} == {
            name: content for name, content in whole.items() if name.endswith(".npz")
        }
        joined, expected = (json.loads(content["summary.json"]) for content in (found, whole))
        for one in (joined, expected):
            one["skipped"].sort(key=lambda entry: entry["image_name"])
        assert joined == expected

    def test_tars_give_what_the_folder_does(self, done, inferencer, pictures, tmp_path):
        """One tar; another that is none, and becomes a shard that says so."""
        with tarfile.open(tmp_path / "b.tar", "w") as archive:
            for name in pictures.names:
                archive.add(pictures.folder / name, name)
        (tmp_path / "a.tar").write_bytes(b"nothing")
        source = open_photographs([str(tmp_path)], piece_size=3)
        table = KeypointTable(pictures.keypoints)
        names = predict(inferencer, source.pieces(Part()), table, tmp_path / "out", IN_PROCESS)
        assert names == ["a-0000", "b-0000", "b-0001", "b-0002"]
        assert read_shard(tmp_path / "out" / "a-0000.npz") is None
        summary = write_summaries(tmp_path / "out", names, Part())[1]
        assert (summary["photographs"], summary["people"]) == (7, 6)
        assert summary["num_skipped"]["archive that cannot be read"] == 1
        for shard, expected in zip(read_predictions(tmp_path / "out"), read_predictions(done[0]), strict=True):
            assert [name.removeprefix("b.tar/") for name in shard.image_name] == expected.image_name.tolist()
            np.testing.assert_array_equal(shard.pose, expected.pose)


def test_photographs_are_read_no_further_ahead_than_needed(inferencer, pictures, tmp_path):
    """Of a million photographs, those of the pieces to come are not looked at."""
    begun = []

    def pieces():
        for piece in open_photographs([str(pictures.folder)], piece_size=1).pieces(Part()):
            begun.append(piece.name)
            yield piece

    seen = []
    people_of = KeypointTable(pictures.keypoints)
    predict(inferencer, pieces(), people_of, tmp_path, IN_PROCESS, lambda done: seen.append((done.name, len(begun))))
    assert all(count <= int(name) + 2 for name, count in seen)


def test_a_detector_that_cannot_be_made_ends_the_run(inferencer, pictures, tmp_path):
    """It must not be taken for photographs that cannot be read."""

    def make():
        raise FileNotFoundError("weights.pth does not exist")

    pieces = open_photographs([str(pictures.folder)]).pieces(Part())
    with pytest.raises(FileNotFoundError, match=r"weights\.pth does not exist"):
        predict(inferencer, pieces, DetectedPeople(make), tmp_path, IN_PROCESS)
    assert list(tmp_path.iterdir()) == []


def test_bodies_of_another_gender_are_not_written(inferencer, pictures, tmp_path):
    """They would be those of the neutral body, without a word."""
    with pytest.raises(ValueError, match="the inferencer's gender is female"):
        run(inferencer.in_gender("female"), pictures, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pace", [(0, 1), (1, -1)])
def test_bad_pace(pace):
    with pytest.raises(ValueError, match="expected at least 1 and at least 0"):
        Pace(*pace)
