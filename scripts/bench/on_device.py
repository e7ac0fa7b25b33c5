"""Checks of one device, in a separate process: `python on_device.py SETTINGS`, a JSON object.

Its keys are those of `Settings`, and `checks`, the names of the checks to make. Each check prints a
JSON object on a line of its own, so that a crash loses only the check in which it happens. The data
set is `shapes`, which the program draws, so no data file is needed.
"""

import contextlib
import functools
import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab.base.errors import CnnlabError
from scripts.bench.workloads import WORKLOADS

TOLERANCE = 1e-3  # between losses on the device and on the CPU, relative
COMPARED_STEPS = 20
Figures = dict[str, Any]


class Settings(NamedTuple):
    """What the checks share.

    Attributes:
        device: gpu, gpu:N or cpu.
        scratch: folder for run directories.
        secs: seconds to train for one measurement.
        images: images a step; None: those of the workload.
    """

    device: str
    scratch: str
    secs: float
    images: int | None


class FailedError(Exception):
    """A check found something wrong."""


class SkippedError(Exception):
    """A check cannot be made here."""


def placement(settings: Settings) -> Figures:
    """Every convolution and matrix product of a training step runs on the device."""
    from cnnlab import tf

    with _train(settings, "cifar_cnn") as train:
        traced = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE)
        train.session.run(train.train_op, options=options, run_metadata=traced)
        described = train.describe()
    kind = settings.device.partition(":")[0].upper()
    found = [
        (f"{node.node_name} {node.timeline_label}".strip(), device.device)
        for device in traced.step_stats.dev_stats
        for node in device.node_stats
    ]
    heavy = [op for op in found if any(word in op[0] for word in ("Conv2D", "MatMul"))]
    elsewhere = [f"{name} on {device}" for name, device in heavy if f":{kind}:" not in device]
    if elsewhere or not heavy:
        raise FailedError(f"{len(elsewhere)} of {len(heavy)} elsewhere: {'; '.join(elsewhere[:3])}")
    on_device = sum(f":{kind}:" in device for _, device in found)
    return {"device": described, "operations": len(found), "operations_on_device": on_device}


def training(settings: Settings, model: str, precision: str, xla: str) -> Figures:
    """Train a network, and measure its speed."""
    from cnnlab.run.loop import run_steps

    started = time.perf_counter()
    options = {"precision": precision, "xla": xla == "xla"}
    with _train(settings, model, **options) as train:
        _ = train.session  # with untrained weights
        before = train.evaluate("train", limit=500)["loss"]
        run_steps(train, (), 2)
        setup_secs = time.perf_counter() - started
        images_per_sec, steps = _speed(
            lambda n: run_steps(train, (), train.step + n), settings, train.config.batch_size
        )
        after = train.evaluate("train", limit=500)["loss"]
    if not math.isfinite(after) or (steps >= 100 and after >= before):
        raise FailedError(f"the loss was {before:.4f} and is {after:.4f} after {steps} steps")
    return {
        "images_per_sec": images_per_sec,
        "steps": steps,
        "setup_secs": round(setup_secs, 1),
        "loss_before": before,
        "loss_after": after,
    }


def torch_training(settings: Settings, model: str, precision: str) -> Figures:
    """Train the same network with PyTorch, and measure its speed."""
    if importlib.util.find_spec("torch") is None:
        raise SkippedError("PyTorch is not installed: pip install 'cnnlab[bench]'")
    import torch
    from torch.nn import functional

    from cnnlab.data.datasets import load_dataset
    from scripts.bench.with_torch import TorchNetwork, make_optimizer

    device = settings.device.replace("gpu", "cuda")
    if device != "cpu" and not torch.cuda.is_available():
        raise SkippedError("this PyTorch sees no GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as TensorFlow
    workload, split = WORKLOADS[model], load_dataset("shapes", ".").train
    batch_size = settings.images or workload.batch_size
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2).to(device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(split.labels.astype(np.int64)).to(device)
    network = TorchNetwork(workload, split.images.shape[1:])
    network.to(device, memory_format=torch.channels_last).train()
    optimizer = make_optimizer(workload, network, fused=True)
    kind, lower = device.partition(":")[0], getattr(torch, precision)
    scaler = torch.amp.GradScaler(kind, enabled=precision == "float16" and kind == "cuda")

    def run(steps: int) -> None:
        for _ in range(steps):
            batch = torch.randint(len(labels), (batch_size,), device=device)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(kind, lower, enabled=precision != "float32"):
                logits = network(images[batch])
            loss = functional.cross_entropy(
                logits.float(), labels[batch], label_smoothing=workload.label_smoothing
            )
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        if kind == "cuda":
            torch.cuda.synchronize()

    run(2)
    images_per_sec, steps = _speed(run, settings, batch_size)
    return {"images_per_sec": images_per_sec, "steps": steps}


def losses(settings: Settings) -> Figures:
    """The losses of the first steps are those on the CPU."""
    found = []
    for device in ("cpu", settings.device):
        with _train(settings._replace(device=device), "cifar_cnn", compared=True) as train:
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
    "placement": placement,
    "train": training,
    "torch": torch_training,
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


def _speed(run: Callable[[int], object], settings: Settings, batch_size: int) -> tuple[float, int]:
    """Return images/s over about `settings.secs` seconds, and the number of steps."""
    steps, secs = 1, _timed(run, 1)
    while secs < settings.secs / 2:  # too short to tell: as many steps as seem to fit
        steps = max(steps + 1, min(10 * steps, round(steps * settings.secs / secs)))
        secs = _timed(run, steps)
    return batch_size * steps / secs, steps


def _timed(run: Callable[[int], object], steps: int) -> float:
    started = time.perf_counter()
    run(steps)
    return time.perf_counter() - started


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
    for name in given["checks"]:
        os.write(answer_fd, (json.dumps(make(name, settings)) + "\n").encode())


if __name__ == "__main__":
    main()
