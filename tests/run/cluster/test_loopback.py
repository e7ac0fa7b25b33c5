"""Ports that only this machine can reach."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from cnnlab.run.cluster.loopback import are_loopback, close_to_the_network
from tests import commands
from tests.run.cluster import hosts

_LISTEN = """
import socket, sys
from cnnlab.run.cluster.loopback import close_to_the_network
listener = socket.create_server(("", 2222))
assert sys.argv[1] == "open" or close_to_the_network(2222)
print("listening", flush=True)
sys.stdin.read()
"""
_KNOCK = "import socket, sys; print(socket.socket().connect_ex((sys.argv[1], 2222)))"


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["127.0.0.1:1", "127.0.0.2:1", "localhost:2", "[::1]:3"], True),
        (["127.0.0.1:1", "10.0.0.1:1"], False),
        (["machine:1"], False),
    ],
)
def test_addresses_of_the_loopback_interface(addresses: list[str], expected: bool) -> None:
    assert are_loopback(addresses) is expected


def test_a_closed_port_still_answers_on_this_machine() -> None:
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]
        assert close_to_the_network(port)
        device = listener.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert device.rstrip(b"\0") == b"lo"
        with socket.create_connection(("127.0.0.1", port)):
            pass
    assert not close_to_the_network(port)  # nobody listens there any more


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["open", "closed"])
def test_another_host_cannot_reach_a_closed_port(kind: str) -> None:
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.hosts(2) as made:
        words = [*made.words(0), sys.executable, "-c", _LISTEN, kind]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(words, text=True, cwd=commands.ROOT, **pipes) as listening:
            assert listening.stdout is not None
            assert listening.stdout.readline() == "listening\n"
            knock = [*made.words(1), sys.executable, "-c", _KNOCK, made.addresses[0]]
            answer = subprocess.run(knock, capture_output=True, text=True, check=True).stdout
            listening.communicate("")
    assert (answer.strip() == "0") is (kind == "open")
