"""Check on a GPU that cnnlab trains there, that it computes the same, and how fast it is.

    python scripts/gpu_check.py                 # on the GPU that TensorFlow sees, in five minutes
    python scripts/gpu_check.py --minutes=15    # enough for all checks on slower machines
    python scripts/gpu_check.py --device=cpu    # a tiny form, to see that the checks work

It has not run on a GPU yet. Checks, the most important ones first: the placement of operations; the
losses of 20 steps as on the CPU, for three networks; evaluation; export; the bits of a run that
stops and resumes (with deterministic operations); the speed of three networks in three precisions,
beside PyTorch if it is installed, and with XLA. The comparisons with the CPU are without TF32. A
check that fails does not stop the others. Checks for which no time is left are not run. Writes a
JSON file and prints tables. The exit code is 1 if a check failed.
"""

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's scripts and cnnlab

from cnnlab.base.machine import PACKAGES, commit, describe_machine, versions
from scripts.bench.contestants import CONTESTANTS

MODELS: Final = ("cifar_cnn", "resnet20", "airbench94")
PRECISIONS: Final = ("float32", "bfloat16", "float16")
WORKER: Final = Path(__file__).resolve().parent / "bench" / "on_device.py"
# A GPU that is newer than this TensorFlow compiles its kernels at their first use, and XLA compiles
# each network.
LONGEST_CHECK_SECS: Final = 100.0
LEAST_SECS: Final = 5.0  # with less time left, no process is started
LONGEST_END_SECS: Final = 10.0  # of a process that has made its last check
NO_TIME: Final = "no time left; use a larger --minutes"
# TensorFlow takes the memory that it needs, not all: others may use this GPU or another one.
GROWTH: Final = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
Row = dict[str, Any]


class Group(NamedTuple):
    """Checks that one process makes, with its further environment variables."""

    checks: list[str]
    environment: Mapping[str, str] = {}


def groups(models: Sequence[str], precisions: Sequence[str]) -> list[Group]:
    """Return the checks, by process; the most important ones first."""
    cells = [f"{model} {precision}" for precision in precisions for model in models]
    found = [
        Group(["device", *(f"placement {model}" for model in models)]),
        Group(
            [*(f"losses {model}" for model in models), "evaluation", "export"],
            {"NVIDIA_TF32_OVERRIDE": "0"},
        ),
        Group(["resume"], {"TF_DETERMINISTIC_OPS": "1"}),
        Group([f"train {cell} plain" for cell in cells]),
        Group([f"torch {cell}" for cell in cells]),
        Group([f"train {cell} xla" for cell in cells]),
    ]
    return [group for group in found if group.checks]


def run_group(
    rows: list[Row],
    group: Group,
    settings: Mapping[str, Any],
    deadline: float,
    longest_secs: float,
) -> None:
    """Make the checks of a group; after a crash or a timeout go on with the next check.

    Args:
        rows: receives what each check found, as soon as it is made.
        group: the checks.
        settings: those of `scripts.bench.on_device.Settings`.
        deadline: when to end, in `time.monotonic` seconds. The checks that are left are not run.
        longest_secs: the longest time for one check.
    """
    before = len(rows)
    while left := group.checks[len(rows) - before :]:
        if time.monotonic() > deadline - LEAST_SECS:
            rows += [_row(name, "not run", NO_TIME) for name in left]
            return
        words = [sys.executable, str(WORKER), json.dumps({**settings, "checks": left})]
        why = _run(rows, words, len(left), group.environment, deadline, longest_secs)
        if why:
            name = group.checks[len(rows) - before]
            rows.append(_row(name, "not run" if why == NO_TIME else "failed", why))
            _say(rows[-1])
        if _lacks_device(rows):
            return


def _row(check: str, state: str, message: str) -> Row:
    return {"check": check, "state": state, "message": message, "secs": None}


def _lacks_device(rows: Sequence[Row]) -> bool:
    """Return whether the first check failed, which all others need."""
    return bool(rows) and rows[0]["check"] == "device" and rows[0]["state"] == "failed"


def _run(
    rows: list[Row],
    words: Sequence[str],
    count: int,
    more: Mapping[str, str],
    deadline: float,
    longest_secs: float,
) -> str:
    """Add the rows that a process prints, at most `count`; return one line on how it ended."""
    environment = {**CONTESTANTS["cnnlab"].environment(os.environ), **GROWTH, **more}
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
        )
        assert process.stdout is not None
        reader = threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            for _ in range(count):
                # The first check of all may have to compile TensorFlow's kernels.
                most = longest_secs if rows else 2 * longest_secs
                secs = min(most, deadline - time.monotonic())
                line = lines.get(timeout=max(secs, 0.01))
                if line is None:
                    end = f"the process ended with code {process.wait(LONGEST_END_SECS)}"
                    errors.seek(0)
                    last = errors.read().strip().splitlines()[-1:]
                    return f"{end}: {last[0][:200]}" if last else end
                rows.append(json.loads(line))
                _say(rows[-1])
                if _lacks_device(rows):
                    return ""
            with contextlib.suppress(subprocess.TimeoutExpired):  # all rows are there
                process.wait(LONGEST_END_SECS)
        except queue.Empty:
            return NO_TIME if secs < most else f"not finished after {secs:.0f} s"
        except subprocess.TimeoutExpired:
            return "the process closed its output, but does not end"
        finally:
            process.kill()
            process.wait()
            reader.join(LONGEST_END_SECS)
    return ""


def _pass_on(stream: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
    """Put the lines of a stream that are JSON objects into a queue, and None at its end."""
    with stream:
        for line in stream:
            if line.endswith("}\n"):
                lines.put(line)
    lines.put(None)


def _say(row: Row) -> None:
    secs = "" if row["secs"] is None else f", {row['secs']:.0f} s"
    why = f": {row['message']}" if row["message"] else ""
    print(f"{row['check']}: {row['state']}{secs}{why}", file=sys.stderr, flush=True)


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


def make_all(
    checks: Sequence[Group], settings: Mapping[str, Any], deadline: float, longest_secs: float
) -> list[Row]:
    """Make all checks that the time allows; without the device, or after Ctrl-C, no more."""
    rows: list[Row] = []
    try:
        for group in checks:
            if not _lacks_device(rows):
                run_group(rows, group, settings, deadline, longest_secs)
        why = "the device cannot be used"
    except KeyboardInterrupt:
        why = "interrupted"
    names = [name for group in checks for name in group.checks]
    return rows + [_row(name, "not run", why) for name in names[len(rows) :]]


def main() -> int:
    """Make the checks; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="gpu", help="gpu, gpu:N, or cpu for a tiny form")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="the longest time for all checks"
    )
    parser.add_argument("--out", default="gpu_check.json", help="JSON file to write")
    parser.add_argument("--models", default=",".join(MODELS), help="networks to train")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="precisions to train in")
    args = parser.parse_args()
    deadline = time.monotonic() + 60 * args.minutes
    is_tiny = args.device == "cpu"
    chosen = [list(filter(None, text.split(","))) for text in (args.models, args.precisions)]
    for names, known in zip(chosen, (MODELS, PRECISIONS), strict=True):
        if unknown := set(names) - set(known):
            parser.error(f"no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    with tempfile.TemporaryDirectory() as scratch:
        settings = {
            "device": args.device,
            "scratch": scratch,
            "secs": 0.2 if is_tiny else 2.0,
            "images": 8 if is_tiny else None,
        }
        longest_secs = max(LONGEST_CHECK_SECS, 20 * args.minutes)  # more where there is time
        rows = make_all(groups(*chosen), settings, deadline, longest_secs)
    result = {
        "device": args.device,
        "minutes": args.minutes,
        "machine": describe_machine(),
        "versions": versions((*PACKAGES, "torch")),
        "commit": commit(),
        "checks": rows,
    }
    Path(args.out).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(rows))
    counts = {state: sum(row["state"] == state for row in rows) for state in ("failed", "not run")}
    shown = ", ".join(f"{count} {state}" for state, count in counts.items())
    print(f"\n{len(rows)} checks, {shown}; written: {args.out}")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: no process is left
    sys.exit(main())
