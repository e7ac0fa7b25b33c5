"""Kill workers of shared runs at random moments, restart them, and compare with an undisturbed run.

    python scripts/safety/worker_kills.py --kills=100 --seed=1

One process first trains a small network alone. Then runs of several workers are started, and a
random one of them, the chief or another, gets SIGKILL: at any time, or while the chief writes a
checkpoint, the best step or a line of metrics. The others must end by themselves with exit code 75.
Then all are started again, until the run has finished. Each finished run must have the files of the
run of one process, byte for byte. Exits with 1 if anything differs. Writes OUT.json and OUT.txt.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab.base.machine import versions
from cnnlab.base.tf1 import legacy_core, tf
from scripts.safety.comparing import divergences
from scripts.safety.killing import AIMS, delay_secs
from scripts.safety.shared_runs import OPTIONS, TIMEOUT_SECS, Workers

LOST = 75  # exit code of a worker that has lost another one


def main() -> int:
    """Kill workers, and report; return the exit code."""
    args = parse_args()
    _ = (tf.errors, legacy_core.Dense)  # forked children inherit the imported modules
    with tempfile.TemporaryDirectory(dir=args.work_dir, prefix="worker-kills-") as work:
        report = torture(args, Path(work))
    print(text_of(report), flush=True)
    if args.out:
        out = Path(args.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{out}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        Path(f"{out}.txt").write_text(text_of(report) + "\n", encoding="utf-8")
    return 1 if report["divergences"] or report["wrong_ends"] else 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="kills in all")
    parser.add_argument("--workers", type=int, default=4, choices=(2, 4), help="workers of a run")
    parser.add_argument("--seed", type=int, default=1, help="seed of the victims and times")
    parser.add_argument("--out", help="path of the report without its ending")
    parser.add_argument("--work_dir", help="folder for the runs (default: a temporary one)")
    return parser.parse_args()


def torture(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Kill workers of runs until all kills are used; return the report."""
    chance = random.Random(args.seed)
    expected = work / "undisturbed"
    started = time.monotonic()
    alone = Workers(1, expected, work)
    alone.wait(3600)
    if alone.codes[0]:
        sys.exit(alone.logs[0].read_text(errors="replace")[-3000:])
    # Several workers start more slowly than one; this is corrected by each run that ends by itself.
    usual_secs = 2 * (time.monotonic() - started)
    victims: Counter[str] = Counter()
    aims: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    problems: list[str] = []
    wrong_ends: list[str] = []
    runs = kills = alarms = 0
    longest_end_secs = 0.0
    while kills < args.kills:
        runs += 1
        save_dir = work / f"run-{runs}"
        is_finished = False
        while not is_finished:
            workers = Workers(args.workers, save_dir, work)
            begun, is_killed = time.monotonic(), False
            victim, aim = chance.randrange(args.workers), chance.choice(AIMS)
            secs = delay_secs(aim, chance, usual_secs)
            if kills < args.kills:
                is_killed = workers.kill_at(victim, aim, secs)
            killed_at = time.monotonic()
            workers.wait(20 * TIMEOUT_SECS)
            survivors = {n: code for n, code in workers.codes.items() if n != victim}
            if is_killed:
                kills += 1
                aims[aim] += 1
                victims["chief" if victim == 0 else "other"] += 1
                longest_end_secs = max(longest_end_secs, time.monotonic() - killed_at)
                print(f"kill {kills}: worker {victim}, {aim}; codes {survivors}", file=sys.stderr)
                for n, code in survivors.items():
                    kind = _end_of(code, victim, workers.logs[n])
                    ends[kind] += 1
                    if kind.startswith("exit code"):
                        wrong_ends.append(f"kill {kills} of worker {victim}: worker {n}: {kind}")
            else:
                codes = set(workers.codes.values())
                is_finished = codes == {0}
                alarms += not is_finished
                if is_finished:
                    usual_secs = 0.5 * (usual_secs + time.monotonic() - begun)
                elif codes - {0, LOST}:
                    wrong_ends.append(f"run {runs}, not killed: exit codes {workers.codes}")
                    is_finished = True
        found = divergences(expected, save_dir)
        problems += [f"run {runs}: {problem}" for problem in found]
        print(
            f"run {runs}, {kills} kills, {len(problems)} divergences, {dict(ends)}, "
            f"{alarms} false alarms, {time.monotonic() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return {
        "workers": args.workers,
        "seed": args.seed,
        "steps": OPTIONS["steps"],
        "kills": kills,
        "kills_by_victim": dict(victims),
        "kills_by_aim": dict(aims),
        "runs": runs,
        "ends_of_the_others": dict(ends),
        "false_alarms": alarms,
        "longest_end_secs": round(longest_end_secs, 1),
        "wrong_ends": wrong_ends,
        "divergences": problems,
        "seconds": round(time.monotonic() - started, 1),
        "versions": versions(),
    }


def _end_of(code: int, victim: int, log: Path) -> str:
    """Return how a worker ended that was not killed."""
    if code == LOST:
        is_named = f"worker {victim} (" in log.read_text(errors="replace").rpartition("error: ")[2]
        return "75, names it" if is_named else "75, names another"
    return "had finished" if code == 0 else f"exit code {code}"


def text_of(report: dict[str, Any]) -> str:
    """Return the report as a table."""

    def counts(name: str) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in sorted(report[name].items()))

    rows = [
        ("workers, steps, seed", f"{report['workers']}, {report['steps']}, {report['seed']}"),
        ("kills", f"{report['kills']} ({counts('kills_by_victim')}; {counts('kills_by_aim')})"),
        ("finished runs", str(report["runs"])),
        ("ends of the others", counts("ends_of_the_others")),
        ("longest end after a kill", f"{report['longest_end_secs']} s"),
        ("ends without a kill", str(report["false_alarms"])),
        ("wrong ends", str(len(report["wrong_ends"]))),
        ("divergences", str(len(report["divergences"]))),
        ("time", f"{report['seconds']} s"),
        ("versions", ", ".join(f"{name} {text}" for name, text in report["versions"].items())),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name.ljust(width)}  {text}" for name, text in rows]
    return "\n".join([*lines, *report["wrong_ends"], *report["divergences"]])


if __name__ == "__main__":
    sys.exit(main())
