"""A port of this process that only this machine can reach.

TensorFlow's server listens on all network interfaces, whatever its address is, and asks for no
password. Linux can bind the listening socket to the loopback interface afterwards.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_LISTENS: Final = "0A"
_BIND_TO_DEVICE: Final = getattr(socket, "SO_BINDTODEVICE", None)


def are_loopback(addresses: Sequence[str]) -> bool:
    """Return whether all addresses, each host:port, are of the loopback interface."""
    return all(_is_loopback(address.rpartition(":")[0].strip("[]")) for address in addresses)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def close_to_the_network(port: int) -> bool:
    """Bind the listening sockets of a port of this process to the loopback interface.

    Returns:
        whether that was done. It needs Linux, and without CAP_NET_RAW Linux 5.7.
    """
    inodes = _listening(port)
    found = 0
    if not inodes or _BIND_TO_DEVICE is None:
        return False
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") in inodes:
                with socket.socket(fileno=os.dup(int(name))) as listener:  # the same socket
                    listener.setsockopt(socket.SOL_SOCKET, _BIND_TO_DEVICE, b"lo\0")
                found += 1
    return found >= len(inodes)


def _listening(port: int) -> set[str]:
    """Return the sockets that listen at a port, as /proc/self/fd names them."""
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{rest[5]}]")
    return found
