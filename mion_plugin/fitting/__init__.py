"""Bodies pulled onto the 2D keypoints: from several good guesses to several that also explain the keypoints."""

from mion_plugin.fitting.consensus import posterior_mean
from mion_plugin.fitting.keypoint_fit import FittedBodies, KeypointFit
from mion_plugin.fitting.priors import StartPrior

__all__ = ["FittedBodies", "KeypointFit", "StartPrior", "posterior_mean"]
