"""HMR, SPIN, CLIFF, SMPLify, a lifter and MION on the same evidence, each row with the hash of what made it.

Two groups, each with a winner of its own: those that read the picture alone, and those that read 2D keypoints. A row is
measured once and kept until its weights, its config or its test data change; one that no longer holds is not shown.
"""

from benchmarks.methods.command import add_arguments, run

__all__ = ["add_arguments", "run"]
