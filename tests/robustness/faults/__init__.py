"""Hostile input through the public doors; see ``tools/benchmark.py faults``."""
