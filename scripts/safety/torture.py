"""Kill training runs at random moments, resume them, and compare them with undisturbed runs.

    python scripts/safety/torture.py --kills=200 --data_dir=./data --out=./logs/torture

Each workload is first trained once without a kill. Then runs are killed by SIGKILL and resumed
until they finish. A kill comes at any time, or while a checkpoint, a best step or a line of metrics
is written. A run that finishes before all kills are used is compared, and another run begins. Exits
with 1 if anything differs. Writes OUT.json and OUT.txt.
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

from scripts.safety.killing import AIMS, Training, delay_secs, train
from scripts.safety.workloads import WORKLOADS


def main() -> int:
    """Torture each workload and report; return the exit code."""
    args = parse_args()
    if args.child:
        train(args.workloads[0], args.data_dir, Path(args.child))
        return 0
    from cnnlab.base.tf1 import legacy_core, tf

    _ = (tf.errors, legacy_core.Dense)  # forked children inherit the imported modules
    reports = []
    with tempfile.TemporaryDirectory(dir=args.work_dir, prefix="torture-") as work:
        for workload in args.workloads:
            reports.append(torture(workload, args, Path(work)))
            print(text_of(reports[-1]), flush=True)
    if args.out:
        out = Path(args.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{out}.json").write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
        Path(f"{out}.txt").write_text("\n".join(map(text_of, reports)) + "\n", encoding="utf-8")
    return 1 if any(report["divergences"] for report in reports) else 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="kills of each workload")
    parser.add_argument(
        "--workloads",
        nargs="+",
        choices=WORKLOADS,
        default=["cifar_cnn", "all_features"],
        help="what to train (default: %(default)s)",
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument(
        "--start",
        choices=("fork", "spawn"),
        default="fork",
        help="fork: fork a process that has imported TensorFlow; spawn: start a new interpreter",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the times of the kills")
    parser.add_argument("--out", help="path of the report without its ending")
    parser.add_argument("--work_dir", help="folder for the runs (default: a temporary one)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def torture(workload: str, args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Kill runs of one workload; return the report."""
    from scripts.safety.comparing import divergences

    chance = random.Random(args.seed)
    log = work / f"{workload}.log"
    expected = work / f"{workload}-undisturbed"
    started = time.monotonic()
    must_finish(Training(args.start, workload, args.data_dir, expected, log), log)
    undisturbed_secs = time.monotonic() - started
    lost: list[int] = []
    aims: Counter[str] = Counter()
    problems: list[str] = []
    runs = 0
    while len(lost) < args.kills:
        runs += 1
        save_dir = work / f"{workload}-{runs}"
        while len(lost) < args.kills:
            process = Training(args.start, workload, args.data_dir, save_dir, log)
            aim = chance.choice(AIMS)
            if not process.kill_at(aim, delay_secs(aim, chance, undisturbed_secs / 3)):
                must_finish(process, log)
                break
            aims[aim] += 1
            lost.append(lost_steps(save_dir))
        else:  # all kills are used: let the last run finish
            must_finish(Training(args.start, workload, args.data_dir, save_dir, log), log)
        found = divergences(expected, save_dir)
        problems += [f"run {runs}: {problem}" for problem in found]
        print(
            f"{workload}: run {runs}, {len(lost)} kills, {len(problems)} divergences",
            file=sys.stderr,
            flush=True,
        )
    return {
        "workload": workload,
        "start": args.start,
        "seed": args.seed,
        "steps": WORKLOADS[workload]["steps"],
        "kills": len(lost),
        "kills_by_aim": dict(aims),
        "runs": runs,
        "lost_steps": sum(lost),
        "most_lost_steps_by_one_kill": max(lost, default=0),
        "divergences": problems,
        "seconds": round(time.monotonic() - started, 1),
    }


def lost_steps(save_dir: Path) -> int:
    """Return how many logged steps a resumed run repeats: those after the newest checkpoint."""
    from cnnlab.run.disk.checkpoint import Checkpoints
    from cnnlab.run.disk.metrics_file import read_metrics

    logged = max((line["step"] for line in read_metrics(save_dir)), default=0)
    return max(0, logged - max(Checkpoints(save_dir).steps(), default=0))


def must_finish(process: Training, log: Path) -> None:
    """Wait for a process that is not killed; exit if it failed."""
    if process.wait() != 0:
        print(log.read_text(encoding="utf-8", errors="replace")[-3000:], file=sys.stderr)
        sys.exit(f"a run that nobody killed failed with exit code {process.code}; its log is above")


def text_of(report: dict[str, Any]) -> str:
    """Return the report as one paragraph."""
    aims = ", ".join(f"{count} {aim}" for aim, count in sorted(report["kills_by_aim"].items()))
    lines = [
        f"{report['workload']}: {report['kills']} kills ({aims}) in {report['runs']} runs of "
        f"{report['steps']} steps, {report['lost_steps']} steps lost in all (at most "
        f"{report['most_lost_steps_by_one_kill']} by one kill), "
        f"{len(report['divergences'])} divergences, {report['seconds']} s"
    ]
    return "\n".join([*lines, *report["divergences"]])


if __name__ == "__main__":
    sys.exit(main())
