"""Bodies pulled onto 2D keypoints."""
