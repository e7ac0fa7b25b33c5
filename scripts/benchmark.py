"""Measure cnnlab against other ways to write the same training loop.

    python scripts/benchmark.py --data_dir=./data --rounds=3 --out=./logs/benchmark

Each contestant trains the same network on the same real data, in a process of its own, with all
cores, in interleaved rounds (A B A B ...). Before that, all must compute the same losses from the
same weights and batches. Writes OUT.json and OUT.md. Run it on a machine that does nothing else.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.contestants import CONTESTANTS
from bench.report import PACKAGES, markdown, summarize
from bench.workloads import WORKLOADS

from cnnlab.machine import describe_machine, versions

WORKER = Path(__file__).parent / "bench" / "worker.py"
COMPARED_STEPS = 10
# Largest relative difference between two contestants' losses of one step. Adam follows the sign of
# a gradient at first, so what other kernels round differently grows: to 8e-4 in ten steps.
MAX_DIFFERENCE = 1e-4
MAX_DIFFERENCE_OTHER_KERNELS = 2e-3


def main() -> None:
    """Compare, measure, write."""
    args = parse_args()
    results: dict[str, Any] = {
        "machine": describe_machine(),
        "versions": versions(PACKAGES),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "rounds": args.rounds,
        "secs": args.secs,
        "warmup_secs": args.warmup_secs,
        **run_worker("cnnlab", task="matmul"),
        "losses": {},
        "workloads": {},
    }
    for workload in args.workloads:
        say(f"{workload}: comparing losses")
        results["losses"][workload] = compare_losses(workload, args.contestants, args.data_dir)
    for workload in args.workloads:
        results["workloads"][workload] = measure(workload, args, results["matmul_gflops"])
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    Path(f"{out}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    Path(f"{out}.md").write_text(markdown(results), encoding="utf-8")
    print(markdown(results), end="")
    say(f"written: {out}.json, {out}.md")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each contestant")
    parser.add_argument("--secs", type=float, default=10.0, help="seconds of a measurement")
    parser.add_argument("--warmup_secs", type=float, default=3.0, help="seconds before it")
    parser.add_argument(
        "--out", default="./logs/benchmark", help="what is written, less its ending"
    )
    for name, known in (("workloads", WORKLOADS), ("contestants", CONTESTANTS)):
        parser.add_argument(
            f"--{name}", type=names_of(known), default=list(known), help=f"of {','.join(known)}"
        )
    args = parser.parse_args()
    if args.rounds < 1 or args.secs <= 0 or args.warmup_secs < 0:
        parser.error("--rounds and --secs must be above 0, --warmup_secs at least 0")
    args.data_dir = str(Path(args.data_dir).resolve())
    return args


def names_of(known: dict[str, Any]) -> Any:
    """A parser of comma-separated names, in the order of the table that knows them."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := sorted(set(names) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown {unknown[0]}; of {','.join(known)}")
        return [name for name in known if name in names]

    return parse


def compare_losses(workload: str, contestants: list[str], data_dir: str) -> dict[str, Any]:
    """Let all contestants make the first steps from one start; exit if their losses differ."""
    writer = next(
        iter(CONTESTANTS)
    )  # writes the start, so it is asked even where it is not measured
    with tempfile.TemporaryDirectory() as folder:
        task = {
            "task": "losses",
            "workload": workload,
            "data_dir": data_dir,
            "steps": COMPARED_STEPS,
            "start_file": f"{folder}/start.npz",
        }
        answers = {writer: run_worker(writer, **task)}
        for name in contestants:
            if name != writer:
                answers[name] = run_worker(name, **task)
    expected = answers[writer]
    differences = {}
    for name, found in answers.items():
        if name == writer:
            continue
        pairs = zip(found["losses"], expected["losses"], strict=True)
        differences[name] = max(abs(a - b) / abs(b) for a, b in pairs)
        same_kernels = found.get("onednn") == expected.get("onednn")
        limit = MAX_DIFFERENCE if same_kernels else MAX_DIFFERENCE_OTHER_KERNELS
        if not differences[name] <= limit:
            sys.exit(
                f"error: {workload}: losses of {name} and {writer} differ by a relative "
                f"{differences[name]:.1e}: {found['losses']} and {expected['losses']}"
            )
    losses = {name: answer["losses"] for name, answer in answers.items()}
    largest = max(differences.values(), default=None)
    return {"steps": COMPARED_STEPS, "largest_difference": largest, "losses": losses}


def measure(workload: str, args: argparse.Namespace, matmul_gflops: float) -> dict[str, Any]:
    """Train with each contestant in turn, round by round."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in args.contestants}
    for one_round in range(args.rounds):
        for name in args.contestants:
            measured = run_worker(
                name,
                task="train",
                workload=workload,
                data_dir=args.data_dir,
                secs=args.secs,
                warmup_secs=args.warmup_secs,
            )
            rounds[name].append(measured)
            say(
                f"{workload}, round {one_round + 1} of {args.rounds}, {name}: "
                f"{measured['images_per_sec']:.0f} images/s"
            )
    results = {}
    for name, measurements in rounds.items():
        summary = summarize(measurements)
        speed = summary["images_per_sec"]["median"]
        gflops = WORKLOADS[workload].flops_per_image * speed / 1e9
        results[name] = {
            "summary": summary,
            "model_gflops": gflops,
            "share_of_matmul": gflops / matmul_gflops,
            "rounds": measurements,
        }
    return results


def run_worker(contestant: str, **task: Any) -> dict[str, Any]:
    """Do one task in a fresh process; exit with what it wrote if it fails."""
    task = {"contestant": contestant, "started_at": time.time(), **task}
    environment = CONTESTANTS[contestant].environment(os.environ)
    if task["task"] == "matmul":
        environment["TF_ENABLE_ONEDNN_OPTS"] = "1"  # the limit is the best that can be had
    process = subprocess.run(
        [sys.executable, str(WORKER), json.dumps(task)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        sys.stderr.write(process.stderr)
        sys.exit(f"error: {contestant} failed at {task['task']} of {task.get('workload', 'none')}")
    return json.loads(process.stdout)


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
