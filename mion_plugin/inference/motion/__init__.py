"""The motion of tracked people as files that animation programs, gait laboratories and our own pool builder open."""

from mion_plugin.inference.motion.recording import BodyMotion, MotionRecorder
from mion_plugin.inference.motion.saving import save_motion

__all__ = ["BodyMotion", "MotionRecorder", "save_motion"]
