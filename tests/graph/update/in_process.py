"""Workers in one process: servers of TensorFlow on loopback, each with a thread and a graph."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.launch import free_addresses
from cnnlab.run.cluster.messages import session_config_of
from cnnlab.run.cluster.place import Place

_graph_keys = itertools.count(100)  # TensorFlow remembers shapes by the keys within a graph


@functools.cache
def _servers(count: int) -> list[Any]:
    addresses = tuple(free_addresses(count))
    places = [Place(addresses, worker) for worker in range(count)]
    return [
        (
            place,
            tf.train.Server(
                {"worker": list(addresses)},
                job_name="worker",
                task_index=place.worker,
                config=session_config_of(place),
            ),
        )
        for place in places
    ]


def run(count: int, build: Callable[[int], Any]) -> list[Any]:
    """Return what each of some workers computes.

    Args:
        count: number of workers.
        build: adds the tensors of a worker to the default graph.
    """
    graph_key = next(_graph_keys)

    def work(place: Place, server: Any) -> Any:
        with tf.Graph().as_default() as graph:
            fetches = build(place.worker)
            options = tf.RunOptions(timeout_in_ms=60_000)
            options.experimental.collective_graph_key = graph_key
            with tf.Session(server.target, graph, session_config_of(place)) as session:
                return session.run(fetches, options=options)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda one: work(*one), _servers(count)))
