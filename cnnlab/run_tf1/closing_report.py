"""What is said at the program's end: what stood in for what, and what cnnlab would do."""

from __future__ import annotations

from cnnlab.base.printing import print_lines
from cnnlab.run_tf1 import noted


def print_report() -> None:
    """Print the report on stderr."""
    lines = [f"  {old}: {new}" for old, new in noted.stand_ins.items()]
    if lines:
        print_lines("run-tf1: what stood in for what the program used:", to_stderr=True)
        print_lines("\n".join(lines), to_stderr=True)
