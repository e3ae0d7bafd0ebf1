"""What the tools' options may be, and their defaults.

They stand apart from the modules that they belong to, and which name them too, because importing those takes seconds.
"""

from __future__ import annotations

from pathlib import Path

IMAGE_SIZE = 224  # px, side of the square crop
TEST_FRACTION = 0.2  # share of the recordings whose poses are for tests
MESH_FORMATS = ("obj", "glb", "ply")
MOTION_FORMATS = ("npz", "bvh", "glb", "csv")
OVERLAY_CAMERAS = ("crop", "image")
# The one-euro filter. Hz at rest, where Casiez et al. begin (CHI 2012, section "Tuning the filter").
SMOOTH_MIN_CUTOFF = 1.0
# Hz per radian a second: an arm that swings at 6 radians a second is cut off at 19 Hz, and lags 8 ms. Chosen on
# people of the training recordings (docs/results.md).
SMOOTH_BETA = 3.0
EXPORT_FORMATS = {"onnx": ".onnx", "torch": ".pt2"}  # format -> ending
STAND_IN_PATH = Path(__file__).parent / "body" / "data" / "stand_in_body.npz"
STAND_IN = "stand-in"  # the free body, where an option names a body model
NEUTRAL = "neutral"  # the gender of the networks' body
STAND_IN_GENDERS = (NEUTRAL, "male", "female")
LOOKS = ("plain", "training", "harsh")  # recipes of synthetic pictures
