"""The parts of scripts/benchmark.py; see there."""
