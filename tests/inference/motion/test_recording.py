import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support.motions import make_motion
from support.people import make_person

from mion_plugin.body import SMPLBody
from mion_plugin.inference import Frame
from mion_plugin.inference.frames import FramePeople
from mion_plugin.inference.motion import MotionRecorder

RATE = 10.0


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


def record(body, times, angles, number=0):
    recorder = MotionRecorder(body, RATE)
    for index, (time, angle) in enumerate(zip(times, angles, strict=True)):
        people = [] if angle is None else [make_person(body, angle, number=number)]
        recorder.add(FramePeople(Frame(index, "a", None, time=time), people))
    return recorder.motions()


def elbow(motion):
    return Rotation.from_matrix(motion.pose[:, 18]).as_rotvec()[:, 1]


def test_even_frames_are_kept_as_they_are(body):
    (motion,) = record(body, [2.0, 2.1, 2.2004, 2.3], [0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(elbow(motion), [0.1, 0.4, 0.2, 0.3], atol=1e-6)
    assert (motion.start, motion.frame_rate, motion.seen.all()) == (2.0, RATE, True)


def test_gaps_are_bridged_along_the_shorter_arc_and_told(body):
    (motion,) = record(body, [0.0, 0.1, 0.2, 0.3, 0.4], [0.0, None, None, None, 1.0])
    np.testing.assert_allclose(elbow(motion), [0, 0.25, 0.5, 0.75, 1.0], atol=1e-6)
    np.testing.assert_array_equal(motion.seen, [True, False, False, False, True])


def test_uneven_frames_are_put_at_an_even_rate(body):
    times = np.array([0.0, 0.05, 0.21, 0.38, 0.5])
    (motion,) = record(body, times, 2 * times)
    np.testing.assert_allclose(elbow(motion), 2 * np.arange(6) / 10, atol=1e-6)


def test_each_person_has_a_motion_of_their_own(body):
    recorder = MotionRecorder(body, RATE)
    for index in range(4):
        people = [make_person(body, 0.1 * index, number=number) for number in ((0,) if index < 2 else (0, 3))]
        recorder.add(FramePeople(Frame(index, "a", None), people))
    first, second = recorder.motions()
    assert [(one.person, len(one), one.start) for one in (first, second)] == [(0, 4, 0.0), (3, 2, 0.2)]


def test_the_pelvis_stays_where_the_frames_own_shape_has_it(body):
    (motion,) = record(body, [0.0, 0.1], [0.0, 0.8])  # betas are all the angle
    np.testing.assert_allclose(motion.betas, 0.4, atol=1e-6)
    for index, angle in enumerate((0.0, 0.8)):
        person = make_person(body, angle)
        own = body(*(torch.from_numpy(one[1]) for one in (person.pose, person.betas, person.image_transl))).joints[0]
        given = (motion.pose[index], motion.betas, motion.transl[index])
        found = body(*(torch.from_numpy(one).float() for one in given)).joints[0]
        np.testing.assert_allclose(found, own, atol=1e-5)


def test_another_frame_turns_the_body_and_its_path(body):
    motion = make_motion()
    world = Rotation.from_euler("xyz", [0.3, 1.0, -0.5]).as_matrix()
    rest = body(torch.zeros(24, 3), torch.from_numpy(motion.betas).float()).joints[0].numpy()
    pose, transl = motion.in_world(world, rest)
    shape = np.tile(motion.betas, (len(motion), 1))
    before, after = (
        body(*(torch.from_numpy(one).float() for one in (turns, shape, moves))).vertices.numpy()
        for turns, moves in ((motion.pose, motion.transl), (pose, transl))
    )
    np.testing.assert_allclose(after, before @ world.T, atol=1e-5)


def test_a_frame_of_the_last_ones_time_tells_nothing(body):
    (motion,) = record(body, [0.0, 0.1, 0.1, 0.2], [0.0, 0.1, 0.9, 0.2])
    np.testing.assert_allclose(elbow(motion), [0, 0.1, 0.2], atol=1e-6)
