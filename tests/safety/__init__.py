"""Tests of what cnnlab must survive: kills, damage, full disks, bad inputs."""
