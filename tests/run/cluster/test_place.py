"""TF_CONFIG: what is accepted, and what is refused before TensorFlow is loaded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.run.cluster.place import Place, place_of

A, B = "127.0.0.1:2222", "127.0.0.1:2223"
WORKER_0 = {"type": "worker", "index": 0}


def place(cluster: Any, task: Any = None) -> Place:
    said = json.dumps({"cluster": cluster, "task": task or WORKER_0})
    return place_of({"TF_CONFIG": said})


@pytest.mark.parametrize(
    "text", ["", " ", "{}", '{"cluster": {}}', '{"task": {"type": "worker", "index": 0}}']
)
def test_without_a_cluster_a_process_is_alone(text: str) -> None:
    found = place_of({"TF_CONFIG": text})
    assert (found.workers, found.is_chief) == (1, True)


def test_a_place_among_workers() -> None:
    found = place({"worker": [A, B]}, {"type": "worker", "index": "1"})
    assert (found.workers, found.worker, found.is_chief) == (2, 1, False)
    assert found.name_of(0) == f"worker 0 ({A})"
    assert place({"chief": [A]}, {"type": "chief", "index": 0}).workers == 1


@pytest.mark.parametrize(
    ("cluster", "task", "problem"),
    [
        ([A], None, "cluster and task must be JSON objects"),
        ({"worker": A}, None, "worker must be a list of addresses"),
        ({"worker": [A, "nowhere"]}, None, "'nowhere' is no address; write host:port"),
        ({"worker": [A, "host:70000"]}, None, "'host:70000' is no address"),
        ({"worker": []}, None, "worker must be a list of addresses"),
        ({"worker": {"0": A}}, None, "worker must be a list of addresses"),
        ({"worker": [A, "127.0.0.1"]}, None, "'127.0.0.1' is no address; write host:port"),
        ({"worker": [A, "http://host:1"]}, None, "'http://host:1' is no address"),
        ({"worker": [A, 2222]}, None, "2222 is no address; write host:port"),
        ({"worker": [A, A]}, None, f"two workers have the address {A}"),
        ({"worker": ["Host:22", "host:022"]}, None, "two workers have the address host:022"),
        (
            {"worker": [A, B]},
            {"type": "worker", "index": 2},
            "worker 2, but the cluster has worker 0",
        ),
        ({"worker": [A, B]}, {"type": "worker", "index": -1}, "the task is worker -1, but the"),
        ({"worker": [A, B]}, {"type": "worker", "index": "x"}, "the task is worker x, but the"),
        ({"worker": [A, B]}, {"type": "worker"}, "worker None, but the cluster has"),
        ({"worker": [A, B]}, {"index": 1}, "the task's type is None, but the cluster has worker"),
        ({"worker": [A, B]}, "worker", "cluster and task must be JSON objects"),
        ({"worker": [A, B]}, {"type": "evaluator", "index": 0}, "'evaluator', but the cluster has"),
        ({"worker": [A], "evaluator": [B]}, None, "the cluster has the job evaluator"),
        ({"chief": [A, B]}, {"type": "chief", "index": 0}, "there is more than one chief"),
        ({"worker": [A, B]}, {"type": "chief", "index": 0}, "type is 'chief', but the cluster has"),
        ({"chief": [A], "worker": [B]}, None, "a chief and a worker 0"),
        ({"worker": [A], "ps": [B]}, None, "the cluster has the job ps"),
    ],
)
def test_what_is_refused(cluster: Any, task: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        place(cluster, task)


def test_a_cluster_without_a_task_is_refused() -> None:
    with pytest.raises(UsageError, match="the task's type is None, but the cluster has worker"):
        place_of({"TF_CONFIG": json.dumps({"cluster": {"worker": [A, B]}})})


@pytest.mark.parametrize("text", ["{", "[]", "worker 0"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="TF_CONFIG is not"):
        place_of({"TF_CONFIG": text})
