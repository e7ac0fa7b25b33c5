"""What must be equal on all workers: checked before the first step, and named if it differs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from cnnlab.base.errors import UsageError
from cnnlab.base.machine import cpu_features, versions
from cnnlab.base.tf1 import onednn_is_on, onednn_uses_avx512
from cnnlab.config.config import Config
from cnnlab.config.input_options import is_pictures
from cnnlab.config.options import Options, as_dict, fields_of
from cnnlab.config.recipes import OF_ONE_PROCESS
from cnnlab.config.values import plain
from cnnlab.data.example_stream import ExampleStream
from cnnlab.data.training_data import TrainingData
from cnnlab.run.cluster.place import Place

# Options that may differ, besides paths: they are read by one worker, or change nothing.
_OF_ONE_WORKER: Final = {
    *OF_ONE_PROCESS,
    *("config", "device", "gpu_memory_fraction", "gpu_allow_growth", "inter_op_threads"),
    *("steps_per_run", "max_to_keep", "keep_every", "keep_every_hours"),
    *("trace_steps", "worker_timeout_secs", "layer_summaries", "verify_data"),
}

_CODE: Final = " code"  # ends the names of fingerprints of code

Facts = dict[str, dict[str, Any]]


def facts_of(
    place: Place, config: Config, data: TrainingData, fingerprints: Mapping[str, str]
) -> Facts:
    """Return what must be equal on all workers, by kind and name.

    Args:
        place: which worker this is.
        config: the resolved options.
        data: the run's data. It is read only if it has no fingerprints.
        fingerprints: see `cnnlab.run.disk.fingerprint`.
    """
    found: Facts = {
        "address": {f"worker {index}": one for index, one in enumerate(place.addresses)},
        "option": options_to_compare(config),
        "version": versions(),
        "checksum": {name: one for name, one in fingerprints.items() if not _is_code(name)}
        or {name: _checksum(data, name) for name in ("train", "validation")},
        "code": {name[: -len(_CODE)]: one for name, one in fingerprints.items() if _is_code(name)},
    }
    images = None if data.unofficial is None else data.unofficial.train.images
    if isinstance(images, ExampleStream):  # its fingerprint has only its shape
        found["checksum"]["the stream's first examples"] = checksum_of(images.first)
    if config.reduce == "tree":  # only this promises the same bits
        found["processor"] = {
            "instruction sets": " ".join(cpu_features()) or "none known",
            "oneDNN": onednn_is_on(),
            "AVX-512 in oneDNN": onednn_uses_avx512(),
            "threads of an operation": config.intra_op_threads or len(os.sched_getaffinity(0)),
        }
    return found


def options_to_compare(options: Options) -> dict[str, Any]:
    """Return the options that must be equal on all workers, by their flags."""
    fields = fields_of(type(options))
    found = {
        f"--{name}": plain(value)
        for name, value in as_dict(options).items()
        if name not in _OF_ONE_WORKER and not fields[name].json_schema_extra["is_path"]
    }
    if is_pictures(found["--dataset"] or ""):  # the folder may have another name on each machine
        found["--dataset"] = found["--dataset"].partition(":")[0]
    return found


def _is_code(name: str) -> bool:
    return name.endswith(_CODE)


def _checksum(data: TrainingData, name: str) -> str:
    """Return the checksum of the images, labels and weights of a split."""
    return checksum_of(data.split(name))


def checksum_of(arrays: Iterable[Any]) -> str:
    """Return the checksum of arrays; those that are None do not count."""
    total = hashlib.blake2b(digest_size=8)
    for array in arrays:
        if array is not None:
            total.update(f"{array.dtype.str} {array.shape}".encode())
            total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def check_equal(place: Place, facts: list[Facts]) -> None:
    """Refuse workers that would train another network than the chief.

    Args:
        place: which worker this is.
        facts: of all workers, in order.

    Raises:
        UsageError: names the first worker that differs, and the difference.
    """
    remedies = {
        "address": "give all workers the same list in TF_CONFIG",
        "option": "give all workers the same options",
        "version": "install the same versions on all machines",
        "checksum": "copy the same data to all machines",
        "code": "copy the same files to all machines",
        "processor": "use equal machines and an equal --intra_op_threads, or --reduce=ring, which "
        "promises no exact bits",
    }
    for index, others in enumerate(facts):
        for kind, remedy in remedies.items():
            chief, other = facts[0].get(kind, {}), others.get(kind, {})
            for name in {**chief, **other}:
                if chief.get(name) != other.get(name):
                    named = {"option": f"{name}=", "processor": f"{name}: "}
                    what = named.get(kind, f"{kind} of {name}: ")
                    raise UsageError(
                        f"{place.name_of(index)} differs from worker 0: {what}{other.get(name)} "
                        f"there and {chief.get(name)} on worker 0; {remedy}"
                    )


def check_sync_bn(place: Place, config: Config) -> None:
    """Refuse batch norm over all workers where a worker has several parts, one after the other.

    Raises:
        UsageError: that is so.
    """
    if config.sync_bn and config.micro_batches != place.workers:
        raise UsageError(
            f"--sync_bn needs one part of the batch for each worker; there are "
            f"--micro_batches={config.micro_batches} and {place.workers} worker"
            f"{'s' * (place.workers > 1)}"
        )


def check_count(place: Place, config: Config) -> None:
    """Refuse a number of workers that cannot share the micro-batches.

    Raises:
        UsageError: it is no power of two, or does not divide the micro-batches.
    """
    count, parts = place.workers, config.micro_batches
    if count & (count - 1):
        raise UsageError(
            f"TF_CONFIG has {count} workers; their number must be a power of two, because the sum "
            "of the gradients is a binary tree"
        )
    if parts % count:
        raise UsageError(
            f"{count} workers cannot share --micro_batches={parts}; make it a multiple of {count}"
        )
    if config.trace_steps or config.profile:
        raise UsageError(
            "--trace_steps and --profile measure one process; leave them out with several workers"
        )
