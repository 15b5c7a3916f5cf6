"""Benchmarks: the figures of the README, measured. `python -m benchmarks --help`."""
