"""A program that uses cnnlab after it has set something in TensorFlow, for test_surroundings.

It prints one line: what its runs computed, as JSON.
"""

import contextlib
import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of TensorFlow's own modules
    import tensorflow as tf2

from cnnlab import Train
from cnnlab.evaluate import evaluate
from cnnlab.export import export
from cnnlab.report import report
from scripts.safety.cases import OPTIONS
from tests import small_run

tf = tf2.compat.v1
tf_numpy = tf2.experimental.numpy

SETTINGS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "disable_v2_behavior": tf.disable_v2_behavior,
    "disable_eager_execution": tf.disable_eager_execution,
    "disable_resource_variables": tf.disable_resource_variables,
    "disable_control_flow_v2": tf.disable_control_flow_v2,
    "disable_v2_tensorshape": tf.disable_v2_tensorshape,
    "disable_tensor_equality": tf.disable_tensor_equality,
    "check_numerics": tf2.debugging.enable_check_numerics,
    "run_functions_eagerly": lambda: tf2.config.run_functions_eagerly(True),
    "op_determinism": tf2.config.experimental.enable_op_determinism,
    "set_seed": lambda: tf2.random.set_seed(7),
    "numpy": tf_numpy.experimental_enable_numpy_behavior,
    "numpy_all": lambda: tf_numpy.experimental_enable_numpy_behavior(dtype_conversion_mode="all"),
    "interactive_session": lambda: tf.InteractiveSession(graph=tf2.Graph()),
}
BLOCKS: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "in_graph": lambda: tf2.Graph().as_default(),
    "in_session": lambda: tf.Session(graph=tf2.Graph()),
    "in_init_scope": tf2.init_scope,
    "in_strategy": lambda: tf2.distribute.MirroredStrategy(["/cpu:0"]).scope(),
    "in_tape": tf2.GradientTape,
}


def digest(arrays: dict[str, Any]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode() + arrays[name].tobytes())
    return found.hexdigest()


def plain(folder: Path) -> str:
    with small_run.make(folder, **small_run.BUSY, augment=["flip"]) as train:
        train.train()
        probabilities = train.predict(small_run.arrays()[1][0])
        return digest({**small_run.variables(train), "probabilities": probabilities})


def compiled(folder: Path) -> str:
    """The steps that XLA compiles into one operation."""
    data = small_run.arrays(size=16)
    options = {"xla": True, "augment": [], "optimizer": "sgd", "learning_rate": 0.01, "steps": 23}
    with small_run.make(folder, small_run.linear, data, **options) as train:
        train.train()
        names = train.graph.as_graph_def().node
        assert any(node.name.startswith("resident_data/chunk/") for node in names)
        return digest(small_run.variables(train))


def commands(folder: Path) -> list[Any]:
    """Evaluate, export and describe a run."""
    with Train(**OPTIONS, save_dir=str(folder), log_dir=str(folder / "logs")) as train:
        train.train()
    figures = evaluate(folder)
    for kind in ("frozen", "saved_model", "npz"):
        export(str(folder), kind, str(folder / kind))
    report(folder, examples=2)
    with np.load(folder / "npz") as weights:
        return [figures["accuracy"], figures["loss"], digest(dict(weights))]


def main(name: str) -> None:
    parts = {"plain": plain, "compiled": compiled, "commands": commands}
    found = {}
    with tempfile.TemporaryDirectory() as scratch, BLOCKS.get(name, contextlib.nullcontext)():
        SETTINGS.get(name, lambda: None)()
        for part, compute in parts.items():
            found[part] = compute(Path(scratch) / part)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
