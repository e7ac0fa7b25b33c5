"""Measure the speed and the memory of cnnlab; benchmark.py compares it with other libraries."""
