"""The measurements of workers.py as a part of docs/scaling.md, with a model of more workers."""

import textwrap
from typing import Any, Final, NamedTuple

from cnnlab.run.loop import TARGET_SHARED_RUN_SECS

FLOAT_BYTES: Final = 4
SUMS: Final = "mnist_mlp tree sums"
SHORT_SECS: Final = 0.1  # of a step of which several make a session run
WORKERS: Final = (2, 4, 8, 16, 32, 64, 128, 256)


class Link(NamedTuple):
    """What a message between two workers takes.

    latency_secs: of a message without content, with all that TensorFlow does for it.
    bytes_per_sec: of a worker, in each direction.
    """

    latency_secs: float
    bytes_per_sec: float


# A network of 10 Gbit/s, with this latency in addition to that of the same machine.
NETWORK_LATENCY_SECS: Final = 1e-4
NETWORK_BYTES_PER_SEC: Final = 1.25e9


def tree_secs(workers: int, size: float, link: Link) -> float:
    """Return the seconds of a sum with --reduce=tree; size: bytes of the buffer."""
    if workers == 2:  # each sends all
        return link.latency_secs + size / link.bytes_per_sec
    piece = size / workers / link.bytes_per_sec
    # Each sends a piece to each at the same time, and then the sums of the pieces go round.
    return link.latency_secs + (workers - 1) * piece + (workers - 1) * (link.latency_secs + piece)


def ring_secs(workers: int, size: float, link: Link) -> float:
    """Return the seconds of a sum with --reduce=ring; size: bytes of the buffer."""
    return 2 * (workers - 1) * (link.latency_secs + size / workers / link.bytes_per_sec)


def traffic(exchanges: list[dict[str, Any]], workers: int) -> tuple[int, float]:
    """Return the messages and bytes that a worker sends in these exchanges."""
    messages, sent = 0, 0.0
    for one in exchanges:
        size, rounds = one["n"] * one["bytes"], workers - 1
        if one["kind"] == "CollectiveReduceV2":
            rounds *= 2
        # A gather passes the whole input on, the others an equal piece of it.
        sent += rounds * (size if one["kind"] == "CollectiveGatherV2" else size / workers)
        messages += rounds
    return messages, sent


class Figures:
    """The figures of results/workers.json by name, in seconds."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._actions = results["actions"]
        self.batch = results["batch_size"]
        self.numbers = results["parameters"]["cifar_cnn"]
        self.size = FLOAT_BYTES * self.numbers
        sizes = [name.split()[3:] for name in self._actions if name.startswith(f"{SUMS} ")]
        large = max(int(size[0]) for size in sizes)
        empty, full = self.secs(f"{SUMS} 1"), self.secs(f"{SUMS} {large}")
        self.link = Link(empty, FLOAT_BYTES * large / max(full - empty, 1e-9))
        (own,) = (one["n"] for one in results["exchanges"]["mnist_mlp tree"] if one["n"])
        self.small_sum = self.secs(f"{SUMS} {own}")
        self.overhead = self.beside_sum("single_steps")

    def secs(self, name: str) -> float:
        """Return the median of an action."""
        return float(self._actions[name]["ms"]) / 1e3

    def cpu_secs(self, name: str) -> float:
        """Return the median of the CPU seconds of all workers."""
        return float(self._actions[name]["cpu_ms"]) / 1e3

    def beside_sum(self, steps: str) -> float:
        """Return the seconds of sharing a step, less those of the sum; steps: how they are made."""
        tree, nothing = (self.secs(f"mnist_mlp {name} {steps}") for name in ("tree", "nothing"))
        return max(0.0, tree - nothing - self.small_sum)

    def per_worker(self, name: str, workers: int) -> float:
        """Return the bytes that a worker sent, as the loopback interface counted them."""
        return float(self._actions[name]["bytes"]) / workers

    def step(self, images: float, workers: int, link: Link) -> float:
        """Return the modelled seconds of a step of workers that have one core each."""
        compute = self.secs("cifar_cnn nothing steps") * images / (self.batch / 2)
        if workers == 1:
            return compute
        return compute + tree_secs(workers, self.size, link) + self.overhead


def lines_of(results: dict[str, Any], overlap: dict[str, Any] | None = None) -> list[str]:
    """Return the lines of the section; overlap: the results of overlap.py."""
    figures = Figures(results)
    return [
        "",
        "## Several workers",
        "",
        "This command measured them, in turns; see [the guide](guide/workers.md):",
        "",
        "    python scripts/bench/workers.py",
        "",
        *_wrapped(
            f"Measured on {results['date']}, medians of {results['rounds']} rounds of "
            f"{results['secs']:g} s, on {results['machine']['cpu']}. The workers have one core "
            "each, and talk over the loopback interface."
        ),
        "",
        *_speed(figures),
        "",
        *_overhead(figures),
        *_overlap(overlap),
        "",
        *_traffic(results, figures),
        "",
        *_model(figures),
    ]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100)


def _speed(figures: Figures) -> list[str]:
    rows = []
    for model, batch in (("cifar_cnn", figures.batch), ("mnist_mlp", 32)):
        one, tree, ring, nothing = (
            figures.secs(f"{model} {name} steps") for name in ("one", "tree", "ring", "nothing")
        )
        rows.append(
            f"| `{model}` | {batch} | {1e3 * one:.2f} | {1e3 * tree:.2f} | {1e3 * ring:.2f} | "
            f"{1e3 * nothing:.2f} | {one / tree:.0%} | {max(0.0, 1 - nothing / tree):.1%} |"
        )
    return [
        *_wrapped(
            "A step, in ms. The speed is that of two workers with a tree, compared with one worker "
            "of two cores. The share is that of their step which is not computing."
        ),
        "",
        "| network | batch | one, 2 cores | two, tree | two, ring | two, no sum | speed | share |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
    ]


def _overlap(results: dict[str, Any] | None) -> list[str]:
    if results is None:
        return []
    low, middle, high = results["more_than_one_buffer_ms"]["two buffers"]
    text = (
        f"`python scripts/bench/overlap.py` tried it on {results['date']}, at a load of "
        f"{results['load']:.1f}: with one buffer a step took {results['ms']['one buffer']:.0f} ms, "
        "and with two buffers, of which the gradients of the last layers go during the backward "
        f"pass, {results['ms']['two buffers']:.0f} ms. The difference over "
        f"{results['rounds']} rounds in turns was {middle:.0f} ms (median; quartiles {low:.0f} and "
        f"{high:.0f} ms). cnnlab sends one buffer."
    )
    return ["", *_wrapped(text)]


def _overhead(figures: Figures) -> list[str]:
    agreement = figures.secs("mnist_mlp tree agreements")
    halved = figures.secs(f"mnist_mlp tree sums {figures.numbers} True")
    whole = figures.secs(f"mnist_mlp tree sums {figures.numbers}")
    ring = figures.secs(f"mnist_mlp ring sums {figures.numbers}")
    cifar = figures.secs("cifar_cnn tree steps")
    single, many = figures.overhead, figures.beside_sum("steps")
    busy = figures.cpu_secs(f"mnist_mlp tree sums {figures.numbers}") / 2 / whole
    in_a_run = round(TARGET_SHARED_RUN_SECS / SHORT_SECS)
    return [
        "| two workers | ms |",
        "|---|---|",
        f"| sum of {figures.numbers:,} float32, the gradients of `cifar_cnn` (tree) | "
        f"{1e3 * whole:.2f} |",
        f"| the same in bfloat16 | {1e3 * halved:.2f} |",
        f"| the same with a ring | {1e3 * ring:.2f} |",
        f"| what workers agree on before each session run | {1e3 * agreement:.2f} |",
        f"| a step of `mnist_mlp` beside its sum of {1e3 * figures.small_sum:.2f} ms, one step a "
        f"session run | {1e3 * single:.2f} |",
        f"| the same, many steps a session run | {1e3 * many:.2f} |",
        "",
        *_wrapped(
            "Most of it belongs to the session run: the agreement, the logits of the last step, "
            "and TensorFlow's own work. So cnnlab aims at session runs of "
            f"{TARGET_SHARED_RUN_SECS:g} s with several workers. A step of up to {SHORT_SECS:g} s "
            f"then has {in_a_run} or more in a run and, by these figures, at most "
            f"{1e3 * (many + (single - many) / in_a_run):.2f} ms beside its sum."
        ),
        "",
        *_wrapped(
            "The sum does not overlap with the backward pass. Overlap could save at most the time "
            f"of the sum, {whole / cifar:.1%} of a step of `cifar_cnn` here, and less because the "
            f"messages need the processor, too: {busy:.0%} of the time of a sum."
        ),
    ]


def _traffic(results: dict[str, Any], figures: Figures) -> list[str]:
    groups = (
        ("cifar_cnn tree", 2, "mnist_mlp tree"),
        ("cifar_cnn ring", 2, "mnist_mlp ring"),
        ("cifar_cnn four-tree", 4, "cifar_cnn four-tree"),
        ("cifar_cnn four-ring", 4, "cifar_cnn four-ring"),
    )
    rows = []
    for name, workers, of_sum in groups:
        messages, sent = traffic(results["exchanges"][name], workers)
        alone = figures.per_worker(f"{of_sum} sums {figures.numbers}", workers)
        step = figures.per_worker(f"{name} steps", workers)
        way = "ring" if name.endswith("ring") else "tree"
        rows.append(
            f"| {workers} | {way} | {messages} | {sent:,.0f} | {alone:,.0f} | {step:,.0f} |"
        )
    shared = " Other programs used it too." * results["loopback_is_shared"]
    return [
        *_wrapped(
            "What a worker sends in a step of `cifar_cnn`: messages and bytes of the sum, computed "
            "from the buffers, and bytes that the loopback interface counted, headers included, "
            f"for a sum alone and for a step with all that belongs to it.{shared}"
        ),
        "",
        "| workers | reduce | messages | bytes | counted, sum | counted, step |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def _model(figures: Figures) -> list[str]:
    here, batch, part = figures.link, figures.batch, figures.batch // 2
    network = Link(here.latency_secs + NETWORK_LATENCY_SECS, NETWORK_BYTES_PER_SEC)
    rows = []
    for workers in WORKERS:
        cells = []
        for link in (here, network):
            fixed = figures.step(batch, 1, link) / figures.step(batch / workers, workers, link)
            grows = workers * figures.step(part, 1, link) / figures.step(part, workers, link)
            cells += [f"{fixed:.1f}", f"{grows:.1f}"]
        sums = (
            tree_secs(workers, figures.size, network),
            ring_secs(workers, figures.size, network),
        )
        rows.append(
            f"| {workers} | {' | '.join(cells)} | {1e3 * sums[0]:.1f} | {1e3 * sums[1]:.1f} |"
        )
    checks = []
    for workers, name in ((2, "tree"), (4, "four-tree")):
        expected = figures.step(part, workers, here)  # the cores have the same work
        found = figures.secs(f"cifar_cnn {name} steps")
        checks.append(f"| {workers} | {1e3 * expected:.1f} | {1e3 * found:.1f} |")
    return [
        "### A model of more workers",
        "",
        *_wrapped(
            "This is a model on paper. W is the number of workers, n the bytes of the gradients, B "
            "the bandwidth of a worker, and L the latency of a message. A sum takes"
        ),
        "",
        "- with a tree, 2 workers: L + n/B",
        "- with a tree, more: L + (W-1) n/(W B) for the pieces, (W-1) (L + n/(W B)) for their sums",
        "- with a ring: 2 (W-1) (L + n/(W B))",
        "",
        *_wrapped(
            f"Measured between two workers here: L = {1e6 * here.latency_secs:.0f} us, B = "
            f"{here.bytes_per_sec / 1e9:.2f} GB/s. The network of the table has "
            f"{1e6 * NETWORK_LATENCY_SECS:.0f} us more and {NETWORK_BYTES_PER_SEC / 1e9:.2f} GB/s. "
            "A step takes the time of the part without a sum, the sum, and the overhead beside it. "
            "The assumptions: a part's time is in proportion to its images (too good for parts of "
            "a few images), no worker waits for a slower one, nothing overlaps, and the switch "
            "serves all workers at full speed. Each hop of a ring is taken to be as slow as an "
            "exchange of two workers."
        ),
        "",
        *_wrapped(
            f"The speed-up of `cifar_cnn` over one worker of one core, for a batch of {batch} in "
            f"all, and for {part} images in each worker; and the time of a sum on the network:"
        ),
        "",
        f"| workers | here, {batch} | here, {part} each | network, {batch} | network, {part} each "
        "| tree, ms | ring, ms |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "Checked on this machine; four workers have half a core each:",
        "",
        "| workers | step by the model, ms | measured, ms |",
        "|---|---|---|",
        *checks,
    ]
