"""Tests of what cnnlab promises to survive."""
