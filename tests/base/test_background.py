"""Work on a thread of its own."""

import threading
from concurrent.futures import wait

import pytest

from cnnlab.base.background import Background


def test_work_goes_on_while_the_caller_does() -> None:
    background, may_end, done = Background(), threading.Event(), []
    background.start(lambda: done.append(may_end.wait(10)))
    background.check()  # waits for nothing
    assert done == []
    may_end.set()
    background.wait()
    assert done == [True]


def test_one_piece_of_work_follows_the_other() -> None:
    background, may_end, done = Background(), threading.Event(), []
    background.start(lambda: done.append(may_end.wait(10)))
    threading.Timer(0.05, may_end.set).start()
    background.start(lambda: done.append("second"))
    background.wait()
    assert done == [True, "second"]


@pytest.mark.parametrize("ask", ["wait", "check", "start"])
def test_a_failure_is_raised_once_where_it_is_asked_after(ask: str) -> None:
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
