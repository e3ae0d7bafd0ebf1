"""Every way to an answer on a calibrated real clip with 3D truth, with its picture and without, into docs/real.md."""

from benchmarks.real.command import add_arguments, run

__all__ = ["add_arguments", "run"]
