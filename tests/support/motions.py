"""A person's motion, made up."""

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.inference.motion import BodyMotion


def make_motion(num_frames=6, seed=0, frame_rate=30.0, person=0):
    """Smooth random poses of someone who stands upright before the camera and turns."""
    rng = np.random.default_rng(seed)
    start, end = rng.normal(scale=0.4, size=(2, 24, 3))
    share = np.linspace(0, 1, num_frames)[:, None, None]
    rotvec = start + share * (end - start)
    pose = Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_matrix().reshape(num_frames, 24, 3, 3)
    pose[:, 0] = np.diag([1.0, -1.0, -1.0]) @ pose[:, 0]  # y down
    transl = np.array([0.3, 0.2, 5.0]) + share[:, 0] * [0.5, 0.05, -1.0]
    seen = np.ones(num_frames, bool)
    return BodyMotion(person, frame_rate, 0.5, pose, rng.normal(scale=0.5, size=10), transl, seen)
