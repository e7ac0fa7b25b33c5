"""Check on a GPU that cnnlab trains there, that it computes the same, and how fast it is.

    python scripts/gpu_check.py                 # on the GPU that TensorFlow sees
    python scripts/gpu_check.py --device=cpu    # a tiny form, to see that the checks work

It is meant to take about five minutes; it has not run on a GPU yet. Checks: the placement of
operations; training of three networks in three precisions, with and without XLA, beside PyTorch if
it is installed; the losses of 20 steps as on the CPU (without TF32); the bits of a run that stops
and resumes (with deterministic operations); evaluation; export. A check that fails does not stop
the others. Writes a JSON file and prints tables. The exit code is 1 if a check failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's scripts and cnnlab

from cnnlab.base.machine import PACKAGES, commit, describe_machine, versions
from scripts.bench.contestants import CONTESTANTS

MODELS: Final = ("cifar_cnn", "resnet20", "airbench94")
PRECISIONS: Final = ("float32", "bfloat16", "float16")
WORKER: Final = Path(__file__).resolve().parent / "bench" / "on_device.py"
Row = dict[str, Any]


class Group(NamedTuple):
    """Checks that one process makes, with its further environment variables."""

    checks: list[str]
    environment: Mapping[str, str] = {}


def groups(models: Sequence[str], precisions: Sequence[str]) -> list[Group]:
    """Return the checks, by process."""
    trained = [
        Group([f"train {model} {p} {xla}" for p in precisions for xla in ("plain", "xla")])
        for model in models
    ]
    beside = Group([f"torch {model} {p}" for model in models for p in precisions])
    return [
        Group(["placement"]),
        *trained,
        *([beside] if beside.checks else []),
        Group(["losses"], {"NVIDIA_TF32_OVERRIDE": "0"}),
        Group(["resume"], {"TF_DETERMINISTIC_OPS": "1"}),
        Group(["evaluation", "export"]),
    ]


def run_group(group: Group, settings: Mapping[str, Any], secs: float) -> list[Row]:
    """Make the checks of a group; after a crash or a timeout go on with the next check.

    Args:
        group: the checks.
        settings: those of `scripts.bench.on_device.Settings`.
        secs: the longest time for one process.
    """
    rows: list[Row] = []
    while len(rows) < len(group.checks):
        left = group.checks[len(rows) :]
        words = [sys.executable, str(WORKER), json.dumps({**settings, "checks": left})]
        made, end = _run(words, group.environment, secs)
        rows += made
        if len(made) < len(left):
            failed = {"check": left[len(made)], "state": "failed", "message": end, "secs": None}
            rows.append(failed)
    return rows


def _run(words: Sequence[str], more: Mapping[str, str], secs: float) -> tuple[list[Row], str]:
    """Return the rows that a process printed, and one line on how it ended."""
    environment = {**CONTESTANTS["cnnlab"].environment(os.environ), **more}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        try:
            done = subprocess.run(words, stdout=out, stderr=errors, env=environment, timeout=secs)
            end = f"the process ended with code {done.returncode}"
        except subprocess.TimeoutExpired:
            end = f"not finished after {secs:.0f} s"
        for stream in (out, errors):
            stream.seek(0)
        rows = [json.loads(line) for line in out.read().splitlines() if line.endswith("}")]
        last = errors.read().strip().splitlines()[-1:]
    return rows, f"{end}{': ' if last else ''}{''.join(last)[:200]}"


def table(rows: Sequence[Row]) -> str:
    """Return the checks as Markdown: their states, then the speeds beside each other."""
    lines = ["| check | state | seconds | what was found |", "|---|---|---|---|"]
    for row in rows:
        found = row["message"] or ", ".join(
            f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.get("figures", {}).items()
        )
        secs = "" if row["secs"] is None else f"{row['secs']:.0f}"
        lines.append(f"| {row['check']} | {row['state']} | {secs} | {found.replace('|', '/')} |")
    return "\n".join([*lines, *speeds(rows)])


def speeds(rows: Sequence[Row]) -> list[str]:
    """Return the table of images/s: a row for each network and precision."""
    found = {row["check"]: row["figures"]["images_per_sec"] for row in rows if _is_speed(row)}
    keys = dict.fromkeys(tuple(name.split()[1:3]) for name in found)
    lines = [
        "",
        "| network | precision | cnnlab | cnnlab, XLA | PyTorch |",
        "|---|---|---|---|---|",
    ]
    for model, precision in keys:
        names = [f"train {model} {precision} {xla}" for xla in ("plain", "xla")]
        cells = [found.get(name) for name in (*names, f"torch {model} {precision}")]
        shown = ["" if cell is None else f"{cell:,.0f} images/s" for cell in cells]
        lines.append(f"| {model} | {precision} | {' | '.join(shown)} |")
    return lines if found else []


def _is_speed(row: Row) -> bool:
    return "images_per_sec" in row.get("figures", {})


def main() -> int:
    """Make the checks; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="gpu", help="gpu, gpu:N, or cpu for a tiny form")
    parser.add_argument("--out", default="gpu_check.json", help="JSON file to write")
    parser.add_argument("--models", default=",".join(MODELS), help="networks to train")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="precisions to train in")
    args = parser.parse_args()
    is_tiny = args.device == "cpu"
    rows: list[Row] = []
    chosen = [list(filter(None, text.split(","))) for text in (args.models, args.precisions)]
    with tempfile.TemporaryDirectory() as scratch:
        settings = {
            "device": args.device,
            "scratch": scratch,
            "secs": 0.2 if is_tiny else 3.0,
            "images": 8 if is_tiny else None,
        }
        for group in groups(*chosen):
            print(", ".join(group.checks), "...", file=sys.stderr, flush=True)
            rows += run_group(group, settings, secs=240)
    result = {
        "device": args.device,
        "machine": describe_machine(),
        "versions": versions((*PACKAGES, "torch")),
        "commit": commit(),
        "checks": rows,
    }
    Path(args.out).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(rows))
    failed = [row["check"] for row in rows if row["state"] == "failed"]
    print(f"\n{len(rows)} checks, {len(failed)} failed; written: {args.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
