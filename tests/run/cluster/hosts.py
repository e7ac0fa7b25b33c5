"""Network namespaces as hosts: each has an address of its own, on one Ethernet with a delay.

Each host's interface is a tap device, and one thread of this process is the Ethernet between them:
it passes each frame on after the delay. So no module of the kernel is needed for the delay. Linux
delays packets itself with `tc qdisc add dev eth0 root netem delay 5ms`, but few small kernels can.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_TAP, _NO_INFO = 0x0002, 0x1000
_LONGEST_FRAME = 2048
# A port where nobody listens says so: that takes one way there and back.
_KNOCK = """
import socket, sys, time
found = []
for _ in range(3):
    started = time.perf_counter()
    socket.socket().connect_ex((sys.argv[1], 9))
    found.append(time.perf_counter() - started)
print(min(found))
"""
_names = itertools.count()


def missing() -> str:
    """Return what this machine lacks for hosts; empty if it can have them."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not _TUN.exists():
        return "there is no /dev/net/tun"
    try:
        with hosts(1):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces cannot be made here: {error}"


class Hosts:
    """Some hosts.

    Attributes:
        names: the namespace of each host.
        addresses: the IP address of each host.
    """

    def __init__(self, names: list[str], taps: list[int], delay_secs: float) -> None:
        self.names = names
        self.addresses = [f"10.77.0.{number + 1}" for number in range(len(names))]
        self._taps, self._delay_secs = taps, delay_secs
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._pass_frames, daemon=True)

    def words(self, host: int) -> list[str]:
        """Return the words that begin a command on a host."""
        return ["ip", "netns", "exec", self.names[host]]

    def cut_off(self, host: int) -> None:
        """Take the host's interface down: it neither sends nor receives, and nobody is informed."""
        _ip("-n", self.names[host], "link", "set", "eth0", "down")

    def round_trip_secs(self) -> float:
        """Return the time of a way from the first host to the second and back."""
        words = [*self.words(0), sys.executable, "-c", _KNOCK, self.addresses[1]]
        return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    def start(self) -> None:
        """Begin to pass frames."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        os.write(self._waker, b"x")
        self._thread.join()
        os.close(self._wake)
        os.close(self._waker)

    def _pass_frames(self) -> None:
        on_their_way: list[tuple[float, int, int, bytes]] = []
        order = itertools.count()
        ports: dict[bytes, int] = {}  # the host of each Ethernet address
        while True:
            wait = max(0.0, on_their_way[0][0] - time.monotonic()) if on_their_way else None
            ready, _, _ = select.select([self._wake, *self._taps], [], [], wait)
            if self._wake in ready:
                return
            now = time.monotonic()
            for tap in ready:
                with contextlib.suppress(BlockingIOError, OSError):
                    frame = os.read(tap, _LONGEST_FRAME)
                    ports[frame[6:12]] = tap
                    goals = [ports[frame[:6]]] if frame[:6] in ports else self._taps
                    for goal in goals:
                        if goal != tap:
                            entry = (now + self._delay_secs, next(order), goal, frame)
                            heapq.heappush(on_their_way, entry)
            while on_their_way and on_their_way[0][0] <= time.monotonic():
                _, _, goal, frame = heapq.heappop(on_their_way)
                with contextlib.suppress(OSError):  # the interface is down
                    os.write(goal, frame)


@contextlib.contextmanager
def hosts(count: int, delay_secs: float = 0.0) -> Iterator[Hosts]:
    """Make hosts, and remove them at the end of the block.

    Args:
        count: number of hosts.
        delay_secs: seconds that a frame needs from one host to another.
    """
    names, taps = [], []
    try:
        for number in range(count):
            mark = f"{os.getpid()}x{next(_names)}"
            name = f"cnnlab-{mark}"
            _ip("netns", "add", name)
            names.append(name)
            taps.append(_tap(f"t{mark}"[:15]))
            _ip("link", "set", f"t{mark}"[:15], "netns", name, "name", "eth0")
            _ip("-n", name, "addr", "add", f"10.77.0.{number + 1}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        made = Hosts(names, taps, delay_secs)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        for tap in taps:
            os.close(tap)
        for name in names:
            _ip("netns", "del", name)


def _tap(name: str) -> int:
    tap = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP | _NO_INFO))
    except OSError:
        os.close(tap)
        raise
    return tap


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
