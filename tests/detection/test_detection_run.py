import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

from mion_plugin.detection import detection_run
from mion_plugin.detection.detection_run import detect_people
from mion_plugin.detection.person_boxes import PersonBoxes

NUM_PEOPLE = 7
SETTINGS = json.dumps({"checkpoint": "a.pth"})


@pytest.fixture
def people(tmp_path):
    """Two in each image, in boxes of their own."""
    names = tuple(f"{row // 2}.png" for row in range(NUM_PEOPLE))
    for number, name in enumerate(dict.fromkeys(names)):
        Image.new("RGB", (20 + number, 30), color=(number, 0, 0)).save(tmp_path / name)
    return PersonBoxes(names, np.arange(4.0 * NUM_PEOPLE).reshape(NUM_PEOPLE, 4) / 2 + 1.0)


class Corners:
    """Estimates each joint at the box's corner, confident as the image is red; notes how many came at once."""

    def __init__(self, die_at=None):
        self.batches = []
        self.die_at = die_at

    def __call__(self, images, boxes):
        if len(self.batches) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.batches.append(len(images))
        red = [image[0, 0, 0] / 10.0 for image in images]
        return np.stack([np.tile([*box[:2], one], (17, 1)) for box, one in zip(boxes, red, strict=True)])


def run(people, folder, estimate, **options):
    return detect_people(people, folder, estimate, folder / "pieces", SETTINGS, **{"batch_size": 2, **options})


def test_each_person_gets_their_own(people, tmp_path):
    estimate, done = Corners(), []
    found = run(people, tmp_path, estimate, batch_size=3, progress=done.append)
    np.testing.assert_array_equal(found.keypoints2d[:, 0, :2], people.boxes[:, :2])
    np.testing.assert_allclose(found.keypoints2d[:, 0, 2], [0, 0, 0.1, 0.1, 0.2, 0.2, 0.3])
    np.testing.assert_array_equal(found.boxes, people.boxes)
    np.testing.assert_array_equal(found.image_sizes[:, 0], [20, 20, 21, 21, 22, 22, 23])
    assert (found.image_sizes[:, 1] == 30).all()
    assert estimate.batches == [3, 3, 1]
    assert done[-1] == NUM_PEOPLE
    assert done == sorted(done)


def test_keypoints_outside_the_image_are_absent(people, tmp_path):
    beyond = PersonBoxes(people.image_paths, people.boxes + np.array([11.5, 0.0, 0.0, 0.0]))
    found = run(beyond, tmp_path, Corners()).keypoints2d
    assert beyond.boxes[3:, 0].tolist() == [18.5, 20.5, 22.5, 24.5]  # in images 21, 22, 22 and 23 wide
    assert not found[5:].any()
    np.testing.assert_array_equal(found[:5, 0, :2], beyond.boxes[:5, :2])


def test_without_boxes_the_image_is_the_box(people, tmp_path):
    found = run(PersonBoxes(people.image_paths), tmp_path, Corners())
    np.testing.assert_array_equal(found.boxes, np.hstack([np.zeros((NUM_PEOPLE, 2)), found.image_sizes]))


def test_a_killed_run_goes_on(people, tmp_path, monkeypatch):
    monkeypatch.setattr(detection_run, "PIECE", 2)
    child = os.fork()
    if child == 0:
        try:
            run(people, tmp_path, Corners(die_at=2))
        finally:
            os._exit(0)  # alive: the test fails
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (tmp_path / "pieces" / ".00000004.k2_x91ab.npz").write_bytes(b"half a piece")
    estimate = Corners()
    found = run(people, tmp_path, estimate)
    assert estimate.batches == [2, 1]  # of seven people four were done
    np.testing.assert_array_equal(found.keypoints2d[:, 0, :2], people.boxes[:, :2])
    assert sorted(path.name for path in (tmp_path / "pieces").iterdir()) == [
        *(f"{start:08d}.npz" for start in (0, 2, 4, 6)),
        "settings.json",
    ]


def test_other_settings_do_not_mix(people, tmp_path):
    run(people, tmp_path, Corners())
    with pytest.raises(ValueError, match=r"pieces is of a run with checkpoint 'a.pth' \(not 'b.pth'\); remove it"):
        detect_people(people, tmp_path, Corners(), tmp_path / "pieces", json.dumps({"checkpoint": "b.pth"}))


def test_bad_input(people, tmp_path):
    with pytest.raises(ValueError, match="batch size 0 and 2 workers"):
        run(people, tmp_path, Corners(), batch_size=0)
    (tmp_path / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.png does not exist"):
        run(people, tmp_path, Corners())
