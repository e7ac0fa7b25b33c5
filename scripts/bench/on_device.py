"""Checks of one device, in a separate process: `python on_device.py SETTINGS`, a JSON object.

Its keys are those of `Settings`, and `checks`, the names of the checks to make. Each check prints a
JSON object on a line of its own, so that a crash loses only the check in which it happens. The data
set is `shapes`, which the program draws, so no data file is needed.
"""

import contextlib
import functools
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab.base.errors import CnnlabError
from scripts.bench import torch_on_device
from scripts.bench.device_checks import FailedError, Figures, Settings, SkippedError, speed
from scripts.bench.workloads import WORKLOADS

TF32 = "NVIDIA_TF32_OVERRIDE"
TOLERANCE = 1e-3  # between losses on the device and on the CPU, relative
COMPARED_STEPS = 20
# Types of operations, some with a prefix or a suffix. Names will not do: the gradient of a
# convolution has small operations on shapes, which TensorFlow computes on the CPU.
HEAVY = ("Conv2D", "MatMul")
TYPE = re.compile(r" = (\w+)\(")  # in the label of an operation of a trace


def device(settings: Settings) -> Figures:
    """TensorFlow sees the device, and computes on it."""
    from cnnlab import tf

    kind, _, number = settings.device.partition(":")
    index = int(number or 0)
    seen = tf.config.list_physical_devices(kind.upper())
    if index >= len(seen):
        raise FailedError(
            f"TensorFlow sees {len(seen)} GPUs: install a driver and pip install 'cnnlab[gpu]'; "
            'the reason: python -c "import tensorflow as tf; tf.config.list_physical_devices()"'
        )
    with tf.Graph().as_default(), tf.device(f"/{kind}:{index}"), tf.Session() as session:
        numbers = tf.random.uniform([8, 8])  # no constants, which TensorFlow multiplies on the CPU
        session.run(tf.matmul(numbers, numbers))
    build = tf.sysconfig.get_build_info()
    details = tf.config.experimental.get_device_details(seen[index]) if kind == "gpu" else {}
    capability = details.get("compute_capability")
    return {
        "name": details.get("device_name", "CPU"),
        "seen": len(seen),
        **({"compute_capability": ".".join(map(str, capability))} if capability else {}),
        **{name: build[name] for name in ("cuda_version", "cudnn_version") if name in build},
    }


def placement(settings: Settings, model: str) -> Figures:
    """Every convolution and matrix product of a training step runs on the device."""
    traced, described = _traced_step(settings, model)
    kind, _, number = settings.device.partition(":")
    wanted = f":{kind.upper()}:{number or 0}"
    found = [
        (node.node_name, "".join(TYPE.findall(node.timeline_label)[:1]), place.device)
        for place in traced.step_stats.dev_stats
        for node in place.node_stats
    ]
    heavy = [op for op in found if any(word in op[1] for word in HEAVY)]
    elsewhere = [f"{name} on {place}" for name, _, place in heavy if wanted not in place]
    if not heavy:
        raise FailedError(f"no convolution among the {len(found)} operations of the trace")
    if elsewhere:
        raise FailedError(f"{len(elsewhere)} of {len(heavy)} elsewhere: {'; '.join(elsewhere[:3])}")
    on_device = sum(wanted in place for *_, place in found)
    return {
        "device": described,
        "operations": len(found),
        "operations_on_device": on_device,
        "heavy_operations": len(heavy),
    }


def _traced_step(settings: Settings, model: str) -> tuple[Any, str]:
    """Return the RunMetadata of a training step, and the name of the device."""
    from cnnlab import tf

    with _train(settings, model) as train:
        traced = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE)
        train.session.run(train.train_op, options=options, run_metadata=traced)
        return traced, train.describe()


def training(settings: Settings, model: str, precision: str, xla: str) -> Figures:
    """Train a network, and measure its speed."""
    from cnnlab.run.loop import run_steps

    started = time.perf_counter()
    options = {"precision": precision, "xla": xla == "xla"}
    with _train(settings, model, **options) as train:
        # Fetching the objective makes a step. Figures of inference would be of batch norm's moving
        # averages, which are far off after few steps.
        objective = train.train_graph.objective
        before = float(train.session.run(objective))
        run_steps(train, (), 2)
        setup_secs = time.perf_counter() - started
        images_per_sec, steps = speed(
            lambda n: run_steps(train, (), train.step + n), settings, train.config.batch_size
        )
        after = float(np.mean([train.session.run(objective) for _ in range(5)]))
    if not math.isfinite(after) or (steps >= 100 and after >= before):
        raise FailedError(f"the loss was {before:.4f} and is {after:.4f} after {steps} steps")
    return {
        "images_per_sec": images_per_sec,
        "steps": steps,
        "setup_secs": round(setup_secs, 1),
        "loss_before": before,
        "loss_after": after,
    }


def losses(settings: Settings, model: str) -> Figures:
    """The losses of the first steps are those on the CPU."""
    found = []
    for place in ("cpu", settings.device):
        with _train(settings._replace(device=place), model, compared=True) as train:
            objective = train.train_graph.objective  # fetching it makes a step
            found.append([float(train.session.run(objective)) for _ in range(COMPARED_STEPS)])
    expected, got = np.array(found)
    worst = float(np.max(np.abs(got - expected) / np.abs(expected)))
    if not worst <= TOLERANCE:
        raise FailedError(f"differ by up to {worst:.1e}, more than {TOLERANCE:.0e}")
    return {"steps": COMPARED_STEPS, "largest_difference": worst, "last_loss": float(got[-1])}


def resume(settings: Settings) -> Figures:
    """A run that stops and resumes has the bits of one that does not."""
    from cnnlab.checkpoint import diff

    folders = [Path(settings.scratch) / name for name in ("whole", "resumed")]
    options = {"augment": ["flip"], "model_options": {"dropout": 0.3}, "checkpoint_steps": 10}
    for folder, ends in zip(folders, ((20,), (10, 20)), strict=True):
        for steps in ends:
            with _train(settings, "cifar_cnn", **options) as train:
                train.train(str(folder), steps=steps)
    found = diff(*folders)
    if found["other_values"] or not found["same"]:
        names = [other["name"] for other in found["other_values"]]
        raise FailedError(f"{len(names)} variables have other bits: {', '.join(names[:3])}")
    return {"equal_variables": found["same"]}


def evaluation(settings: Settings) -> Figures:
    """The test set has the figures that the same weights have on the CPU."""
    from cnnlab.evaluate import evaluate

    folder = _small_run(settings)
    here, on_cpu = (evaluate(folder, device=device) for device in (settings.device, "cpu"))
    difference = abs(here["loss"] - on_cpu["loss"]) / on_cpu["loss"]
    if not difference <= TOLERANCE or abs(here["accuracy"] - on_cpu["accuracy"]) > 0.002:
        raise FailedError(f"loss {here['loss']:.5f}, on the CPU {on_cpu['loss']:.5f}")
    return {"accuracy": here["accuracy"], "loss_difference": difference}


def exported(settings: Settings) -> Figures:
    """The exported network predicts what the run predicts."""
    import tensorflow as tf

    from cnnlab import Train
    from cnnlab.export import export

    folder = _small_run(settings)
    out = Path(folder) / "model"
    export(folder, out=out, overwrite=True)
    with Train(save_dir=folder, device=settings.device) as train:
        train.restore()  # with the run's data set, not the default one
        images = train.data.split("test").images[:100]
        expected = train.predict(images)
    loaded = tf.saved_model.load(str(out)).signatures["serving_default"]
    (name,) = loaded.structured_input_signature[1]
    found = loaded(**{name: tf.constant(images)})["probabilities"].numpy()
    worst = float(np.max(np.abs(found - expected)))
    if not worst <= TOLERANCE:
        raise FailedError(f"probabilities differ by up to {worst:.1e}")
    return {"images": len(images), "largest_difference": worst}


CHECKS: dict[str, Callable[..., Figures]] = {
    "device": device,
    "placement": placement,
    "train": training,
    "torch": torch_on_device.train,
    "losses": losses,
    "resume": resume,
    "evaluation": evaluation,
    "export": exported,
}


@contextlib.contextmanager
def _train(
    settings: Settings, model: str, *, compared: bool = False, **options: Any
) -> Iterator[Any]:
    """Yield a Train of the workload with the data set shapes."""
    from cnnlab import Train

    workload = WORKLOADS[model].for_comparison() if compared else WORKLOADS[model]
    if compared and workload.optimizer != "adam":
        # On a CPU, other kernels make losses differ by 7e-4 after 20 steps at the full rate, too
        # near to the tolerance, and by less than 3e-5 at this one.
        workload = workload._replace(learning_rate=workload.learning_rate / 10)
    given = {**workload.cnnlab_options(), "dataset": "shapes", "device": settings.device}
    given["batch_size"] = settings.images or workload.batch_size
    given["quiet"] = True
    with Train(**{**given, **options}) as train:
        yield train


@functools.cache
def _small_run(settings: Settings) -> str:
    """Train a few steps, and return the run directory."""
    folder = str(Path(settings.scratch) / "small")
    with _train(settings, "cifar_cnn", steps=30) as train:
        train.train(folder)
    return folder


def make(name: str, settings: Settings) -> dict[str, Any]:
    """Make one check, such as "train resnet20 bfloat16 xla"; return its row."""
    kind, *arguments = name.split()
    started = time.perf_counter()
    row: dict[str, Any] = {"check": name, "state": "passed", "message": ""}
    try:
        row["figures"] = CHECKS[kind](settings, *arguments)
    except SkippedError as why:
        row.update(state="skipped", message=str(why))
    except FailedError as why:
        row.update(state="failed", message=str(why))
    except Exception as error:
        text = str(error) if isinstance(error, CnnlabError) else f"{type(error).__name__}: {error}"
        row.update(state="failed", message=" ".join(text.split())[:300])
    return {**row, "secs": round(time.perf_counter() - started, 1)}


def main() -> None:
    """Make the checks of the command line. What libraries print goes to stderr."""
    given = json.loads(sys.argv[1])
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    settings = Settings(**{name: given[name] for name in Settings._fields})
    if os.environ.get(TF32) == "0":  # NVIDIA's libraries read it; TensorFlow's own kernels do not
        from cnnlab import tf

        tf.config.experimental.enable_tensor_float_32_execution(False)
    for name in given["checks"]:
        os.write(answer_fd, (json.dumps(make(name, settings)) + "\n").encode())


if __name__ == "__main__":
    main()
