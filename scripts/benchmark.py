"""Measure cnnlab against other ways to write the same training loop.

    python scripts/benchmark.py --data_dir=./data --rounds=3 --out=./logs/benchmark

Each contestant trains the same network on the same real data, in a process of its own, with all
cores, in interleaved rounds (A B A B ...), then evaluates it and predicts. Before that, all must
compute the same losses from the same weights and batches, without dropout. There are two leagues:
each contestant as it is installed, and as an expert would set it up. With --isa=avx2 all are held
to AVX2 instructions, and TensorFlow to what it chooses on such a CPU. Writes OUT.json and OUT.md.
Run it on a machine that does nothing else.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.contestants import CONTESTANTS, DEFAULT_LEAGUES, INSTRUCTION_SETS, LEAGUES
from bench.report import PACKAGES, markdown, summarize
from bench.workloads import WORKLOADS

from cnnlab.base.machine import describe_machine, versions

WORKER = Path(__file__).parent / "bench" / "worker.py"
WRITER = next(iter(CONTESTANTS))  # writes the start, so it is asked even where it is not measured
TASKS = ("train", "evaluate", "predict")
SPEEDS = {
    "images_per_sec": "trained",
    "evaluated_per_sec": "evaluated",
    "predicted_per_sec": "predicted",
}
DEFAULT_WORKLOADS = ("mnist_perceptron", "mnist_cnn", "cifar_cnn")
COMPARED_STEPS = 10
# Largest relative difference between two contestants' losses, of the first step and of a later one:
# what is rounded differently grows from step to step.
MAX_FIRST_DIFFERENCE = 1e-5
MAX_DIFFERENCE = 1e-3
# The same of what they find for the test set; confidence is the mean of the likeliest class's
# probability. Of two nearly equal logits either may win.
MAX_INFERENCE_DIFFERENCES = {"loss": 1e-5, "confidence": 1e-5, "accuracy": 1e-2}


def main() -> None:
    """Compare, measure, write."""
    args = parse_args()
    chosen = [name for name in args.contestants if set(CONTESTANTS[name].leagues) & {*args.leagues}]
    missing = {name: why for name in chosen if (why := CONTESTANTS[name].missing()) is not None}
    args.contestants = [name for name in chosen if name not in missing]
    for name, why in missing.items():
        say(f"{name} is not measured: {why}")
    with tempfile.TemporaryDirectory() as folder:
        # What torch.compile compiles stays from one process to the next, but not to the next run.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"
        results: dict[str, Any] = {
            "machine": describe_machine(),
            "versions": versions(PACKAGES),
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "rounds": args.rounds,
            "secs": args.secs,
            "warmup_secs": args.warmup_secs,
            "leagues": args.leagues,
            "isa": args.isa,
            "missing": missing,
            **run_worker(WRITER, args.isa, task="matmul"),
            "losses": {},
            "workloads": {},
        }
        for workload in args.workloads:
            start_file = f"{folder}/{workload}.npz"
            results["losses"][workload] = compare_losses(workload, args, start_file)
            results["workloads"][workload] = measure(
                workload, args, start_file, results["matmul_gflops"]
            )
            write(results, args.out)  # it stays, though the next one be interrupted
    print(markdown(results), end="")
    say(f"written: {args.out}.json, {args.out}.md")


def write(results: dict[str, Any], out: str) -> None:
    """Write what is measured so far."""
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(f"{out}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    Path(f"{out}.md").write_text(markdown(results), encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each contestant")
    parser.add_argument(
        "--secs",
        type=float,
        default=4.0,
        help="seconds of training; evaluation and prediction take half of it each",
    )
    parser.add_argument("--warmup_secs", type=float, default=1.5, help="seconds before it")
    parser.add_argument(
        "--out", default="./logs/benchmark", help="what is written, less its ending"
    )
    parser.add_argument(
        "--isa",
        choices=list(INSTRUCTION_SETS),
        default="native",
        help="instructions that all may use: what the CPU has, or AVX2 at most",
    )
    for name, known, default in (
        ("workloads", WORKLOADS, DEFAULT_WORKLOADS),
        ("leagues", LEAGUES, DEFAULT_LEAGUES),
        ("contestants", CONTESTANTS, CONTESTANTS),
        ("tasks", TASKS, TASKS),
    ):
        parser.add_argument(
            f"--{name}",
            type=names_of(known),
            default=list(default),
            help=f"of {','.join(known)}; {','.join(default)} unless given",
        )
    args = parser.parse_args()
    if args.rounds < 1 or args.secs <= 0 or args.warmup_secs < 0:
        parser.error("--rounds and --secs must be above 0, --warmup_secs at least 0")
    args.data_dir = str(Path(args.data_dir).resolve())
    return args


def names_of(known: Iterable[str]) -> Any:
    """A parser of comma-separated names, in the order of the table that knows them."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := sorted(set(names) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown {unknown[0]}; of {','.join(known)}")
        return [name for name in known if name in names]

    return parse


def compare_losses(workload: str, args: argparse.Namespace, start_file: str) -> dict[str, Any]:
    """Let all contestants make the first steps from one start; exit if their losses differ."""
    task = {
        "task": "losses",
        "workload": workload,
        "data_dir": args.data_dir,
        "steps": COMPARED_STEPS,
        "start_file": start_file,
    }
    answers: dict[str, Any] = {}
    for name in dict.fromkeys([WRITER, *args.contestants]):
        say(f"{workload}: comparing losses, {name}")
        answers[name] = run_worker(name, args.isa, **task)
    expected = answers[WRITER]["losses"]
    largest = {}
    for name, answer in answers.items():
        if name == WRITER:
            continue
        differences = relative_differences(answer["losses"], expected)
        largest[name] = max(differences)
        if not (differences[0] <= MAX_FIRST_DIFFERENCE and largest[name] <= MAX_DIFFERENCE):
            sys.exit(
                f"error: {workload}: losses of {name} and {WRITER} differ: {answer['losses']} and "
                f"{expected}"
            )
    losses = {name: answer["losses"] for name, answer in answers.items()}
    return {
        "steps": COMPARED_STEPS,
        "largest_difference": max(largest.values(), default=None),
        "differences": largest,
        "losses": losses,
    }


def measure(
    workload: str, args: argparse.Namespace, start_file: str, matmul_gflops: float
) -> dict[str, Any]:
    """Let each contestant in turn train, evaluate and predict, round by round."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in args.contestants}
    for one_round in range(args.rounds):
        for name in args.contestants:
            measured = run_worker(
                name,
                args.isa,
                task="measure",
                tasks=args.tasks,
                workload=workload,
                data_dir=args.data_dir,
                start_file=start_file,
                secs=args.secs,
                warmup_secs=args.warmup_secs,
            )
            rounds[name].append(measured)
            speeds = [
                f"{measured[number]:.0f} images/s {what}"
                for number, what in SPEEDS.items()
                if number in measured
            ]
            say(f"{workload}, round {one_round + 1} of {args.rounds}, {name}: {', '.join(speeds)}")
    check_inference(workload, {name: found[0] for name, found in rounds.items()})
    results = {}
    for name, measurements in rounds.items():
        results[name] = {"summary": summarize(measurements), "rounds": measurements}
        if "train" in args.tasks:
            speed = results[name]["summary"]["images_per_sec"]["median"]
            gflops = WORKLOADS[workload].flops_per_image * speed / 1e9
            results[name].update(model_gflops=gflops, share_of_matmul=gflops / matmul_gflops)
    return results


def check_inference(workload: str, answers: dict[str, dict[str, Any]]) -> None:
    """Exit if contestants find other figures with the same weights."""
    (first, expected), *others = answers.items()
    for name, found in others:
        for figure, most in MAX_INFERENCE_DIFFERENCES.items():
            if figure not in found:
                continue
            if not relative_differences([found[figure]], [expected[figure]])[0] <= most:
                sys.exit(
                    f"error: {workload}: {name} finds a {figure} of {found[figure]}, {first} of "
                    f"{expected[figure]}, with the same weights"
                )


def relative_differences(found: list[float], expected: list[float]) -> list[float]:
    """|found - expected| / |expected|, one by one."""
    return [abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True)]


def run_worker(contestant: str, isa: str, **task: Any) -> dict[str, Any]:
    """Do one task in a fresh process; exit with what it wrote if it fails."""
    task = {"contestant": contestant, "started_at": time.time(), **task}
    environment = CONTESTANTS[contestant].environment(os.environ, isa)
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
