"""Which workers do not answer: a question to the port of TensorFlow's server."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cnnlab.run.cluster.place import Place

PATIENCE_SECS: Final = 2.0
# What every client of HTTP/2 says first, and an empty frame of settings (RFC 9113, section 3.4).
_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def lost_workers(place: Place) -> list[int]:
    """Return the numbers of the workers that do not answer.

    A process that is stopped or hangs still accepts connections, but its server does not greet.

    Args:
        place: of this worker, which is not asked.
    """
    others = [index for index in range(place.workers) if index != place.worker]
    with ThreadPoolExecutor(max_workers=32) as pool:
        answers = pool.map(lambda index: answers_at(place.addresses[index]), others)
        return [index for index, answers in zip(others, answers, strict=True) if not answers]


def answers_at(address: str) -> bool:
    """Return whether a server of TensorFlow answers at this address."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECS) as connection:
            connection.settimeout(PATIENCE_SECS)
            connection.sendall(_GREETING)
            return bool(connection.recv(1))
    except OSError:
        return False
