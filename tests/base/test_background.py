"""Jobs on a second thread."""

import threading
from concurrent.futures import wait

import pytest

from cnnlab.base.background import Background


def test_the_caller_does_not_wait_for_the_job() -> None:
    background, may_end, done = Background(), threading.Event(), []
    background.start(lambda: done.append(may_end.wait(10)))
    background.check()  # does not wait
    assert done == []
    may_end.set()
    background.wait()
    assert done == [True]


def test_a_second_job_waits_for_the_first() -> None:
    background, may_end, done = Background(), threading.Event(), []
    background.start(lambda: done.append(may_end.wait(10)))
    threading.Timer(0.05, may_end.set).start()
    background.start(lambda: done.append("second"))
    background.wait()
    assert done == [True, "second"]


@pytest.mark.parametrize("ask", ["wait", "check", "start"])
def test_a_failure_is_raised_once_by_the_next_call(ask: str) -> None:
    def fail() -> None:
        raise OSError("no disk")

    background = Background()
    background.start(fail)
    assert background._work is not None
    wait([background._work], timeout=10)
    questions = {
        "wait": background.wait,
        "check": background.check,
        "start": lambda: background.start(lambda: None),
    }
    with pytest.raises(OSError, match="no disk"):
        questions[ask]()
    background.check()
    background.wait()
