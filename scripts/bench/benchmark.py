"""Compare the speed of cnnlab with other ways to write the same training loop.

    python scripts/bench/benchmark.py --data_dir=./data --rounds=3 --out=./logs/benchmark

Each contestant trains the same network on the same real data, evaluates it and predicts, in a
separate process with all cores. The rounds are interleaved (A B A B ...). First, all contestants
must compute the same losses from the same weights and batches, without dropout. There are two
leagues: each contestant as it is installed, and as an expert would set it up. With --isa=avx2 all
contestants use AVX2 only, and TensorFlow uses what it chooses on a CPU without AVX-512.

Writes OUT/DATE-MACHINE-ISA/WORKLOAD.json after each workload and prints the tables at the end. Run
it on an idle machine.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab.base.machine import commit, describe_machine, versions
from scripts.bench.contestants import CONTESTANTS, DEFAULT_LEAGUES, INSTRUCTION_SETS, LEAGUES
from scripts.bench.report import PACKAGES, SPEEDS, machine_lines, section, summarize
from scripts.bench.results import write
from scripts.bench.workloads import WORKLOADS

WORKER = Path(__file__).parent / "worker.py"
WRITER = next(iter(CONTESTANTS))  # writes the start file, even if it is not measured
TASKS = ("train", "evaluate", "predict")
DEFAULT_WORKLOADS = ("mnist_perceptron", "mnist_cnn", "cifar_cnn")
COMPARED_STEPS = 10
# Largest relative difference between two contestants' losses, in the first step and in later ones.
# Differences of rounding grow from step to step.
MAX_FIRST_DIFFERENCE = 1e-5
MAX_DIFFERENCE = 1e-3
# Largest relative differences of the test set's figures. Confidence is the mean probability of the
# likeliest class. Accuracy may differ more, because either of two nearly equal logits can win.
MAX_INFERENCE_DIFFERENCES = {"loss": 1e-5, "confidence": 1e-5, "accuracy": 1e-2}


def main() -> None:
    """Compare the losses, measure, and write the results."""
    args = parse_args()
    chosen = [name for name in args.contestants if set(CONTESTANTS[name].leagues) & {*args.leagues}]
    missing = {name: why for name in chosen if (why := CONTESTANTS[name].missing()) is not None}
    args.contestants = [name for name in chosen if name not in missing]
    for name, why in missing.items():
        say(f"{name} is not measured: {why}")
    with tempfile.TemporaryDirectory() as folder:
        # The processes of this run share what torch.compile compiles; the next run starts afresh.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"
        circumstances: dict[str, Any] = {
            "machine": describe_machine(),
            "versions": versions(PACKAGES),
            "commit": commit(),
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "rounds": args.rounds,
            "secs": args.secs,
            "warmup_secs": args.warmup_secs,
            "leagues": args.leagues,
            "isa": args.isa,
            "missing": missing,
            **run_worker(WRITER, args.isa, task="matmul"),
        }
        sections = []
        for workload in args.workloads:
            start_file = f"{folder}/{workload}.npz"
            losses = compare_losses(workload, args, start_file)
            measured = measure(workload, args, start_file, circumstances["matmul_gflops"])
            results = {
                **circumstances,
                "workload": workload,
                "losses": losses,
                "contestants": measured,
            }
            say(f"written: {write(results, Path(args.out))}")
            sections.append(section(results))
    print("\n".join([*machine_lines(circumstances), "", *sections]), end="")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        help="measurements of each contestant",
    )
    parser.add_argument(
        "--secs",
        type=float,
        default=4.0,
        help="seconds of training; evaluation and prediction take half of that",
    )
    parser.add_argument(
        "--warmup_secs", type=float, default=1.5, help="seconds of training before that"
    )
    parser.add_argument(
        "--out", default="./logs/benchmark", help="folder of results (default: %(default)s)"
    )
    parser.add_argument(
        "--isa",
        choices=list(INSTRUCTION_SETS),
        default="native",
        help="instructions that contestants may use: all that the CPU has, or AVX2 only",
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
            help=f"some of {','.join(known)} (default: {','.join(default)})",
        )
    args = parser.parse_args()
    if args.rounds < 1 or args.secs <= 0 or args.warmup_secs < 0:
        parser.error("--rounds and --secs must be above 0, --warmup_secs at least 0")
    args.data_dir = str(Path(args.data_dir).resolve())
    return args


def names_of(known: Iterable[str]) -> Any:
    """Return a parser of comma-separated names; it keeps the order of `known`."""

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
    """Let the contestants train, evaluate and predict, one after the other in each round."""
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
                f"{what} {measured[number]:,.0f} images/s"
                for what, number in SPEEDS.items()
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
    """Exit if contestants find different figures with the same weights."""
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
    """Return |found - expected| / |expected| of each pair."""
    return [abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True)]


def run_worker(contestant: str, isa: str, **task: Any) -> dict[str, Any]:
    """Do one task in a new process; print its stderr and exit if it fails."""
    task = {"contestant": contestant, "started_at": time.time(), **task}
    environment = CONTESTANTS[contestant].environment(os.environ, isa)
    if task["task"] == "matmul":
        environment["TF_ENABLE_ONEDNN_OPTS"] = "1"  # the fastest product is the limit
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
