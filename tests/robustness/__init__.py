"""Suites of hostile input, kills and memory; `make faults` and `tools/benchmark.py faults|kills|memory` run them."""
