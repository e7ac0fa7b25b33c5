"""TF_CONFIG: the workers of a run, and which of them this process is.

It is the variable by which TensorFlow's programs are started on several machines:

    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
     "task": {"type": "worker", "index": 0}}

Worker 0 is the chief, which writes checkpoints, logs and the result. TensorFlow is not loaded here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cnnlab.base.errors import UsageError

TF_CONFIG: Final = "TF_CONFIG"
_EXAMPLE: Final = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_ADDRESS: Final = re.compile(r"(?P<host>[^\s:/]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
_HIGHEST_PORT: Final = 65535


class Place(NamedTuple):
    """The place of this process among the workers of a run.

    addresses: host:port of each worker; empty if there is no cluster.
    worker: number of this worker, in [0, workers).
    """

    addresses: tuple[str, ...] = ()
    worker: int = 0

    @property
    def workers(self) -> int:
        """Number of workers, 1 if there is no cluster."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run's files."""
        return self.worker == 0

    @property
    def port(self) -> int:
        """The port of this worker, which has an address."""
        return int(self.addresses[self.worker].rpartition(":")[2])

    def name_of(self, index: int) -> str:
        """Return how messages name a worker."""
        return f"worker {index} ({self.addresses[index]})"


def place_of(environment: Mapping[str, str] | None = None) -> Place:
    """Return the place that TF_CONFIG says; alone if it is not set or names no cluster.

    Args:
        environment: default: that of this process.

    Raises:
        UsageError: TF_CONFIG is malformed, or asks for what a run of equal workers does not have.
    """
    text = (os.environ if environment is None else environment).get(TF_CONFIG, "").strip()
    if not text:
        return Place()
    try:
        said = json.loads(text)
    except ValueError as error:
        raise UsageError(f"TF_CONFIG is not JSON ({error}); write it as {_EXAMPLE}") from error
    if not isinstance(said, dict):
        raise UsageError(f"TF_CONFIG is not a JSON object; write it as {_EXAMPLE}")
    cluster, task = said.get("cluster") or {}, said.get("task") or {}
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise UsageError(f"TF_CONFIG: cluster and task must be JSON objects, as in {_EXAMPLE}")
    if not cluster:
        return Place()
    addresses = _addresses_of(cluster)
    return Place(addresses, _index_of(task, cluster, len(addresses)))


def _addresses_of(cluster: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of all workers, checked."""
    for job in cluster:
        if job not in ("chief", "worker"):
            raise UsageError(
                f"TF_CONFIG: the cluster has the job {job}; a run has only equal workers, so leave "
                f"it out and list all addresses under worker"
            )
    if {"chief", "worker"} <= cluster.keys():
        raise UsageError(
            "TF_CONFIG: the cluster has a chief and a worker 0, and both would write the run's "
            "files; list all addresses under worker, the chief's first"
        )
    (job, addresses), *_ = cluster.items()
    if not isinstance(addresses, list) or not addresses:
        raise UsageError(f"TF_CONFIG: {job} must be a list of addresses, as in {_EXAMPLE}")
    seen = set()
    for address in addresses:
        found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if found is None or not 1 <= int(found["port"]) <= _HIGHEST_PORT:
            raise UsageError(f"TF_CONFIG: {address!r} is no address; write host:port")
        if (one := (found["host"].lower(), int(found["port"]))) in seen:
            raise UsageError(f"TF_CONFIG: two workers have the address {address}")
        seen.add(one)
    if job == "chief" and len(addresses) > 1:
        raise UsageError("TF_CONFIG: there is more than one chief; list them under worker")
    return tuple(addresses)


def _index_of(task: Mapping[str, Any], cluster: Mapping[str, Any], count: int) -> int:
    """Return the number of this worker, checked."""
    kind, index = task.get("type"), task.get("index")
    if isinstance(index, str) and index.isdecimal():  # as some shell scripts write it
        index = int(index)
    if kind not in cluster:
        raise UsageError(
            f"TF_CONFIG: the task's type is {kind!r}, but the cluster has {', '.join(cluster)}"
        )
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
        raise UsageError(
            f"TF_CONFIG: the task is {kind} {index}, but the cluster has {kind} 0 to {count - 1}"
        )
    return index
