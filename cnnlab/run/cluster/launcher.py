"""The end of `cnnlab launch`, as its workers see it, also where nothing could report it.

The launcher holds one end of a pipe, and each worker the other one. The operating system closes
the launcher's end whatever ends it, `kill -9` included. Then the worker's end has no more to read.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

from cnnlab.base.printing import print_error

VARIABLE: Final = "CNNLAB_LAUNCHER"
TRY_AGAIN: Final = 75  # exit code of a worker that is whole, but has lost what it needs


@contextlib.contextmanager
def pipe_to_workers() -> Iterator[tuple[int, int]]:
    """Hold the launcher's end of the pipe inside the block; yield what each worker inherits.

    That is the other end, and the launcher's stderr: the worker's own one ends in the launcher.
    """
    for_worker, ours = os.pipe()
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed
        stderr = os.open(os.devnull, os.O_WRONLY)
    try:
        yield for_worker, stderr
    finally:
        for one in (for_worker, ours, stderr):
            os.close(one)


def environment_of(worker: int, inherited: tuple[int, int]) -> dict[str, str]:
    """Return the variable by which a worker knows what it inherits.

    Args:
        worker: its number.
        inherited: see `pipe_to_workers`.
    """
    return {VARIABLE: " ".join(map(str, (worker, *inherited)))}


def end_with_launcher() -> None:
    """End this process with TRY_AGAIN as soon as the launcher that started it has ended.

    This returns at once; without a launcher it does nothing. Every file is complete or absent at
    any time, so the run can resume from its last checkpoint.
    """
    said = os.environ.pop(VARIABLE, "")  # processes started here do not inherit the pipe
    if not said:
        return
    worker, pipe, stderr = map(int, said.split())
    for one in (pipe, stderr):
        os.set_inheritable(one, False)

    def wait() -> None:
        os.read(pipe, 1)
        with contextlib.suppress(OSError):
            os.dup2(stderr, 2)
            print_error(
                f"[{worker}] error: launch has been killed, so this worker ends; start it again, "
                "and a training run resumes from its last checkpoint"
            )
        os._exit(TRY_AGAIN)  # the main thread may be inside TensorFlow for long

    threading.Thread(target=wait, daemon=True, name="launcher").start()
