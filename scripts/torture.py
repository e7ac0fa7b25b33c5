"""Kill training runs at random instants until they finish, and compare them with undisturbed ones.

    python scripts/torture.py --kills=200 --data_dir=./data --out=./logs/torture

For each workload: one run from start to end, then runs that are killed by SIGKILL, at any time or
in the middle of writing a checkpoint, a best step or a line of metrics, and started again until
they finish. A run that finishes before all kills are spent is compared and followed by another.
Exits 1 if anything differs. Writes OUT.json and OUT.txt.
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

from torturing.process import AIMS, Training, delay_secs, train
from torturing.workloads import WORKLOADS


def main() -> int:
    """Torture each workload and report."""
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
    parser.add_argument("--kills", type=int, default=200, help="of each workload")
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, default=["cifar_cnn", "all_features"]
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument(
        "--start",
        choices=("fork", "spawn"),
        default="fork",
        help="fork: from a process that has TensorFlow imported; spawn: a new interpreter each",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the kills' times")
    parser.add_argument("--out", help="where to write the report, without .json")
    parser.add_argument("--work_dir", help="folder for the runs; a temporary one unless given")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def torture(workload: str, args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Kill runs of one workload; the report."""
    from torturing.comparing import divergences

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
        else:  # the kills are spent: let the last run finish
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
    """Steps that are known to be made and are to be made again: by metrics and checkpoint."""
    from cnnlab.run.disk.checkpoint import Checkpoints
    from cnnlab.run.disk.metrics_file import read_metrics

    logged = max((line["step"] for line in read_metrics(save_dir)), default=0)
    return max(0, logged - max(Checkpoints(save_dir).steps(), default=0))


def must_finish(process: Training, log: Path) -> None:
    """Wait for a process that is not killed; a failure of it ends the script."""
    if process.wait() != 0:
        print(log.read_text(encoding="utf-8", errors="replace")[-3000:], file=sys.stderr)
        sys.exit(f"a run that nobody killed failed with exit code {process.code}; its log is above")


def text_of(report: dict[str, Any]) -> str:
    """The report in one paragraph."""
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
