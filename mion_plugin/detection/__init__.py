"""2D keypoints of people from other packages' detectors; each package is imported where its detector is built."""
