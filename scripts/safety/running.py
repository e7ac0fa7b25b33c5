"""Run bad inputs through the real commands, inside this process."""

import contextlib
import gc
import io
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from cnnlab.config.commands import load_main
from scripts.safety.cases import Case

LONGEST_SECS = 30
MOST_GROWTH_MB = 600


class Outcome(NamedTuple):
    """What a command did with a bad input.

    Attributes:
        code: the exit code; None if the command did not exit.
        problem: what was wrong; empty if nothing was.
        stderr: what the command printed there.
        secs: seconds that it took.
    """

    code: object
    problem: str
    stderr: str
    secs: float


def run_case(case: Case, finished_run: Path, folder: Path) -> Outcome:
    """Run one case in a fresh folder, the only place where it may write."""
    sandbox = folder / "sandbox"
    shutil.rmtree(folder, ignore_errors=True)
    sandbox.mkdir(parents=True)
    shutil.copytree(finished_run, sandbox / "run")
    case.prepare(sandbox)
    words = [word.replace("{folder}", str(sandbox)) for word in case.words]
    command = load_main(words[0])
    out, err = io.StringIO(), io.StringIO()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, code, problem = time.monotonic(), None, ""
    try:
        with (
            _no_longer_than(LONGEST_SECS),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            command(words[1:])
    except SystemExit as left:
        code = left.code
    except BaseException as error:  # what a user would see as a traceback
        problem = f"{type(error).__name__}: {error}"
    secs = time.monotonic() - started
    gc.collect()
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    lines = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
    if not problem and code not in case.codes:
        problem = f"exit code {code}, not {case.codes}"
    if not problem and code != 0 and len(lines) != 1:
        problem = f"{len(lines)} error lines"
    if not problem and any(len(line) > 1500 for line in lines):
        problem = f"an error line of {max(map(len, lines))} characters"
    if not problem and grown_mb > MOST_GROWTH_MB:
        problem = f"the process grew by {grown_mb:.0f} MB"
    if not problem and [path.name for path in folder.iterdir()] != ["sandbox"]:
        problem = f"wrote outside: {list(folder.iterdir())}"
    return Outcome(code, problem, err.getvalue(), secs)


@contextlib.contextmanager
def _no_longer_than(secs: int) -> Iterator[None]:
    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"hangs: more than {secs} s")

    earlier = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(secs)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, earlier)
