"""The device of each operation, read from the graph, which needs no GPU."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import kernels, tf
from cnnlab.config.resolve import resolve
from cnnlab.data.augment import AUGMENTATIONS
from cnnlab.run import session as network
from cnnlab.run.device import session_config
from tests import small_run

GPU = "/device:GPU:0"
# Draws the indices of each batch, batch_size numbers of 8 bytes. A step gets nothing else from
# the CPU.
FROM_CPU = {"IteratorGetNext"}


def functions_of(graph: Any, node: Any) -> Iterator[Any]:
    """Yield the functions that a node runs, and those that their nodes run."""
    library = {f.signature.name: f for f in graph.as_graph_def().library.function}
    waiting, seen = [node], set()
    while waiting:
        for attribute in waiting.pop().attr.values():
            names = [attribute.func.name, *(f.name for f in attribute.list.func)]
            for name in {name for name in names if name in library} - seen:
                seen.add(name)
                yield library[name]
                waiting += library[name].node_def


def has_gpu_kernel(node: Any) -> bool:
    """Return whether TensorFlow's build for GPUs has a kernel for the node's types."""
    for kernel in kernels.get_registered_kernels_for_op(node.op).kernel:
        types_fit = all(
            node.attr[constraint.name].type in constraint.allowed_values.list.type
            for constraint in kernel.constraint
            if constraint.allowed_values.list.type
        )
        if kernel.device_type in ("GPU", "DEFAULT") and types_fit:
            return True
    return False


OTHERS = ("random_crop", "central_crop", "mixup", "cutmix")
SIMPLE = [name for name in AUGMENTATIONS if name not in OTHERS]
RUNS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "precision": {"precision": "float16", "ema_decay": 0.9},
    "moving": {"augment": SIMPLE, "optimizer": "muon", "lookahead_steps": 2},
    "mixing": {
        "augment": [{"central_crop": {"size": 7}}, {"random_crop": {"size": 6}}, "mixup", "cutmix"],
        "optimizer": "rmsprop",
        "class_weights": "balanced",
        "schedule": "plateau",
        "on_nan": "rollback",
    },
    "parts": {"micro_batches": 2, "schedule": "cosine", "optimizer": "adamw", "clip_norm": 1.0},
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n != "defaults")) for n in RUNS],
)
def test_a_step_stays_on_the_gpu(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    if not tf.test.is_built_with_cuda():
        pytest.skip("this build of TensorFlow has no kernels for GPUs to look up")
    monkeypatch.setattr(network, "choose_device", lambda _config: "/gpu:0")
    with small_run.make(tmp_path, device="auto", **RUNS[name]) as train:
        graph = train.build_graph()
        with graph.as_default():
            variables = [*tf.global_variables(), *tf.local_variables()]
        assert {variable.device for variable in variables} == {GPU}  # the data set's variables too
        (loop,) = (node for node in graph.as_graph_def().node if node.op == "While")
        assert loop.device == GPU
        functions = list(functions_of(graph, loop))
    nodes = [node for function in functions for node in function.node_def]
    assert {"ResourceGather", "IteratorGetNext"} <= {node.op for node in nodes}
    # A read of a variable has no device; it runs on the device of the variable.
    assert {node.op for node in nodes if node.device != GPU} <= {"ReadVariableOp"}
    without_kernel = {node.op for node in nodes if not has_gpu_kernel(node)}
    assert without_kernel == set()
    host_ops = {op for op in (n.op for n in nodes) if "Iterator" in op or "PyFunc" in op}
    assert host_ops == FROM_CPU
    (iterator,) = {node.op for node in graph.as_graph_def().node if "OneShot" in node.op}
    assert [k.device_type for k in kernels.get_registered_kernels_for_op(iterator).kernel] == [
        "CPU"
    ]


def test_a_number_of_threads_concerns_one_session_only() -> None:
    """Otherwise all sessions of the process would share the threads of the first one."""
    given = session_config(resolve({"inter_op_threads": 1}))
    assert (given.inter_op_parallelism_threads, given.use_per_session_threads) == (1, True)
    default = session_config(resolve({}))
    assert (default.inter_op_parallelism_threads, default.use_per_session_threads) == (0, False)


@pytest.mark.slow
def test_threads_of_an_operation_cannot_be_changed_later(tmp_path: Path) -> None:
    small_run.make(tmp_path / "first").train()
    with pytest.raises(UsageError, match="--intra_op_threads=7 comes too late: TensorFlow has al"):
        small_run.make(tmp_path / "second", intra_op_threads=7).build_graph()


@pytest.mark.slow
def test_threads_of_an_operation(tmp_path: Path) -> None:
    """TensorFlow starts these threads once, so each number needs its own process."""
    script = """
import sys
from pathlib import Path
from tests import small_run
with small_run.make(sys.argv[2], intra_op_threads=int(sys.argv[1])) as train:
    train.train()
print(len(list(Path("/proc/self/task").iterdir())))
"""
    counts = []
    for count in (1, 4):
        command = [sys.executable, "-c", script, str(count), str(tmp_path / str(count))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        counts.append(int(done.stdout.split()[-1]))
    assert counts[1] - counts[0] == 3
