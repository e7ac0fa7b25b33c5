"""Measure the worked ports of docs/guide/porting.md: each old program, and its port to cnnlab.

    python scripts/port_study.py --data_dir=./data
    python scripts/port_study.py --data_dir=./data --steps=100 feed_dict slim

The old program runs unchanged, by `cnnlab run-tf1`; the new one by Python. Both make the same
number of steps from a start of their own, and are measured by their own words: the accuracy on the
10,000 test images, and the images per second of training after its first fifth (of cnnlab: the
median of metrics.jsonl). `seconds` is a whole process, with imports, graph and test. The table goes
to stdout. Figures of speed need a machine without other work.
"""

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
PORTS: Final = ROOT / "docs/guide/ports"
NAMES: Final = ("feed_dict", "queues", "slim", "keras", "monitored")
HEADINGS: Final = ("port", "accuracy", "images/s", "seconds", "lines of code")
TEST_IMAGES: Final = 10000


class Measured(NamedTuple):
    """What a program did: its test accuracy, images per second, seconds, and lines of code."""

    accuracy: float
    speed: float
    seconds: float
    lines: int


def main() -> None:
    """Run the programs, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of MNIST and CIFAR-10")
    parser.add_argument("--steps", type=int, help="steps of each program; default: its own number")
    parser.add_argument("names", nargs="*", help=f"ports to run; default: {' '.join(NAMES)}")
    args = parser.parse_args()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for name in args.names or NAMES:
        old, new = (measure(name, which, args.data_dir, args.steps) for which in ("old", "new"))
        print(f"| {' | '.join(row(name, old, new))} |", flush=True)


def measure(name: str, which: str, data_dir: str, steps: int | None = None) -> Measured:
    """Run the old or the new program of a port in a folder of its own.

    Raises:
        RuntimeError: it failed.
    """
    program = PORTS / f"{name}_{which}.py"
    data = str(Path(data_dir).resolve())
    words = [str(program)] if which == "new" else ["-m", "cnnlab.run_tf1", "--data_dir", data]
    words += [str(program)] if which == "old" else []
    words += [] if steps is None else [str(steps)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").symlink_to(data)
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            capture_output=True,
            check=False,
        )
        seconds = time.monotonic() - start
        if done.returncode != 0:
            raise RuntimeError(f"{program.name} failed: {done.stderr[-2000:]}")
        speed = _said("images/s", done.stdout) if which == "old" else _speed(Path(folder))
    return Measured(_said("accuracy", done.stdout), speed, seconds, lines_of_code(program))


def _said(word: str, text: str) -> float:
    return float(re.findall(rf"^{word} ([\d.]+)$", text, re.MULTILINE)[-1])


def _speed(folder: Path) -> float:
    lines = (folder / "save/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    speeds = [each["images_per_sec"] for each in rows if each["split"] == "train"]
    return statistics.median(speeds[len(speeds) // 5 :])


def lines_of_code(program: Path) -> int:
    """Return the number of lines that are neither empty nor a comment."""
    lines = (line.strip() for line in program.read_text(encoding="utf-8").splitlines())
    return sum(1 for line in lines if line and not line.startswith("#"))


def noise(one: float, other: float) -> float:
    """Return two standard errors of the difference of two accuracies on the test images."""
    return 2 * math.sqrt(sum(each * (1 - each) for each in (one, other)) / TEST_IMAGES)


def row(name: str, old: Measured, new: Measured) -> Sequence[str]:
    """Return the row of a port: old and new figures, and how much faster the new one is."""
    return (
        name,
        f"{old.accuracy:.2%} / {new.accuracy:.2%} (±{noise(old.accuracy, new.accuracy):.2%})",
        f"{old.speed:,.0f} / {new.speed:,.0f} ({new.speed / old.speed:.1f}x)",
        f"{old.seconds:.0f} / {new.seconds:.0f}",
        f"{old.lines} / {new.lines}",
    )


if __name__ == "__main__":
    main()
