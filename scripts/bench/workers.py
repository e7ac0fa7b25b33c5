"""Measure one run that several workers share, on this machine.

    python scripts/bench/workers.py

Groups of workers are started once and measured in turns (A B C A B C ...); medians are reported.
One worker of two cores is compared with two workers of one core each; two workers that add nothing
show what adding costs. Sums of buffers alone give latency and bandwidth. Four workers of half a
core each check the traffic and the model. It takes about five minutes, and writes
results/workers.json and the part of docs/scaling.md about it. Run it on an idle machine.

Where Linux allows it, all runs in a network namespace of its own. So the bytes that pass the
loopback interface are those of the workers, and nobody else reaches their ports.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab.base.machine import describe_machine, versions
from cnnlab.launch import free_addresses
from scripts.bench import scaling_report

MEMBER = Path(__file__).parent / "workers_member.py"
APART = "CNNLAB_BENCH_APART"  # set inside the network namespace
SMALL: dict[str, Any] = {"model": "mnist_mlp", "batch_size": 32}  # a step takes less than a sum
BUFFERS = (1, 2**22)  # numbers: for the latency and for the bandwidth


class Group:
    """Workers that are started together, and do each command together."""

    def __init__(self, name: str, cores: list[list[int]], **task: Any) -> None:
        """Start the workers.

        Args:
            name: of the group.
            cores: of each worker.
            **task: see `workers_member`.
        """
        self.name, count = name, len(cores)
        task = {"reduce": "tree", "micro_batches": count, "sums_nothing": False, **task}
        addresses = free_addresses(count)
        self._processes = []
        for worker in range(count):
            environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
            if count > 1 and not task["sums_nothing"]:
                config = {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": worker},
                }
                environment["TF_CONFIG"] = json.dumps(config)
            own = {**task, "workers": count, "worker": worker}
            process = subprocess.Popen(
                [sys.executable, str(MEMBER), json.dumps(own)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            os.sched_setaffinity(process.pid, cores[worker])  # before it counts its cores
            self._processes.append(process)

    def ask(self, *command: Any) -> list[Any]:
        """Give all workers a command; return their answers, each with its CPU seconds."""
        for process in self._processes:
            print(json.dumps(command), file=process.stdin, flush=True)
        lines = [process.stdout.readline() for process in self._processes]
        if not all(lines):
            self.end()
            sys.exit(f"error: a worker of {self.name} failed in {command[0]}; see above")
        return [json.loads(line) for line in lines]

    def secs(self, command: str, count: int, *arguments: Any) -> tuple[float, float]:
        """Return the seconds of one of `count` actions: by the slowest worker, and CPUs of all."""
        secs, cpu_secs = zip(*self.ask(command, count, *arguments), strict=True)
        return max(secs) / count, sum(cpu_secs) / count

    def fact(self, command: str) -> Any:
        """Return the first worker's answer to a command."""
        return self.ask(command)[0][0]

    def end(self) -> None:
        """End all workers."""
        for process in self._processes:
            process.stdin.close()
        for process in self._processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


class Action:
    """Something that a group does many times, measured in turns with others."""

    def __init__(self, group: Group, command: str, *arguments: Any) -> None:
        self.name = " ".join(map(str, (group.name, command, *arguments)))
        self.rounds: list[tuple[float, float]] = []
        self.traffic: list[tuple[float, float]] = []
        self._group, self._command, self._arguments = group, command, arguments
        self._count = 1

    def prepare(self, secs: float) -> None:
        """Warm up, and choose how often a round does it to take `secs` seconds."""
        self._group.secs(self._command, 2, *self._arguments)
        taken, count = 0.0, 1
        while taken < secs / 4:
            count *= 2
            taken = count * self._group.secs(self._command, count, *self._arguments)[0]
        self._count = max(1, round(count * secs / taken))

    def measure(self) -> None:
        """Make one round."""
        before = loopback()
        self.rounds.append(self._group.secs(self._command, self._count, *self._arguments))
        after = loopback()
        self.traffic.append(
            ((after[0] - before[0]) / self._count, (after[1] - before[1]) / self._count)
        )

    def result(self) -> dict[str, float]:
        """Return the medians: ms; CPU ms; bytes and packets on the loopback interface."""
        secs, cpu_secs = zip(*self.rounds, strict=True)
        sent, packets = (statistics.median(one) for one in zip(*self.traffic, strict=True))
        return {
            "ms": 1e3 * statistics.median(secs),
            "fastest_ms": 1e3 * min(secs),
            "cpu_ms": 1e3 * statistics.median(cpu_secs),
            "bytes": sent,
            "packets": packets,
        }


def loopback() -> tuple[int, int]:
    """Return the bytes and packets that passed the loopback interface."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            received = numbers.split()
            return int(received[0]), int(received[1])
    return 0, 0


def measured(actions: list[Action], args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the results of some actions by their names, made in turns."""
    for action in actions:
        print(f"warming up: {action.name}", file=sys.stderr, flush=True)
        action.prepare(args.secs)
    for _ in range(args.rounds):
        for action in actions:
            action.measure()
    return {action.name: action.result() for action in actions}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure all groups."""
    cifar: dict[str, Any] = {"model": "cifar_cnn", "batch_size": args.batch_size}
    first, second = sorted(os.sched_getaffinity(0))[:2]
    two = [[first], [second]]
    results: dict[str, Any] = {"actions": {}, "exchanges": {}, "parameters": {}}

    def run(groups: list[Group], commands: Any) -> None:
        actions = [Action(group, *command) for group in groups for command in commands(group)]
        results["actions"].update(measured(actions, args))
        for group in groups:
            results["exchanges"][group.name] = group.fact("exchanges")
            results["parameters"][group.name.split()[0]] = group.fact("parameters")
            group.end()

    def speed(model: dict[str, Any]) -> list[Group]:
        name = model["model"]
        return [
            Group(f"{name} one", [[first, second]], **model),
            Group(f"{name} tree", two, **model),
            Group(f"{name} ring", two, reduce="ring", **model),
            Group(f"{name} nothing", two, sums_nothing=True, **model),
        ]

    run(speed(cifar), lambda _group: [("steps",)])
    sizes = {"cifar_cnn": results["parameters"]["cifar_cnn"]}

    def small(group: Group) -> list[Any]:
        commands: list[Any] = [("steps",), ("single_steps",)]
        if group.name.endswith(("tree", "ring")):
            # The mlp's own buffer: its gradients and the objective.
            own = {one["n"] for one in group.fact("exchanges") if one["n"]}
            commands += [("sums", size) for size in (*BUFFERS, sizes["cifar_cnn"], *own)]
        if group.name.endswith("tree"):
            commands += [("agreements",), ("sums", sizes["cifar_cnn"], True)]
        return commands

    run(speed(SMALL), small)
    for reduce in ("tree", "ring"):
        four = Group(f"cifar_cnn four-{reduce}", [*two, *two], reduce=reduce, **cifar)
        run([four], lambda _: [("steps",), ("sums", 1), ("sums", sizes["cifar_cnn"])])
    return results


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="number of measurements")
    parser.add_argument("--secs", type=float, default=2.0, help="seconds of a measurement")
    parser.add_argument("--batch_size", type=int, default=500, help="images of cifar_cnn's batch")
    parser.add_argument("--out", default=".", help="folder of results/ and docs/")
    parser.add_argument("--json", action="store_true", help="print the results, write no file")
    args = parser.parse_args()
    if args.rounds < 1 or args.secs <= 0:
        parser.error("--rounds and --secs must be above 0")
    if args.batch_size < 4 or args.batch_size % 4:
        parser.error("--batch_size must be a multiple of 4")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("this needs two cores")
    return args


def go_apart() -> bool:
    """Start this program again in a network namespace; return whether it runs in one."""
    if os.environ.get(APART):
        return True
    inside = 'ip link set lo up && exec "$@"'
    command = ["unshare", "-rn", "sh", "-c", inside, "sh"]
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True, check=False)
    except OSError:
        return False
    if allowed.returncode == 0:
        os.environ[APART] = "1"
        os.execvp(command[0], [*command, sys.executable, *sys.argv])
    return False


def main() -> None:
    """Measure, and write the results and the page."""
    args = parse_args()
    is_apart = go_apart()
    started = time.perf_counter()
    results = {
        "machine": describe_machine(),
        "versions": versions(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "rounds": args.rounds,
        "secs": args.secs,
        "batch_size": args.batch_size,
        "loopback_is_shared": not is_apart,
        **measure(args),
    }
    print(f"measured in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    text = json.dumps(results, indent=1) + "\n"
    if args.json:
        print(text, end="")
        return
    out = Path(args.out)
    (out / "results").mkdir(parents=True, exist_ok=True)
    (out / "results" / "workers.json").write_text(text, encoding="utf-8")
    scaling_report.write_page(out)


if __name__ == "__main__":
    main()
