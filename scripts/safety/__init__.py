"""Safety checks that take long: torture.py kills runs, hostile.py feeds them bad inputs."""
